import { z } from "zod";
import { ENVIRONMENT_VARIABLE_MAX_LENGTH } from "./backlog";
import { contains, type Ipv4Network, overlaps, parseCidr } from "./ipv4";
import {
  branchName,
  branchPattern,
  cidr,
  distinct,
  logRetentionInDays,
  matching,
  repositoryPath,
  wholeNumber,
} from "./text";

const range = (from: number, to: number, step: number) =>
  Array.from({ length: (to - from) / step + 1 }, (_, index) => from + index * step);

/**
 * Memory (MiB) that Fargate accepts for each CPU value (1,024 = one vCPU).
 * @see https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html#fargate-tasks-size
 */
export const FARGATE_SIZES: Readonly<Record<number, readonly number[]>> = {
  256: [512, 1024, 2048],
  512: range(1024, 4096, 1024),
  1024: range(2048, 8192, 1024),
  2048: range(4096, 16384, 1024),
  4096: range(8192, 30720, 1024),
  8192: range(16384, 61440, 4096),
  16384: range(32768, 122880, 8192),
};

const pairOfCidrs = z.tuple([cidr, cidr], "must be two networks, one for each zone");

const networkSchema = z
  .strictObject({
    vpcCidr: cidr.default("192.168.0.0/16"),
    /** One for each zone. */
    publicSubnetCidrs: pairOfCidrs.default(["192.168.0.0/24", "192.168.1.0/24"]),
    /** One for each zone: tasks, and builds in the VPC. */
    privateSubnetCidrs: pairOfCidrs.default(["192.168.2.0/24", "192.168.3.0/24"]),
    /** Letters of the two availability zones. */
    zones: z
      .tuple([matching(/^[a-z]$/, "the letter of a zone"), matching(/^[a-z]$/, "the letter of a zone")])
      .refine(([a, b]) => a !== b, "must name two different zones")
      .default(["a", "c"]),
    /** 2: one for each zone. 1: half the price (about 45 USD a month less in Tokyo), shared, gone with its zone. */
    natGateways: z.union([z.literal(1), z.literal(2)], "must be 1 or 2").default(2),
    /** Buckets of this region that tasks and builds in the VPC may reach, beside ECR's layers and the artifacts. */
    s3EndpointBuckets: distinct(
      matching(/^[a-z0-9*][a-z0-9.*-]{1,62}$/, "the name of an S3 bucket"),
      0,
      50,
    ).default([]),
  })
  .prefault({})
  .superRefine((network, context) => {
    const vpc = parseCidr(network.vpcCidr);
    const subnets = [
      ...network.publicSubnetCidrs.map((text, index) => ({ path: ["publicSubnetCidrs", index], text })),
      ...network.privateSubnetCidrs.map((text, index) => ({ path: ["privateSubnetCidrs", index], text })),
    ];
    const fault = (path: (string | number)[], message: string, input: string) =>
      context.addIssue({ code: "custom", path, message, input });
    if (!vpc) return;
    if (vpc.prefixLength < 16 || vpc.prefixLength > 26) {
      fault(
        ["vpcCidr"],
        "must have a prefix from /16 to /26 (four subnets of at least /28)",
        network.vpcCidr,
      );
    }
    const before: { text: string; network: Ipv4Network }[] = [];
    for (const { path, text } of subnets) {
      const subnet = parseCidr(text);
      if (!subnet) continue;
      if (subnet.prefixLength > 28)
        fault(path, "must have a prefix of at most /28 (AWS's smallest subnet)", text);
      if (!contains(vpc, subnet)) fault(path, `must lie in vpcCidr ${network.vpcCidr}`, text);
      const other = before.find((one) => overlaps(one.network, subnet));
      if (other) fault(path, `must not overlap with ${other.text}`, text);
      before.push({ text, network: subnet });
    }
  });

const buildSchema = z
  .strictObject({
    /** `arm64` builds on Graviton, and the tasks run there too. */
    architecture: z.enum(["x86_64", "arm64"], 'must be "x86_64" or "arm64"').default("x86_64"),
    /** Size of the build machine; the small one costs 0.005 USD a minute. */
    computeType: z
      .enum(
        ["BUILD_GENERAL1_SMALL", "BUILD_GENERAL1_MEDIUM", "BUILD_GENERAL1_LARGE", "BUILD_GENERAL1_XLARGE"],
        'must be "BUILD_GENERAL1_SMALL", "BUILD_GENERAL1_MEDIUM", "BUILD_GENERAL1_LARGE" or "BUILD_GENERAL1_XLARGE"',
      )
      .default("BUILD_GENERAL1_SMALL"),
    /** Longest time of one build, in minutes. */
    timeoutInMinutes: wholeNumber(5, 2160).default(30),
    /** Path of the Dockerfile in the application repository. */
    dockerfile: repositoryPath.default("docker/Dockerfile"),
    /** Folder that is the build's context. */
    context: repositoryPath.default("docker"),
    /** Folder with taskdef.json and appspec.yaml. */
    deployFiles: repositoryPath.default("codesries_asset"),
    /**
     * `inline`: layers of the image that is live now. `registry`: a cache image in a repository of its own, all
     * stages, made by a BuildKit builder. `off`: none.
     */
    cache: z.enum(["inline", "registry", "off"], 'must be "inline", "registry" or "off"').default("inline"),
    /** Image of the BuildKit builder for `registry`; mirror it where Docker Hub's pull limit hurts. */
    cacheBuilderImage: matching(/^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,254}$/, "an image reference").default(
      "moby/buildkit:v0.26.2",
    ),
    /** Run builds in the VPC, so that they come from the NAT gateways' fixed addresses. */
    inVpc: z.boolean("must be true or false").default(false),
    logRetentionInDays: logRetentionInDays.default(30),
  })
  .prefault({});

