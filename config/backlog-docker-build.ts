import { z } from "zod";
import { ENVIRONMENT_VARIABLE_MAX_LENGTH } from "./backlog";
import { whenWell } from "./cross-field";
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
  yesOrNo,
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

/** Rules for incoming traffic that AWS allows in a security group, unless the account's quota is raised. */
const INGRESS_RULES_MAX = 60;

const pairOfCidrs = z.tuple([cidr, cidr], "must be two networks, one for each zone");
const zone = matching(/^[a-z]$/, "the letter of a zone");

/** Longest prefixes: AWS's smallest subnet, and the smallest that a load balancer accepts. */
const PREFIX_MAX = { publicSubnetCidrs: 27, privateSubnetCidrs: 28 } as const;

const networkSchema = z
  .strictObject({
    vpcCidr: cidr.default("192.168.0.0/16").describe("Addresses of the VPC, from /16 to /25."),
    publicSubnetCidrs: pairOfCidrs
      .default(["192.168.0.0/24", "192.168.1.0/24"])
      .describe("For the load balancer and NAT; at most /27."),
    privateSubnetCidrs: pairOfCidrs
      .default(["192.168.2.0/24", "192.168.3.0/24"])
      .describe("For tasks, and builds in the VPC; at most /28."),
    zones: z
      .tuple([zone, zone], "must be the letters of two zones")
      .refine(([a, b]) => a !== b, "must name two different zones")
      .default(["a", "c"])
      .describe("The two availability zones."),
    natGateways: z
      .union([z.literal(1), z.literal(2)], "must be 1 or 2")
      .default(2)
      .describe(
        "2: one for each zone. 1: half the price (about 45 USD a month less in Tokyo), shared, gone with its zone.",
      ),
    s3EndpointBuckets: distinct(
      matching(
        /^[a-z0-9][a-z0-9-][a-z0-9.*-]{1,61}$/,
        "the name of an S3 bucket, * for any characters behind the first two",
      ),
      0,
      50,
      "buckets",
    )
      .default([])
      .describe(
        "Buckets of this region that tasks and builds in the VPC may reach, beside ECR's layers and the artifacts; `*` stands for any characters.",
      ),
  })
  .prefault({})
  .superRefine(({ vpcCidr }, context) => {
    const { prefixLength } = parseCidr(vpcCidr)!;
    if (prefixLength < 16 || prefixLength > 25) {
      context.addIssue({
        code: "custom",
        path: ["vpcCidr"],
        message: "must have a prefix from /16 to /25 (two subnets of at least /27, two of at least /28)",
        input: vpcCidr,
      });
    }
  }, whenWell("vpcCidr"))
  .superRefine(
    (network, context) => {
      const vpc = parseCidr(network.vpcCidr)!;
      const earlier: { text: string; network: Ipv4Network }[] = [];
      for (const list of ["publicSubnetCidrs", "privateSubnetCidrs"] as const) {
        for (const [index, text] of network[list].entries()) {
          const subnet = parseCidr(text)!;
          const fault = (message: string) =>
            context.addIssue({ code: "custom", path: [list, index], message, input: text });
          if (subnet.prefixLength > PREFIX_MAX[list]) {
            fault(
              list === "publicSubnetCidrs"
                ? `must have a prefix of at most /${PREFIX_MAX[list]} (a load balancer's smallest subnet)`
                : `must have a prefix of at most /${PREFIX_MAX[list]} (AWS's smallest subnet)`,
            );
          }
          if (!contains(vpc, subnet)) fault(`must lie in vpcCidr ${network.vpcCidr}`);
          const other = earlier.find((one) => overlaps(one.network, subnet));
          if (other) fault(`must not overlap with ${other.text}`);
          earlier.push({ text, network: subnet });
        }
      }
    },
    whenWell("vpcCidr", "publicSubnetCidrs", "privateSubnetCidrs"),
  );

