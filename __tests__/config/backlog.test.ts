import { BACKLOG_SENDER_CIDRS } from "../../config/backlog";
import { faultsWith } from "../support/faults";
import { config } from "../support/stack";

const ED25519 = "AAAAC3NzaC1lZDI1NTE5AAAAIL1S1o+BnV59bZM4TBUOkfyfUEPFJoXj2JdmKxXK2QGA";
const HOST = "example.git.backlog.jp";
const NO_LINE = (host: string) =>
  `\`backlog.knownHosts\` must have a line for ${host}: run \`ssh-keyscan -t ed25519 ${host}\`, compare the key with what your own git shows, and paste the line (or choose trustOnFirstUse: true), got: `;
const LINE = "must be a line of known_hosts: host, key type, key";
const CIDR = "must be an IPv4 network such as 192.168.0.0/24, without bits behind its prefix";

describe("backlog", () => {
  test.each([
    ["space", "Example", 'must be a space id: lower-case letters, digits and hyphens, got: "Example"'],
    ["space", "a.b", 'must be a space id: lower-case letters, digits and hyphens, got: "a.b"'],
    ["space", "a${b}", 'must be a space id: lower-case letters, digits and hyphens, got: "a${b}"'],
    ["domain", "backlog.org", 'must be "backlog.jp", "backlog.com" or "backlogtool.com", got: "backlog.org"'],
    ["projectKey", "proj", 'must be a project key: capitals, digits and underscores, got: "proj"'],
    ["projectKey", "P${Q}", 'must be a project key: capitals, digits and underscores, got: "P${Q}"'],
    ["projectKey", 12, "must be a project key: capitals, digits and underscores, got: 12"],
    ["repository", "a/b", 'must be the name of a Git repository, got: "a/b"'],
    ["repository", "-rf", 'must be the name of a Git repository, got: "-rf"'],
    ["repository", "a b", 'must be the name of a Git repository, got: "a b"'],
    ["repository", "%{if}", 'must be the name of a Git repository, got: "%{if}"'],
    ["repository", "#set($x=1)", 'must be the name of a Git repository, got: "#set($x=1)"'],
    ["trustOnFirstUse", "yes", 'must be true or false, got: "yes"'],
    ["knownHosts", HOST, `must be a list of lines of known_hosts, got: "${HOST}"`],
    ["sshKey.algorithm", "DSA", 'must be "ED25519" or "RSA" (4096 bits), got: "DSA"'],
    ["sshKey.publicKeyFile", "/etc/x", 'must be a file relative to the project, without .., got: "/etc/x"'],
    [
      "sshKey.publicKeyFile",
      "../x.pub",
      'must be a file relative to the project, without .., got: "../x.pub"',
    ],
    [
      "sshKey.publicKeyFile",
      "cdktf.out/x.pub",
      'must not lie in cdktf.out: every synth clears it, got: "cdktf.out/x.pub"',
    ],
    ["sshKey.publicKeyFile", "${x}", 'must be a file relative to the project, without .., got: "${x}"'],
    ["sshKey.secretArn", "my-secret", 'must be the full ARN of a secret, got: "my-secret"'],
    [
      "sshKey.secretArn",
      "arn:aws:secretsmanager:us-east-1:123456789012:secret:x-AbCdEf",
      'must be an ARN of project.region, ap-northeast-1, got: "arn:aws:secretsmanager:us-east-1:123456789012:secret:x-AbCdEf"',
    ],
    [
      "sshKey",
      {
        algorithm: "RSA",
        secretArn: "arn:aws:secretsmanager:ap-northeast-1:123456789012:secret:x-AbCdEf",
      },
      expect.stringMatching(/^must have either secretArn, or algorithm and publicKeyFile, got: /),
    ],
  ])("refuses %s %j", (setting, value, message) => {
    const faults = faultsWith({ [`backlog.${setting}`]: value });
    expect(faults).toHaveLength(1);
    expect(faults[0]!.replace(`\`backlog.${setting}\` `, "")).toEqual(message);
  });

  test.each([
    ["backlog.space", "it must be a space id: lower-case letters, digits and hyphens"],
    ["backlog.domain", 'it must be "backlog.jp", "backlog.com" or "backlogtool.com"'],
    ["backlog.projectKey", "it must be a project key: capitals, digits and underscores"],
    ["backlog.repository", "it must be the name of a Git repository"],
  ])("misses %s", (setting, what) => {
    expect(faultsWith({ [setting]: undefined })).toEqual([`\`${setting}\` is missing: ${what}`]);
  });
});

