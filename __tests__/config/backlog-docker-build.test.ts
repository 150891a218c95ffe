import { FARGATE_SIZES } from "../../config/backlog-docker-build";
import { renderRequestTemplate } from "../../modules/mapping-template";
import { evaluateTemplate } from "../../rehearsal/data-plane/mapping-template";
import { pushEvent } from "../support/build-events";
import { faultsWith } from "../support/faults";
import { config } from "../support/stack";

const CIDR = "must be an IPv4 network such as 192.168.0.0/24, without bits behind its prefix";
const BRANCH = 'must be a branch name such as "main" or "release/2.0", without refs/heads/ and without *';
const PATTERN = 'must be a branch name or pattern such as "feature/*", without refs/heads/';
const PATH = "must be a path relative to the repository's root";
const DAYS = `must be one of 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653`;
const URL = "https://example.backlog.jp/git/PROJ/app";
const ARN = "arn:aws:acm:ap-northeast-1:123456789012:certificate/0a1b";

const faultsOf = (settings: Record<string, unknown>) =>
  faultsWith(
    Object.fromEntries(
      Object.entries(settings).map(([path, value]) => [`backlogDockerBuild.${path}`, value]),
    ),
  ).map((fault) => fault.replaceAll("`backlogDockerBuild.", "`"));

const manyNetworks = (count: number) => Array.from({ length: count }, (_, i) => `10.0.${i}.0/24`);

