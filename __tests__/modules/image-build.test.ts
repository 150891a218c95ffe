import { BUILDSPEC_MAX_LENGTH } from "../../modules/image-build";
import { BacklogDockerBuild } from "../../stacks/backlog-docker-build";
import { config, type Json, readable, type Synthesised, synthesise, synthesiseWith } from "../support/stack";
import { VARIANTS } from "../support/variants";

const shipped = synthesise();
const everything = synthesise(VARIANTS.everything);

const variables = (stack: Synthesised): Record<string, string> =>
  Object.fromEntries(
    stack
      .one("aws_codebuild_project")
      .environment.environment_variable.map(({ name, value }: Json) => [name, readable(value)]),
  );

describe("ImageBuild", () => {
  test("gives the scripts the variables that they read", () => {
    expect(variables(shipped)).toEqual({
      GIT_REMOTE: "ssh://example@example.git.backlog.jp/PROJ/app.git",
      GIT_KNOWN_HOSTS: config().backlog.knownHosts.join("\n"),
      GIT_HOST_KEY_CHECK: "pinned",
      GIT_SSH_KEY: "<aws_secretsmanager_secret.credentials_backlog_info.arn>:ssh_key",
      LIVE_REF: "refs/heads/main",
      BUILD_REFS: "refs/heads/main",
      ECR_REPOSITORY_URI: "<aws_ecr_repository.images.repository_url>",
      BUILD_CACHE: "inline",
      DOCKERFILE: "docker/Dockerfile",
      DOCKER_CONTEXT: "docker",
      DOCKER_PLATFORM: "linux/amd64",
      DEPLOY_FILES: "codesries_asset",
      ARTIFACT_BUCKET: "<aws_s3_bucket.artifacts.bucket>",
      ARTIFACT_KEY: "published/artifact.zip",
      TASK_FAMILY: "<aws_ecs_task_definition.service_placeholder.family>",
      TASK_EXECUTION_ROLE_ARN: "<aws_iam_role.service_execution_role.arn>",
      TASK_ROLE_ARN: "<aws_iam_role.service_task_role.arn>",
      CONTAINER_NAME: "app",
      CONTAINER_PORT: "80",
      CPU: "256",
      MEMORY: "512",
      CPU_ARCHITECTURE: "X86_64",
      LOG_GROUP_NAME: "<aws_cloudwatch_log_group.service_log.name>",
      LOG_STREAM_PREFIX: "ecs",
    });
  });

  test("adds what a registry cache needs, in a repository of its own", () => {
    expect(variables(everything)).toMatchObject({
      BUILD_CACHE: "registry",
      CACHE_REPOSITORY_URI: "<aws_ecr_repository.build_cache.repository_url>",
      BUILDKIT_IMAGE: "moby/buildkit:v0.26.2",
      BUILD_REFS: "refs/heads/main\nrefs/heads/feature/*",
      DOCKER_PLATFORM: "linux/arm64",
      CPU_ARCHITECTURE: "ARM64",
    });
    expect(everything.one("aws_ecr_repository", "build/cache").image_tag_mutability).toBe("MUTABLE");
    expect(everything.statement("build/role/permissions", "PushCache").resources.map(readable)).toEqual([
      "<aws_ecr_repository.build_cache.arn>",
    ]);
  });

  test("keeps every variable and the buildspec within CodeBuild's limits", () => {
    for (const stack of [shipped, everything]) {
      const { source } = stack.one("aws_codebuild_project");
      expect(source.buildspec.length).toBeLessThanOrEqual(BUILDSPEC_MAX_LENGTH);
      for (const value of Object.values(variables(stack))) expect(value.length).toBeLessThanOrEqual(4096);
    }
  });

  test("refuses a variable that CodeBuild would refuse, even where the configuration let it through", () => {
    const { backlog, ...rest } = config();
    const knownHosts = ["x".repeat(4097)];
    expect(() =>
      synthesiseWith((app) => new BacklogDockerBuild(app, { ...rest, backlog: { ...backlog, knownHosts } })),
    ).toThrow(
      "the variable GIT_KNOWN_HOSTS must have at most 4096 characters (CodeBuild's limit), got: 4097",
    );
  });

  test("may do this, and nothing else", () => {
    const push = [
      "ecr:BatchCheckLayerAvailability",
      "ecr:BatchGetImage",
      "ecr:CompleteLayerUpload",
      "ecr:GetDownloadUrlForLayer",
      "ecr:InitiateLayerUpload",
      "ecr:PutImage",
      "ecr:UploadLayerPart",
      "ecr:DescribeImages",
    ];
    const statements = shipped
      .statements("build/role/permissions")
      .map(({ sid, actions, resources, condition }) => [sid, actions, resources.map(readable), condition]);
    expect(statements).toEqual([
      [
        "WriteLog",
        ["logs:CreateLogStream", "logs:PutLogEvents"],
        ["<aws_cloudwatch_log_group.build_log.arn>:*"],
        undefined,
      ],
      [
        "ReadSshKey",
        ["secretsmanager:GetSecretValue"],
        ["<aws_secretsmanager_secret.credentials_backlog_info.arn>"],
        undefined,
      ],
      ["LogInToRegistry", ["ecr:GetAuthorizationToken"], ["*"], undefined],
      ["PushImage", push, ["<aws_ecr_repository.images.arn>"], undefined],
      [
        "PublishArtifact",
        ["s3:GetObject", "s3:PutObject"],
        ["<aws_s3_bucket.artifacts.arn>/published/artifact.zip"],
        undefined,
      ],
      ["TellAbsentArtifact", ["s3:ListBucket"], ["<aws_s3_bucket.artifacts.arn>"], undefined],
    ]);
  });

  test("is the only one whom the generated secret's policy lets read it", () => {
    expect(shipped.statement("credentials/policy", "ReadByBuild")).toEqual({
      sid: "ReadByBuild",
      principals: [
        { type: "AWS", identifiers: [expect.stringMatching(/^\$\{aws_iam_role\.build_role_\w+\.arn\}$/)] },
      ],
      actions: ["secretsmanager:GetSecretValue"],
      resources: ["*"],
    });
    expect(synthesise(VARIANTS["own secret"]).all("aws_secretsmanager_secret_policy")).toEqual([]);
  });

  test("waits for its permissions, and in the VPC for the way out", () => {
    const waits = (stack: Synthesised) => stack.one("aws_codebuild_project").depends_on.map(readable);
    expect(waits(shipped)).toEqual(["aws_iam_role_policy.build_role_inline"]);
    expect(waits(everything)).toEqual([
      "aws_iam_role_policy.build_role_inline",
      "aws_route.network_private_1_internet",
      "aws_route.network_private_2_internet",
    ]);
  });

  test("in the VPC stands in the private subnets, and may make interfaces only there", () => {
    expect(shipped.one("aws_codebuild_project").vpc_config).toBeUndefined();
    const { vpc_config } = everything.one("aws_codebuild_project");
    expect(vpc_config.subnets.map(readable)).toEqual([
      "<aws_subnet.network_private_1.id>",
      "<aws_subnet.network_private_2.id>",
    ]);
    const { condition } = everything.statement("build/role/permissions", "AttachNetworkInterfaces");
    expect(condition).toEqual([
      { test: "StringEquals", variable: "ec2:AuthorizedService", values: ["codebuild.amazonaws.com"] },
      { test: "ArnEquals", variable: "ec2:Subnet", values: [expect.any(String), expect.any(String)] },
    ]);
    expect(condition[1].values.map(readable)).toEqual([
      "<aws_subnet.network_private_1.arn>",
      "<aws_subnet.network_private_2.arn>",
    ]);
    const ports = everything
      .all("aws_vpc_security_group_egress_rule")
      .filter(({ path }) => path.startsWith("build/"))
      .map(({ body }) => body.from_port);
    expect(ports.sort()).toEqual([22, 443, 80]);
  });
});