const httpPath = matching(/^\/[A-Za-z0-9._~/-]{0,199}$/, "a path such as /healthz");

const serviceSchema = z
  .strictObject({
    /** Networks that may reach production. */
    allowedCidrs: distinct(cidr, 1, 50),
    /** Networks that may reach the test listener (8080). Default: those of production. */
    testAllowedCidrs: distinct(cidr, 1, 50).optional(),
    /** ACM certificate: production is then 443 and 80 redirects; the test listener speaks TLS too. */
    certificateArn: matching(
      /^arn:aws[a-z-]*:acm:[a-z0-9-]+:\d{12}:certificate\/[A-Za-z0-9-]+$/,
      "the ARN of an ACM certificate",
    ).optional(),
    /** Port that the container listens on. */
    port: wholeNumber(1, 65_535).default(80),
    /** CPU units of a task: 1,024 = one vCPU. */
    cpu: z
      .int("must be a CPU value of Fargate")
      .refine((cpu) => cpu in FARGATE_SIZES, `must be one of ${Object.keys(FARGATE_SIZES).join(", ")}`)
      .default(256),
    /** Memory of a task, in MiB. */
    memory: z.int("must be a whole number of MiB").default(512),
    /** Tasks. Changed by hand or by autoscaling later without Terraform's objection. */
    desiredCount: wholeNumber(1, 1000).default(2),
    /** Answers 2xx or 3xx when a task is well. */
    healthCheckPath: httpPath.default("/"),
    /** Name of the container in the task definition. */
    containerName: matching(/^[A-Za-z0-9][A-Za-z0-9_-]{0,254}$/, "a container name").default("app"),
    /** Access log of the load balancer, in a bucket of its own (S3's price). */
    accessLog: z.boolean("must be true or false").default(false),
    /** Container Insights of the cluster (about 0.30 USD a month for each metric). */
    containerInsights: z.boolean("must be true or false").default(true),
    logRetentionInDays: logRetentionInDays.default(30),
  })
  .superRefine(({ cpu, memory }, context) => {
    const sizes = FARGATE_SIZES[cpu];
    if (sizes && !sizes.includes(memory)) {
      context.addIssue({
        code: "custom",
        path: ["memory"],
        message: `must be one of ${sizes.join(", ")} with cpu ${cpu}`,
        input: memory,
      });
    }
  });

const deploymentSchema = z
  .strictObject({
    /** How production traffic moves to the new version. */
    configName: matching(
      /^[A-Za-z0-9+=,.@_-]{1,100}$/,
      "a CodeDeploy configuration such as CodeDeployDefault.ECSCanary10Percent5Minutes",
    ).default("CodeDeployDefault.ECSAllAtOnce"),
    /**
     * Stop, and roll back, unless somebody reroutes by hand within so many minutes; until then the new version is
     * on the test listener only. Without it the traffic moves at once (CodeDeploy has no "wait, then go on").
     */
    stopUnlessReroutedWithinMinutes: wholeNumber(1, 2880).optional(),
    /** How long the old version is kept for a quick way back, in minutes; the pipeline's deploy stage lasts as long. */
    terminationWaitTimeInMinutes: wholeNumber(0, 2880).default(5),
    /** Ask a person in CodePipeline before each deployment. */
    approval: z.boolean("must be true or false").default(false),
  })
  .prefault({});

/** The system `backlog-docker-build`: from a push to a container on ECS. */
export const backlogDockerBuildSchema = z
  .strictObject({
    /** The branch that goes live. */
    branch: branchName,
    /** Further branches whose image is built and pushed, without a deployment; `*` stands for any characters. */
    buildOnlyBranches: distinct(branchPattern, 0, 20).default([]),
    network: networkSchema,
    build: buildSchema,
    service: serviceSchema,
    deployment: deploymentSchema,
  })
  .superRefine(({ branch, buildOnlyBranches }, context) => {
    if (buildOnlyBranches.includes(branch)) {
      context.addIssue({
        code: "custom",
        path: ["buildOnlyBranches"],
        message: "must not name the branch that goes live",
        input: branch,
      });
    }
    const length = [branch, ...buildOnlyBranches].map((name) => `refs/heads/${name}\n`).join("").length;
    if (length > ENVIRONMENT_VARIABLE_MAX_LENGTH) {
      context.addIssue({
        code: "custom",
        path: ["buildOnlyBranches"],
        message: `must have at most ${ENVIRONMENT_VARIABLE_MAX_LENGTH} characters in all (CodeBuild's limit for a variable)`,
        input: length,
      });
    }
  });