test.each([
  ["branch", "", `${BRANCH}, got: ""`],
  ["branch", "feature/*", `${BRANCH}, got: "feature/*"`],
  ["branch", "a b", `${BRANCH}, got: "a b"`],
  ["branch", "a..b", `${BRANCH}, got: "a..b"`],
  ["branch", "a@{1}", `${BRANCH}, got: "a@{1}"`],
  ["branch", "a.lock", `${BRANCH}, got: "a.lock"`],
  ["branch", "a.lock/b", `${BRANCH}, got: "a.lock/b"`],
  ["branch", "-a", `${BRANCH}, got: "-a"`],
  ["branch", "/a", `${BRANCH}, got: "/a"`],
  ["branch", "a/", `${BRANCH}, got: "a/"`],
  ["branch", "a//b", `${BRANCH}, got: "a//b"`],
  ["branch", "a/.b", `${BRANCH}, got: "a/.b"`],
  ["branch", "a.", `${BRANCH}, got: "a."`],
  ["branch", 'a"b', `${BRANCH}, got: "a\\"b"`],
  ["branch", "a\\b", `${BRANCH}, got: "a\\\\b"`],
  ["branch", "a\u0085b", `${BRANCH}, got: "a\u0085b"`],
  ["branch", "a\nb", `${BRANCH}, got: "a\\nb"`],
  ["branch", "a${b}", `${BRANCH}, got: "a\${b}"`],
  ["branch", "a%{b}", `${BRANCH}, got: "a%{b}"`],
  ["branch", "rocket-🚀", `${BRANCH}, got: "rocket-🚀"`],
  ["branch", "a\ufffd", `${BRANCH}, got: "a\ufffd"`],
  ["branch", "a\ud800", `${BRANCH}, got: "a\\ud800"`],
  ["branch", true, `${BRANCH}, got: true`],
  ["buildOnlyBranches", "develop", 'must be a list of branch names and patterns, 0 to 20, got: "develop"'],
  ["buildOnlyBranches[0]", ["a?"], `${PATTERN}, got: "a?"`],
  ["buildOnlyBranches[0]", ["a[b]"], `${PATTERN}, got: "a[b]"`],
  ["buildOnlyBranches[0]", ["${a}/*"], `${PATTERN}, got: "\${a}/*"`],
  [
    "buildOnlyBranches[0]",
    ["a**"],
    'must not contain **: EventBridge refuses consecutive wildcards, got: "a**"',
  ],
  ["buildOnlyBranches", ["a", "a"], 'must not name the same thing twice, got: ["a","a"]'],
  ["buildOnlyBranches", ["main"], 'must not name the branch that goes live, got: "main"'],
  [
    "buildOnlyBranches",
    Array.from({ length: 20 }, (_, i) => `b${i}/`.padEnd(200, "x")),
    "must have at most 4096 characters in all (CodeBuild's limit for a variable), got: 4255",
  ],
  ["network.vpcCidr", "192.168.0.0", `${CIDR}, got: "192.168.0.0"`],
  ["network.vpcCidr", "192.168.0.1/16", `${CIDR}, got: "192.168.0.1/16"`],
  [
    "network.vpcCidr",
    "192.0.0.0/8",
    'must have a prefix from /16 to /25 (two subnets of at least /27, two of at least /28), got: "192.0.0.0/8"',
  ],
  [
    "network.publicSubnetCidrs",
    ["192.168.0.0/24"],
    'must be two networks, one for each zone, got: ["192.168.0.0/24"]',
  ],
  ["network.publicSubnetCidrs", {}, "must be two networks, one for each zone, got: {}"],
  ["network.privateSubnetCidrs[1]", ["192.168.2.0/24", "192.168.4.1/24"], `${CIDR}, got: "192.168.4.1/24"`],
  ["network.zones", ["a"], 'must be the letters of two zones, got: ["a"]'],
  ["network.zones", ["a", "a"], 'must name two different zones, got: ["a","a"]'],
  ["network.zones[1]", ["a", "1c"], 'must be the letter of a zone, got: "1c"'],
  ["network.natGateways", "2", 'must be 1 or 2, got: "2"'],
  ["network.natGateways", 0, "must be 1 or 2, got: 0"],
  [
    "network.s3EndpointBuckets[0]",
    ["*"],
    expect.stringMatching(/^must be the name of an S3 bucket, .*got: "\*"$/),
  ],
  [
    "network.s3EndpointBuckets[0]",
    ["a**"],
    expect.stringMatching(/^must be the name of an S3 bucket, .*got: "a\*\*"$/),
  ],
  ["network.s3EndpointBuckets[0]", ["${x}"], expect.stringMatching(/^must be the name of an S3 bucket, /)],
  ["build.architecture", "amd64", 'must be "x86_64" or "arm64", got: "amd64"'],
  ["build.computeType", null, expect.stringMatching(/^must be "BUILD_GENERAL1_SMALL", .*, got: null$/)],
  ["build.timeoutInMinutes", 4, "must be a whole number from 5 to 2160, got: 4"],
  ["build.dockerfile", "/Dockerfile", 'must not contain .., // or a slash at either end, got: "/Dockerfile"'],
  ["build.dockerfile", "", `${PATH}, got: ""`],
  ["build.dockerfile", "$(id)", `${PATH}, got: "$(id)"`],
  [
    "build.dockerfile",
    "../Dockerfile",
    'must not contain .., // or a slash at either end, got: "../Dockerfile"',
  ],
  ["build.context", "a//b", 'must not contain .., // or a slash at either end, got: "a//b"'],
  ["build.context", "${path}", `${PATH}, got: "\${path}"`],
  ["build.deployFiles", "a/../../b", 'must not contain .., // or a slash at either end, got: "a/../../b"'],
  ["build.deployFiles", "a".repeat(201), expect.stringMatching(/^must have at most 200 characters, got: /)],
  ["build.cache", false, 'must be "inline", "registry" or "off", got: false'],
  ["build.cacheBuilderImage", "a b", 'must be an image reference, got: "a b"'],
  ["build.cacheBuilderImage", "${x}", 'must be an image reference, got: "${x}"'],
  ["build.inVpc", "false", 'must be true or false, got: "false"'],
  ["build.logRetentionInDays", 2, `${DAYS}, got: 2`],
  ["service.allowedCidrs", [], "must have at least 1 entry, got: []"],
  ["service.allowedCidrs[0]", ["0.0.0.0"], `${CIDR}, got: "0.0.0.0"`],
  ["service.testAllowedCidrs", [], "must have at least 1 entry, got: []"],
  ["service.certificateArn", "*", 'must be the ARN of an ACM certificate, got: "*"'],
  [
    "service.certificateArn",
    ARN.replace("ap-northeast-1", "us-east-1"),
    expect.stringMatching(/^must be an ARN of project.region, ap-northeast-1, got: /),
  ],
  ["service.port", "80", 'must be a whole number from 1 to 65535, got: "80"'],
  ["service.port", 0, "must be a whole number from 1 to 65535, got: 0"],
  ["service.port", 65_536, "must be a whole number from 1 to 65535, got: 65536"],
  ["service.cpu", 300, "must be one of 256, 512, 1024, 2048, 4096, 8192, 16384, got: 300"],
  ["service.cpu", "256", 'must be one of 256, 512, 1024, 2048, 4096, 8192, 16384, got: "256"'],
  ["service.memory", "512", 'must be a whole number that Fargate has for this cpu, got: "512"'],
  ["service.memory", 4096, "must be one of 512, 1024, 2048 with cpu 256, got: 4096"],
  ["service.desiredCount", 0, "must be a whole number from 1 to 1000, got: 0"],
  ["service.healthCheckPath", "healthz", 'must be a path such as /healthz, got: "healthz"'],
  ["service.healthCheckPath", "/a?b", 'must be a path such as /healthz, got: "/a?b"'],
  ["service.healthCheckPath", "/${x}", 'must be a path such as /healthz, got: "/${x}"'],
  ["service.healthCheckPath", "/../etc", 'must not contain //, or . or .. as a folder, got: "/../etc"'],
  ["service.healthCheckPath", "/a/.", 'must not contain //, or . or .. as a folder, got: "/a/."'],
  ["service.healthCheckPath", "//", 'must not contain //, or . or .. as a folder, got: "//"'],
  ["service.containerName", "my app", 'must be a container name, got: "my app"'],
  ["service.containerName", "${x}", 'must be a container name, got: "${x}"'],
  ["service.accessLog", 1, "must be true or false, got: 1"],
  ["service.containerInsights", "on", 'must be true or false, got: "on"'],
  ["service.logRetentionInDays", "30", `${DAYS}, got: "30"`],
  [
    "deployment.configName",
    "${x}",
    'must be a CodeDeploy configuration such as CodeDeployDefault.ECSCanary10Percent5Minutes, got: "${x}"',
  ],
  ["deployment.stopUnlessReroutedWithinMinutes", 0, "must be a whole number from 1 to 2880, got: 0"],
  ["deployment.terminationWaitTimeInMinutes", 2881, "must be a whole number from 0 to 2880, got: 2881"],
  ["deployment.approval", "no", 'must be true or false, got: "no"'],
])("refuses %s %j", (path, value, message) => {
  const faults = faultsOf({ [path.replace(/\[\d\]$/, "")]: value });
  expect(faults).toHaveLength(1);
  expect(faults[0]!.replace(`\`${path}\` `, "")).toEqual(message);
});