const buildSchema = z
  .strictObject({
    architecture: z
      .enum(["x86_64", "arm64"], 'must be "x86_64" or "arm64"')
      .default("x86_64")
      .describe("`arm64` builds on Graviton, and the tasks run there too."),
    computeType: z
      .enum(
        ["BUILD_GENERAL1_SMALL", "BUILD_GENERAL1_MEDIUM", "BUILD_GENERAL1_LARGE", "BUILD_GENERAL1_XLARGE"],
        'must be "BUILD_GENERAL1_SMALL", "BUILD_GENERAL1_MEDIUM", "BUILD_GENERAL1_LARGE" or "BUILD_GENERAL1_XLARGE"',
      )
      .default("BUILD_GENERAL1_SMALL")
      .describe("Size of the build machine; the small one costs 0.005 USD a minute."),
    timeoutInMinutes: wholeNumber(5, 2160).default(30).describe("Longest time of one build, in minutes."),
    dockerfile: repositoryPath
      .default("docker/Dockerfile")
      .describe("Path of the Dockerfile in the application repository."),
    context: repositoryPath.default("docker").describe("Folder that is the build's context."),
    deployFiles: repositoryPath
      .default("codesries_asset")
      .describe("Folder with taskdef.json and appspec.yaml."),
    cache: z
      .enum(["inline", "registry", "off"], 'must be "inline", "registry" or "off"')
      .default("inline")
      .describe(
        "`inline`: layers of the image that is live now. `registry`: a cache image in a repository of its own, all stages, made by a BuildKit builder. `off`: none.",
      ),
    cacheBuilderImage: matching(/^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,254}$/, "an image reference")
      .default("moby/buildkit:v0.26.2")
      .describe(
        "Image of the BuildKit builder for `registry`; mirror it where Docker Hub's pull limit hurts.",
      ),
    inVpc: yesOrNo()
      .default(false)
      .describe("Run builds in the VPC, so that they come from the NAT gateways' fixed addresses."),
    logRetentionInDays: logRetentionInDays.default(30).describe("How long build logs are kept, in days."),
  })
  .prefault({});

const httpPath = matching(/^\/[A-Za-z0-9._~/-]{0,199}$/, "a path such as /healthz").refine(
  (path) => !/\/\/|\/\.{1,2}(\/|$)/.test(path),
  "must not contain //, or . or .. as a folder",
);

const serviceSchema = z
  .strictObject({
    allowedCidrs: distinct(cidr, 1, 50, "networks").describe("Networks that may reach production."),
    testAllowedCidrs: distinct(cidr, 1, 50, "networks")
      .optional()
      .describe("Networks that may reach the test listener (8080); without it, those of production."),
    certificateArn: matching(
      /^arn:aws[a-z-]*:acm:[a-z0-9-]+:\d{12}:certificate\/[A-Za-z0-9-]+$/,
      "the ARN of an ACM certificate",
    )
      .optional()
      .describe(
        "Certificate: production is then 443 and 80 redirects; the test listener speaks TLS too. Without it, production is 80.",
      ),
    port: wholeNumber(1, 65_535).default(80).describe("Port that the container listens on."),
    cpu: z
      .literal(
        Object.keys(FARGATE_SIZES).map(Number),
        `must be one of ${Object.keys(FARGATE_SIZES).join(", ")}`,
      )
      .default(256)
      .describe("CPU units of a task: 1,024 = one vCPU."),
    memory: z
      .int("must be a whole number that Fargate has for this cpu")
      .default(512)
      .describe("Memory of a task, in MiB."),
    desiredCount: wholeNumber(1, 1000)
      .default(2)
      .describe("Tasks at first. Changed by hand or by autoscaling later without Terraform's objection."),
    healthCheckPath: httpPath.default("/").describe("Answers 2xx or 3xx when a task is well."),
    containerName: matching(/^[A-Za-z0-9][A-Za-z0-9_-]{0,254}$/, "a container name")
      .default("app")
      .describe("Name of the container in the task definition."),
    accessLog: yesOrNo()
      .default(false)
      .describe("Access log of the load balancer, in a bucket of its own (S3's price)."),
    containerInsights: yesOrNo()
      .default(true)
      .describe("Container Insights of the cluster (about 0.30 USD a month for each metric)."),
    logRetentionInDays: logRetentionInDays
      .default(30)
      .describe("How long the container's log is kept, in days."),
  })
  .superRefine(
    ({ cpu, memory }, context) => {
      const sizes = FARGATE_SIZES[cpu] ?? [];
      if (!sizes.includes(memory)) {
        context.addIssue({
          code: "custom",
          path: ["memory"],
          message: `must be one of ${sizes.join(", ")} with cpu ${cpu}`,
          input: memory,
        });
      }
    },
    whenWell("cpu", "memory"),
  )
  .superRefine(
    ({ allowedCidrs, testAllowedCidrs = allowedCidrs, certificateArn }, context) => {
      const rules = allowedCidrs.length * (certificateArn ? 2 : 1) + testAllowedCidrs.length;
      if (rules > INGRESS_RULES_MAX) {
        context.addIssue({
          code: "custom",
          path: ["allowedCidrs"],
          message: `and testAllowedCidrs must make at most ${INGRESS_RULES_MAX} rules of a security group (with a certificate each production network needs two)`,
          input: rules,
        });
      }
    },
    whenWell("allowedCidrs", "testAllowedCidrs", "certificateArn"),
  );