describe("backlog.knownHosts", () => {
  const ECDSA =
    "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQEezOmxkZMy7opKgwFB9nkt5YRrYMjNuG5N87uRgg6CLrbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg=";

  test.each([
    `${HOST} ssh-ed25519 ${ED25519}`,
    `other.example.com,${HOST},192.0.2.1 ssh-ed25519 ${ED25519} a comment`,
    `${HOST} ecdsa-sha2-nistp256 ${ECDSA}`,
  ])("takes %s", (line) => {
    expect(faultsWith({ "backlog.knownHosts": [line] })).toEqual([]);
  });

  test.each([
    `${HOST} ${ED25519}`,
    `${HOST} ssh-dss ${ED25519}`,
    `# ${HOST}`,
    `${HOST} ssh-ed25519 ${ED25519}\n${HOST} ssh-ed25519 ${ED25519}`,
    `${HOST} ssh-ed25519 ${ED25519} \${file("x")}`,
    `${HOST} ssh-ed25519 ${ED25519} $(id)`,
    `@cert-authority ${HOST} ssh-ed25519 ${ED25519}`,
  ])("refuses %j as no line", (line) => {
    expect(faultsWith({ "backlog.knownHosts": [line] })).toEqual([
      expect.stringContaining(`\`backlog.knownHosts[0]\` ${LINE}, got: `),
    ]);
  });

  test.each([
    ["cut", `${HOST} ssh-ed25519 ${ED25519.slice(0, -4)}`],
    ["of another type", `${HOST} ssh-rsa ${ED25519}`],
    ["longer than it says", `${HOST} ssh-ed25519 ${ED25519}AAAA`],
    ["only a type", `${HOST} ssh-ed25519 AAAAC3NzaC1lZDI1NTE5`],
    ["no key at all", `${HOST} ssh-ed25519 AAAA`],
  ])("refuses a key that is %s: ssh would pass over the line", (_, line) => {
    expect(faultsWith({ "backlog.knownHosts": [line] })).toEqual([
      expect.stringContaining(
        "`backlog.knownHosts[0]` must have a whole key of the type that it names, got: ",
      ),
    ]);
  });

  test("must name the space's host, whatever else is wrong with the configuration", () => {
    expect(faultsWith({ "backlog.knownHosts": [] })).toEqual([`${NO_LINE(HOST)}[]`]);
    expect(faultsWith({ "backlog.knownHosts": undefined })).toEqual([`${NO_LINE(HOST)}[]`]);
    const faults = faultsWith({ "backlog.space": "other", "backlog.repository": "" });
    expect(faults).toHaveLength(2);
    expect(faults[1]).toMatch(NO_LINE("other.git.backlog.jp"));
  });

  test.each([`x${HOST}`, `${HOST}.evil.example`, `[${HOST}]:2222`])("does not take %s for it", (host) => {
    expect(faultsWith({ "backlog.knownHosts": [`${host} ssh-ed25519 ${ED25519}`] })).toHaveLength(1);
  });

  test("may be left out where the configuration says so", () => {
    expect(faultsWith({ "backlog.knownHosts": undefined, "backlog.trustOnFirstUse": true })).toEqual([]);
  });

  test("fit in one variable of CodeBuild", () => {
    const lines = (count: number) =>
      Array.from({ length: count }, () => `${HOST} ssh-ed25519 ${ED25519} ${"c".repeat(100)}`);
    expect(lines(20).join("\n")).toHaveLength(4099);
    expect(faultsWith({ "backlog.knownHosts": lines(19) })).toEqual([]);
    expect(faultsWith({ "backlog.knownHosts": lines(20) })).toEqual([
      "`backlog.knownHosts` must have at most 4096 characters in all (CodeBuild's limit for a variable), got: 4099",
    ]);
  });
});

describe("webhook", () => {
  test.each([
    ["senderCidrs", [], "must have at least 1 entry, got: []"],
    ["senderCidrs", ["54.64.128.240"], `${CIDR}, got: "54.64.128.240"`, "[0]"],
    ["senderCidrs", ["10.0.0.1/8"], `${CIDR}, got: "10.0.0.1/8"`, "[0]"],
    ["senderCidrs", ["${x}"], `${CIDR}, got: "\${x}"`, "[0]"],
    [
      "senderCidrs",
      ["10.0.0.0/8", "10.0.0.0/8"],
      'must not name the same thing twice, got: ["10.0.0.0/8","10.0.0.0/8"]',
    ],
    ["senderCidrs", "10.0.0.0/8", 'must be a list of networks, 1 to 100, got: "10.0.0.0/8"'],
    [
      "senderCidrs",
      Array.from({ length: 101 }, (_, i) => `10.0.${i}.0/24`),
      expect.stringMatching(/^must have at most 100 entries, got: /),
    ],
    ["delivery", "queue", 'must be "bus" or "direct", got: "queue"'],
    ["archiveDays", "14", 'must be a whole number from 1 to 3650, got: "14"'],
    ["archiveDays", 0, "must be a whole number from 1 to 3650, got: 0"],
    ["archiveDays", 1.5, "must be a whole number from 1 to 3650, got: 1.5"],
    ["archiveDays", Number.NaN, "must be a whole number from 1 to 3650, got: null"],
    ["accessLog", true, 'must be "off", "existingAccountRole" or "manageAccountRole", got: true'],
    ["rateLimit", 10_001, "must be a whole number from 1 to 10000, got: 10001"],
    ["burstLimit", -1, "must be a whole number from 1 to 5000, got: -1"],
  ])("refuses %s %j", (setting, value, message, at = "") => {
    const faults = faultsWith({ [`webhook.${setting}`]: value });
    expect(faults).toHaveLength(1);
    expect(faults[0]!.replace(`\`webhook.${setting}${at}\` `, "")).toEqual(message);
  });

  test("admits Backlog's published addresses unless others are named", () => {
    expect(config().webhook.senderCidrs).toEqual(BACKLOG_SENDER_CIDRS);
    expect(new Set(BACKLOG_SENDER_CIDRS).size).toBe(16);
  });
});