test.each(["main", "release/2.0", "機能/一", "a$b", "a{b}", "@", "#1", "it's", "x".repeat(240)])(
  "takes the branch %s, and so does the webhook",
  (branch) => {
    expect(faultsOf({ branch })).toEqual([]);
    const target = { delivery: "bus", eventBusName: "bus" } as const;
    const payload = JSON.stringify({
      ...pushEvent({ ref: `refs/heads/${branch}` }).detail,
      repository: { url: URL },
    });
    const { output } = evaluateTemplate(renderRequestTemplate(config().backlog, target), {
      body: `payload=${encodeURIComponent(payload)}`,
      context: {},
    });
    const [entry] = JSON.parse(output).Entries;
    expect(JSON.parse(entry.Detail).ref).toBe(`refs/heads/${branch}`);
  },
);

describe("network", () => {
  const net = (vpcCidr: string, publicSubnetCidrs: string[], privateSubnetCidrs: string[]) =>
    faultsOf({ network: { vpcCidr, publicSubnetCidrs, privateSubnetCidrs } });

  test("takes the smallest VPC that holds two subnets for a load balancer and two others", () => {
    expect(net("10.0.0.0/25", ["10.0.0.0/27", "10.0.0.32/27"], ["10.0.0.64/28", "10.0.0.80/28"])).toEqual([]);
  });

  test("names every subnet that does not fit", () => {
    expect(net("10.0.0.0/16", ["10.0.0.0/28", "10.1.0.0/24"], ["10.0.0.0/20", "10.0.16.0/29"])).toEqual([
      '`network.publicSubnetCidrs[0]` must have a prefix of at most /27 (a load balancer\'s smallest subnet), got: "10.0.0.0/28"',
      '`network.publicSubnetCidrs[1]` must lie in vpcCidr 10.0.0.0/16, got: "10.1.0.0/24"',
      '`network.privateSubnetCidrs[0]` must not overlap with 10.0.0.0/28, got: "10.0.0.0/20"',
      '`network.privateSubnetCidrs[1]` must have a prefix of at most /28 (AWS\'s smallest subnet), got: "10.0.16.0/29"',
    ]);
  });

  test("refuses another VPC while the subnets are still the default's", () => {
    expect(faultsOf({ "network.vpcCidr": "10.0.0.0/16" })).toHaveLength(4);
  });

  test("names them even when another setting of the network is wrong", () => {
    const faults = faultsOf({
      network: { natGateways: 3, publicSubnetCidrs: ["10.0.0.0/24", "192.168.1.0/24"] },
    });
    expect(faults).toEqual([
      "`network.natGateways` must be 1 or 2, got: 3",
      '`network.publicSubnetCidrs[0]` must lie in vpcCidr 192.168.0.0/16, got: "10.0.0.0/24"',
    ]);
  });
});

