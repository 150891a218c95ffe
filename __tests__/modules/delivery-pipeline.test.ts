import { readable, synthesise } from "../support/stack";

const stack = synthesise();
const APPLICATION =
  "arn:<partition>:codedeploy:ap-northeast-1:<account>:application:<aws_codedeploy_app.deployment_application.name>";
const TASK_ROLES = ["<aws_iam_role.service_execution_role.arn>", "<aws_iam_role.service_task_role.arn>"];
const BUCKET = "<aws_s3_bucket.artifacts.arn>";

const permissions = (path: string) =>
  stack
    .statements(`${path}/permissions`)
    .map(({ sid, actions, resources }) => [sid, actions, resources.map(readable)]);

test("DeliveryPipeline may do this, and nothing else", () => {
  expect(permissions("pipeline/role")).toEqual([
    [
      "ReadPublished",
      ["s3:GetObject", "s3:GetObjectTagging", "s3:GetObjectVersion", "s3:GetObjectVersionTagging"],
      [`${BUCKET}/published/artifact.zip`],
    ],
    ["SeeBucket", ["s3:GetBucketAcl", "s3:GetBucketLocation", "s3:GetBucketVersioning"], [BUCKET]],
    [
      "KeepArtifacts",
      ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject", "s3:PutObjectAcl"],
      [`${BUCKET}/*`],
    ],
    [
      "RegisterRevision",
      [
        "codedeploy:GetApplication",
        "codedeploy:GetApplicationRevision",
        "codedeploy:RegisterApplicationRevision",
      ],
      [APPLICATION, `${APPLICATION}/*`],
    ],
    [
      "Deploy",
      ["codedeploy:CreateDeployment", "codedeploy:GetDeployment"],
      ["<aws_codedeploy_deployment_group.deployment.arn>"],
    ],
    [
      "ReadDeploymentConfig",
      ["codedeploy:GetDeploymentConfig"],
      [
        "arn:<partition>:codedeploy:ap-northeast-1:<account>:deploymentconfig:<aws_codedeploy_deployment_group.deployment.deployment_config_name>",
      ],
    ],
    ["RegisterTaskDefinition", ["ecs:RegisterTaskDefinition"], ["*"]],
    ["PassTaskRoles", ["iam:PassRole"], TASK_ROLES],
  ]);
});

test("CodeDeploy may do this, and nothing else", () => {
  const SERVICE = "<aws_ecs_service.service.id>";
  expect(permissions("deployment/role")).toEqual([
    ["MoveService", ["ecs:DescribeServices", "ecs:UpdateServicePrimaryTaskSet"], [SERVICE]],
    [
      "ManageTaskSets",
      ["ecs:CreateTaskSet", "ecs:DeleteTaskSet"],
      [
        SERVICE,
        "arn:<partition>:ecs:ap-northeast-1:<account>:task-set/<aws_ecs_cluster.service_cluster.name>/<aws_ecs_service.service.name>/*",
      ],
    ],
    [
      "SeeTraffic",
      [
        "elasticloadbalancing:DescribeListeners",
        "elasticloadbalancing:DescribeRules",
        "elasticloadbalancing:DescribeTargetGroups",
        "elasticloadbalancing:DescribeTargetHealth",
      ],
      ["*"],
    ],
    [
      "ShiftTraffic",
      ["elasticloadbalancing:ModifyListener"],
      [
        "<aws_lb_listener.service_load_balancer_production.arn>",
        "<aws_lb_listener.service_load_balancer_test.arn>",
      ],
    ],
    [
      "ShiftTrafficOfRules",
      ["elasticloadbalancing:ModifyRule"],
      ["production", "test"].map(
        (listener) =>
          `<replace(aws_lb_listener.service_load_balancer_${listener}.arn, ":listener/", ":listener-rule/")>/*`,
      ),
    ],
    ["SeeAlarms", ["cloudwatch:DescribeAlarms"], ["*"]],
    ["ReadRevision", ["s3:GetObject", "s3:GetObjectVersion"], [`${BUCKET}/*`]],
    ["PassTaskRoles", ["iam:PassRole"], TASK_ROLES],
  ]);
});

test("the pipeline hands the artifact's files to CodeDeploy by the names that the build gives them", () => {
  const { stage, pipeline_type, execution_mode } = stack.one("aws_codepipeline");
  expect([pipeline_type, execution_mode]).toEqual(["V2", "SUPERSEDED"]);
  const [source, deploy] = stage.map(({ action }: { action: object[] }) => action[0]);
  const [artifact] = source.output_artifacts;
  expect(deploy).toMatchObject({ provider: "CodeDeployToECS", input_artifacts: [artifact] });
  expect(deploy.configuration).toMatchObject({
    TaskDefinitionTemplateArtifact: artifact,
    TaskDefinitionTemplatePath: "taskdef.json",
    AppSpecTemplateArtifact: artifact,
    AppSpecTemplatePath: "appspec.yaml",
    Image1ArtifactName: artifact,
    Image1ContainerName: "IMAGE1_NAME",
  });
});

test("what could not start the pipeline is kept for two weeks, encrypted, from this rule alone", () => {
  const queue = stack.one("aws_sqs_queue", "pipeline/dead_letters");
  expect(queue).toMatchObject({ message_retention_seconds: 14 * 86_400, sqs_managed_sse_enabled: true });
  expect(stack.statements("pipeline/dead_letters/senders")).toEqual([
    {
      sid: "UndeliveredByRule",
      principals: [{ type: "Service", identifiers: ["events.amazonaws.com"] }],
      actions: ["sqs:SendMessage"],
      resources: [expect.stringMatching(/^\$\{aws_sqs_queue\.pipeline_dead_letters_\w+\.arn\}$/)],
      condition: [
        {
          test: "ArnEquals",
          variable: "aws:SourceArn",
          values: [expect.stringMatching(/^\$\{aws_cloudwatch_event_rule\.pipeline_rule_\w+\.arn\}$/)],
        },
      ],
    },
  ]);
});

test("the deployment's alarms leave a target group alone that has no healthy target yet", () => {
  for (const colour of ["blue", "green"]) {
    const { metric_query } = stack.one("aws_cloudwatch_metric_alarm", `deployment/${colour}_unhealthy`);
    const [expression, ...metrics] = metric_query;
    expect(expression).toMatchObject({ expression: "IF(healthy > 0, unhealthy, 0)", return_data: true });
    expect(
      metrics.map(({ id, metric }: { id: string; metric: { metric_name: string } }) => [
        id,
        metric.metric_name,
      ]),
    ).toEqual([
      ["healthy", "HealthyHostCount"],
      ["unhealthy", "UnHealthyHostCount"],
    ]);
  }
});