const deploymentSchema = z
  .strictObject({
    configName: matching(
      /^[A-Za-z0-9+=,.@_-]{1,100}$/,
      "a CodeDeploy configuration such as CodeDeployDefault.ECSCanary10Percent5Minutes",
    )
      .default("CodeDeployDefault.ECSAllAtOnce")
      .describe("How production traffic moves to the new version."),
    stopUnlessReroutedWithinMinutes: wholeNumber(1, 2880)
      .optional()
      .describe(
        'Stop, and roll back, unless somebody reroutes by hand within so many minutes; until then the new version is on the test listener only. Without it the traffic moves at once (CodeDeploy has no "wait, then go on").',
      ),
    terminationWaitTimeInMinutes: wholeNumber(0, 2880)
      .default(5)
      .describe(
        "How long the old version is kept for a quick way back, in minutes; the pipeline's deploy stage lasts as long.",
      ),
    approval: yesOrNo().default(false).describe("Ask a person in CodePipeline before each deployment."),
  })
  .prefault({});

/** The system `backlog-docker-build`: from a push to a container on ECS. */
export const backlogDockerBuildSchema = z
  .strictObject({
    branch: branchName.describe("The branch that goes live."),
    buildOnlyBranches: distinct(branchPattern, 0, 20, "branch names and patterns")
      .default([])
      .describe(
        "Further branches whose image is built and pushed, without a deployment; `*` stands for any characters.",
      ),
    network: networkSchema,
    build: buildSchema,
    service: serviceSchema,
    deployment: deploymentSchema,
  })
  .superRefine(
    ({ branch, buildOnlyBranches }, context) => {
      if (buildOnlyBranches.includes(branch)) {
        context.addIssue({
          code: "custom",
          path: ["buildOnlyBranches"],
          message: "must not name the branch that goes live",
          input: branch,
        });
      }
      const { length } = [branch, ...buildOnlyBranches].map((name) => `refs/heads/${name}`).join("\n");
      if (length > ENVIRONMENT_VARIABLE_MAX_LENGTH) {
        context.addIssue({
          code: "custom",
          path: ["buildOnlyBranches"],
          message: `must have at most ${ENVIRONMENT_VARIABLE_MAX_LENGTH} characters in all (CodeBuild's limit for a variable)`,
          input: length,
        });
      }
    },
    whenWell("branch", "buildOnlyBranches"),
  );