describe("service", () => {
  test("takes every pair of CPU and memory that Fargate has, and no other", () => {
    const memories = [...new Set(Object.values(FARGATE_SIZES).flat())];
    for (const [cpu, sizes] of Object.entries(FARGATE_SIZES)) {
      const taken = memories.filter(
        (memory) => faultsOf({ "service.cpu": Number(cpu), "service.memory": memory }).length === 0,
      );
      expect([cpu, taken.sort((a, b) => a - b)]).toEqual([cpu, sizes]);
    }
  });

  test("has the sizes of AWS's table", () => {
    const ends = Object.entries(FARGATE_SIZES).map(([cpu, sizes]) => [
      Number(cpu),
      sizes.length,
      sizes[0],
      sizes.at(-1),
    ]);
    expect(ends).toEqual([
      [256, 3, 512, 2048],
      [512, 4, 1024, 4096],
      [1024, 7, 2048, 8192],
      [2048, 13, 4096, 16384],
      [4096, 23, 8192, 30720],
      [8192, 12, 16384, 61440],
      [16384, 12, 32768, 122880],
    ]);
  });

  test("counts the rules that its networks make of a security group", () => {
    const allowedCidrs = manyNetworks(30);
    expect(faultsOf({ "service.allowedCidrs": allowedCidrs })).toEqual([]);
    expect(faultsOf({ "service.allowedCidrs": allowedCidrs, "service.certificateArn": ARN })).toEqual([
      "`service.allowedCidrs` and testAllowedCidrs must make at most 60 rules of a security group (with a certificate each production network needs two), got: 90",
    ]);
    expect(
      faultsOf({ "service.allowedCidrs": manyNetworks(50), "service.testAllowedCidrs": manyNetworks(11) }),
    ).toHaveLength(1);
  });
});

test("the defaults are those of the article, where it has one", () => {
  const { network, build, service, deployment, buildOnlyBranches } = config().backlogDockerBuild;
  expect(network).toEqual({
    vpcCidr: "192.168.0.0/16",
    publicSubnetCidrs: ["192.168.0.0/24", "192.168.1.0/24"],
    privateSubnetCidrs: ["192.168.2.0/24", "192.168.3.0/24"],
    zones: ["a", "c"],
    natGateways: 2,
    s3EndpointBuckets: [],
  });
  expect(build).toEqual({
    architecture: "x86_64",
    computeType: "BUILD_GENERAL1_SMALL",
    timeoutInMinutes: 30,
    dockerfile: "docker/Dockerfile",
    context: "docker",
    deployFiles: "codesries_asset",
    cache: "inline",
    cacheBuilderImage: "moby/buildkit:v0.26.2",
    inVpc: false,
    logRetentionInDays: 30,
  });
  expect(service).toEqual({
    allowedCidrs: ["0.0.0.0/0"],
    port: 80,
    cpu: 256,
    memory: 512,
    desiredCount: 2,
    healthCheckPath: "/",
    containerName: "app",
    accessLog: false,
    containerInsights: true,
    logRetentionInDays: 30,
  });
  expect(deployment).toEqual({
    configName: "CodeDeployDefault.ECSAllAtOnce",
    terminationWaitTimeInMinutes: 5,
    approval: false,
  });
  expect(buildOnlyBranches).toEqual([]);
});
