import { CloudwatchLogGroup } from "@cdktf/provider-aws/lib/cloudwatch-log-group";
import { CodebuildProject } from "@cdktf/provider-aws/lib/codebuild-project";
import { SecurityGroup } from "@cdktf/provider-aws/lib/security-group";
import { VpcSecurityGroupEgressRule } from "@cdktf/provider-aws/lib/vpc-security-group-egress-rule";
import { Construct } from "constructs";
import { ENVIRONMENT_VARIABLE_MAX_LENGTH } from "../config/backlog";
import type { Config } from "../config/schema";
import type { Account } from "./account";
import type { ArtifactStore } from "./artifact-store";
import type { BlueGreenService } from "./blue-green-service";
import { renderBuildspec } from "./buildspec";
import { CacheRepository } from "./cache-repository";
import type { ImageRepository } from "./image-repository";
import type { Network } from "./network";
import { type PolicyStatement, ServiceRole } from "./service-role";
import type { SourceCredentials } from "./source-credentials";
import { escapeTerraform } from "./terraform-text";

/**
 * The longest inline buildspec that CodeBuild accepts, in characters.
 * @see https://github.com/aws/aws-cdk/issues/30326
 */
export const BUILDSPEC_MAX_LENGTH = 25_600;

/**
 * Maintained images with Docker and BuildKit.
 * @see https://docs.aws.amazon.com/codebuild/latest/userguide/build-env-ref-available.html
 */
const PLATFORMS = {
  x86_64: {
    type: "LINUX_CONTAINER",
    image: "aws/codebuild/amazonlinux-x86_64-standard:6.0",
    docker: "linux/amd64",
    ecs: "X86_64",
  },
  arm64: {
    type: "ARM_CONTAINER",
    image: "aws/codebuild/amazonlinux-aarch64-standard:4.0",
    docker: "linux/arm64",
    ecs: "ARM64",
  },
} as const;

export interface ImageBuildProps {
  readonly prefix: string;
  readonly account: Account;
  readonly removal: Config["project"]["removal"];
  readonly backlog: Config["backlog"];
  readonly settings: Config["backlogDockerBuild"]["build"];
  /** The ref that goes live. */
  readonly liveRef: string;
  /** Every ref that is built, `*` for any characters. */
  readonly refs: string[];
  readonly credentials: SourceCredentials;
  readonly repository: ImageRepository;
  readonly store: ArtifactStore;
  /** What the task definition is rendered for. */
  readonly service: BlueGreenService;
  readonly network: Network;
}

/** CodeBuild project that makes the image of one commit and publishes what should be live. */
export class ImageBuild extends Construct {
  public readonly project: CodebuildProject;

  constructor(scope: Construct, id: string, props: ImageBuildProps) {
    super(scope, id);
    const { prefix, settings } = props;
    const platform = PLATFORMS[settings.architecture];

    const logGroup = new CloudwatchLogGroup(this, "log", {
      name: `/aws/codebuild/${prefix}-image-build`,
      retentionInDays: settings.logRetentionInDays,
    });
    const cache =
      settings.cache === "registry" ? new CacheRepository(this, "cache", `${prefix}-build-cache`) : undefined;
    const name = `${prefix}-image-build`;
    const role = new ServiceRole(this, "role", {
      name,
      service: "codebuild.amazonaws.com",
      source: { account: props.account, arns: [props.account.arn("codebuild", `project/${name}`)] },
      statements: [
        ...buildStatements(props, logGroup, cache),
        ...(settings.inVpc ? vpcStatements(props) : []),
      ],
    });
    props.credentials.allowReading(role);

    const buildspec = renderBuildspec();
    if (buildspec.length > BUILDSPEC_MAX_LENGTH) {
      throw new Error(
        `the buildspec must have at most ${BUILDSPEC_MAX_LENGTH} characters (CodeBuild's limit), got: ${buildspec.length}`,
      );
    }

    this.project = new CodebuildProject(this, "Default", {
      name,
      description: `Image of one commit of ${props.backlog.projectKey}/${props.backlog.repository}`,
      serviceRole: role.arn,
      buildTimeout: settings.timeoutInMinutes,
      queuedTimeout: 480,
      source: { type: "NO_SOURCE", buildspec: escapeTerraform(buildspec) },
      // With artifacts CodeBuild would upload after a failed build too; the last script publishes by itself.
      artifacts: { type: "NO_ARTIFACTS" },
      logsConfig: { cloudwatchLogs: { groupName: logGroup.name } },
      environment: {
        type: platform.type,
        computeType: settings.computeType,
        image: platform.image,
        // docker build needs it.
        privilegedMode: true,
        environmentVariable: [
          ...Object.entries(environmentOf(props, platform, cache)).map(([variable, value]) => ({
            name: variable,
            value: bounded(variable, value),
          })),
          { name: "GIT_SSH_KEY", type: "SECRETS_MANAGER", value: `${props.credentials.secretArn}:ssh_key` },
        ],
      },
      ...(settings.inVpc ? { vpcConfig: this.placeInVpc(props) } : {}),
      dependsOn: [role.policy!, ...(settings.inVpc ? props.network.egress : [])],
    });
  }

  private placeInVpc({ prefix, network }: ImageBuildProps) {
    const group = new SecurityGroup(this, "group", {
      name: `${prefix}-image-build`,
      description: "Image builds",
      vpcId: network.vpc.id,
    });
    // Backlog by SSH, AWS and base images by HTTPS, package mirrors by HTTP.
    for (const port of [22, 80, 443]) {
      new VpcSecurityGroupEgressRule(this, `egress_${port}`, {
        securityGroupId: group.id,
        description: `Outward ${port}`,
        cidrIpv4: "0.0.0.0/0",
        ipProtocol: "tcp",
        fromPort: port,
        toPort: port,
      });
    }
    return {
      vpcId: network.vpc.id,
      subnets: network.privateSubnets.map((subnet) => subnet.id),
      securityGroupIds: [group.id],
    };
  }
}

function bounded(variable: string, value: string): string {
  if (value.length > ENVIRONMENT_VARIABLE_MAX_LENGTH) {
    throw new Error(
      `the variable ${variable} must have at most ${ENVIRONMENT_VARIABLE_MAX_LENGTH} characters (CodeBuild's limit), got: ${value.length}`,
    );
  }
  return value;
}

function environmentOf(
  { backlog, settings, service, repository, store, liveRef, refs }: ImageBuildProps,
  platform: (typeof PLATFORMS)[keyof typeof PLATFORMS],
  cache: CacheRepository | undefined,
): Record<string, string> {
  const host = `${backlog.space}.git.${backlog.domain}`;
  return {
    GIT_REMOTE: `ssh://${backlog.space}@${host}/${backlog.projectKey}/${backlog.repository}.git`,
    ...(backlog.knownHosts.length > 0 ? { GIT_KNOWN_HOSTS: backlog.knownHosts.join("\n") } : {}),
    GIT_HOST_KEY_CHECK: backlog.trustOnFirstUse ? "accept-new" : "pinned",
    LIVE_REF: liveRef,
    BUILD_REFS: refs.join("\n"),
    ECR_REPOSITORY_URI: repository.repository.repositoryUrl,
    BUILD_CACHE: settings.cache,
    ...(cache
      ? { CACHE_REPOSITORY_URI: cache.repository.repositoryUrl, BUILDKIT_IMAGE: settings.cacheBuilderImage }
      : {}),
    DOCKERFILE: settings.dockerfile,
    DOCKER_CONTEXT: settings.context,
    DOCKER_PLATFORM: platform.docker,
    DEPLOY_FILES: settings.deployFiles,
    ARTIFACT_BUCKET: store.bucket.bucket,
    ARTIFACT_KEY: store.artifactKey,
    TASK_FAMILY: service.taskDefinition.family,
    TASK_EXECUTION_ROLE_ARN: service.executionRole.arn,
    TASK_ROLE_ARN: service.taskRole.arn,
    CONTAINER_NAME: service.containerName,
    CONTAINER_PORT: String(service.settings.port),
    CPU: String(service.settings.cpu),
    MEMORY: String(service.settings.memory),
    CPU_ARCHITECTURE: platform.ecs,
    LOG_GROUP_NAME: service.logGroup.name,
    LOG_STREAM_PREFIX: service.logStreamPrefix,
  };
}

function buildStatements(
  { credentials, repository, store }: ImageBuildProps,
  logGroup: CloudwatchLogGroup,
  cache: CacheRepository | undefined,
): PolicyStatement[] {
  const push = [
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:CompleteLayerUpload",
    "ecr:GetDownloadUrlForLayer",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
  ];
  return [
    {
      sid: "WriteLog",
      actions: ["logs:CreateLogStream", "logs:PutLogEvents"],
      // The streams of this group: CodeBuild names one after each build.
      resources: [`${logGroup.arn}:*`],
    },
    { sid: "ReadSshKey", actions: ["secretsmanager:GetSecretValue"], resources: [credentials.secretArn] },
    // ECR has no resource level for it.
    { sid: "LogInToRegistry", actions: ["ecr:GetAuthorizationToken"], resources: ["*"] },
    { sid: "PushImage", actions: [...push, "ecr:DescribeImages"], resources: [repository.repository.arn] },
    ...(cache ? [{ sid: "PushCache", actions: push, resources: [cache.repository.arn] }] : []),
    { sid: "PublishArtifact", actions: ["s3:GetObject", "s3:PutObject"], resources: [store.artifactArn] },
    // Without it S3 answers 403, not 404, while nothing is published yet.
    { sid: "TellAbsentArtifact", actions: ["s3:ListBucket"], resources: [store.bucket.arn] },
  ];
}

/** @see https://docs.aws.amazon.com/codebuild/latest/userguide/auth-and-access-control-iam-identity-based-access-control.html#customer-managed-policies-example-create-vpc-network-interface */
function vpcStatements({ account, network }: ImageBuildProps): PolicyStatement[] {
  return [
    {
      sid: "ManageNetworkInterfaces",
      actions: [
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:DescribeDhcpOptions",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeSubnets",
        "ec2:DescribeVpcs",
      ],
      // EC2 has no resource level for the Describe calls, and CodeBuild documents the others on all resources.
      resources: ["*"],
    },
    {
      sid: "AttachNetworkInterfaces",
      actions: ["ec2:CreateNetworkInterfacePermission"],
      // The interface is CodeBuild's and made anew for each build; the conditions bind it to these subnets.
      resources: [account.arn("ec2", "network-interface/*")],
      condition: [
        { test: "StringEquals", variable: "ec2:AuthorizedService", values: ["codebuild.amazonaws.com"] },
        {
          test: "ArnEquals",
          variable: "ec2:Subnet",
          values: network.privateSubnets.map((subnet) => subnet.arn),
        },
      ],
    },
  ];
}
