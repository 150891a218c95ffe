import { type Account, requirementsOf } from "../../../rehearsal/aws/actions";
import type { AwsRequest } from "../../../rehearsal/aws/local-aws";

const account: Account = {
  region: "eu-west-1",
  accountId: "123456789012",
  call: async (_service, operation) =>
    ({
      DescribeSecret: { ARN: "arn:aws:secretsmanager:eu-west-1:123456789012:secret:info-AbCdEf" },
      DescribeTaskDefinition: { taskDefinition: { executionRoleArn: "arn:aws:iam::123456789012:role/run" } },
      GetDeployment: { deploymentInfo: { applicationName: "app", deploymentGroupName: "group" } },
    })[operation],
};

function ask(service: string, action: string, parameters: object, headers: Record<string, string> = {}) {
  const request: AwsRequest = {
    service,
    action,
    parameters,
    headers,
    accessKeyId: "x",
    method: "POST",
    url: "/",
    body: Buffer.alloc(0),
  };
  return requirementsOf(request, account);
}

describe("requirementsOf", () => {
  test.each([
    [
      "codebuild",
      "StartBuild",
      { projectName: "p" },
      ["codebuild:StartBuild arn:aws:codebuild:eu-west-1:123456789012:project/p"],
    ],
    [
      "codebuild",
      "BatchGetBuilds",
      { ids: ["p:1"] },
      ["codebuild:BatchGetBuilds arn:aws:codebuild:eu-west-1:123456789012:project/p"],
    ],
    [
      "states",
      "StartExecution",
      { stateMachineArn: "arn:aws:states:eu-west-1:123456789012:stateMachine:m" },
      ["states:StartExecution arn:aws:states:eu-west-1:123456789012:stateMachine:m"],
    ],
    [
      "codepipeline",
      "StartPipelineExecution",
      { name: "p" },
      ["codepipeline:StartPipelineExecution arn:aws:codepipeline:eu-west-1:123456789012:p"],
    ],
    [
      "sqs",
      "SendMessage",
      { QueueUrl: "http://127.0.0.1:1/123456789012/dead" },
      ["sqs:SendMessage arn:aws:sqs:eu-west-1:123456789012:dead"],
    ],
    [
      "secretsmanager",
      "GetSecretValue",
      { SecretId: "info" },
      ["secretsmanager:GetSecretValue arn:aws:secretsmanager:eu-west-1:123456789012:secret:info-AbCdEf"],
    ],
    [
      "logs",
      "PutLogEvents",
      { logGroupName: "/g", logStreamName: "s" },
      ["logs:PutLogEvents arn:aws:logs:eu-west-1:123456789012:log-group:/g:log-stream:s"],
    ],
    [
      "logs",
      "CreateLogGroup",
      { logGroupName: "/g" },
      ["logs:CreateLogGroup arn:aws:logs:eu-west-1:123456789012:log-group:/g:log-stream:"],
    ],
    ["ecr", "GetAuthorizationToken", {}, ["ecr:GetAuthorizationToken *"]],
    [
      "ecr",
      "PutImage",
      { repositoryName: "a/b" },
      ["ecr:PutImage arn:aws:ecr:eu-west-1:123456789012:repository/a/b"],
    ],
    ["s3", "HeadObject", { Bucket: "b", Key: "k/l" }, ["s3:GetObject arn:aws:s3:::b/k/l"]],
    ["s3", "GetObject", { Bucket: "b", Key: "k", VersionId: "1" }, ["s3:GetObjectVersion arn:aws:s3:::b/k"]],
    ["s3", "ListObjectsV2", { Bucket: "b", Key: "" }, ["s3:ListBucket arn:aws:s3:::b"]],
    [
      "codedeploy",
      "CreateDeployment",
      { applicationName: "a", deploymentGroupName: "g" },
      ["codedeploy:CreateDeployment arn:aws:codedeploy:eu-west-1:123456789012:deploymentgroup:a/g"],
    ],
    [
      "codedeploy",
      "GetDeployment",
      { deploymentId: "d-1" },
      ["codedeploy:GetDeployment arn:aws:codedeploy:eu-west-1:123456789012:deploymentgroup:app/group"],
    ],
    [
      "elasticloadbalancing",
      "ModifyListener",
      { ListenerArn: "arn:l" },
      ["elasticloadbalancing:ModifyListener arn:l"],
    ],
    ["elasticloadbalancing", "DescribeTargetHealth", {}, ["elasticloadbalancing:DescribeTargetHealth *"]],
    [
      "monitoring",
      "DescribeAlarms",
      {},
      ["cloudwatch:DescribeAlarms arn:aws:cloudwatch:eu-west-1:123456789012:alarm:*"],
    ],
    [
      "ecs",
      "DescribeServices",
      { cluster: "arn:aws:ecs:eu-west-1:123456789012:cluster/c", services: ["s"] },
      ["ecs:DescribeServices arn:aws:ecs:eu-west-1:123456789012:service/c/s"],
    ],
    [
      "ecs",
      "DeleteTaskSet",
      { cluster: "c", service: "s", taskSet: "ecs-svc/1" },
      ["ecs:DeleteTaskSet arn:aws:ecs:eu-west-1:123456789012:task-set/c/s/ecs-svc/1"],
    ],
  ])("knows what %s %s needs", async (service, action, parameters, expected) => {
    const requirements = await ask(service, action, parameters);
    expect(requirements?.map(({ action, resource }) => `${action} ${resource}`)).toEqual(expected);
  });

  test("asks for every entry's bus, with its source and detail type", async () => {
    const Entries = [
      { Source: "a", DetailType: "b", EventBusName: "bus" },
      { EventBusName: "arn:aws:events:eu-west-1:123456789012:event-bus/two" },
    ];
    expect(await ask("events", "PutEvents", { Entries })).toEqual([
      {
        action: "events:PutEvents",
        resource: "arn:aws:events:eu-west-1:123456789012:event-bus/bus",
        context: { "events:source": "a", "events:detail-type": "b", "events:eventBusInvocation": "false" },
      },
      expect.objectContaining({ resource: "arn:aws:events:eu-west-1:123456789012:event-bus/two" }),
    ]);
  });

  test("asks for PassRole on both roles of a task definition, to ECS tasks only", async () => {
    const definition = {
      family: "f",
      executionRoleArn: "arn:run",
      taskRoleArn: "arn:task",
      tags: [{ key: "a" }],
    };
    const context = { "iam:PassedToService": "ecs-tasks.amazonaws.com" };
    expect(await ask("ecs", "RegisterTaskDefinition", definition)).toEqual([
      { action: "ecs:RegisterTaskDefinition", resource: "*" },
      { action: "ecs:TagResource", resource: "arn:aws:ecs:eu-west-1:123456789012:task-definition/f:*" },
      { action: "iam:PassRole", resource: "arn:run", context },
      { action: "iam:PassRole", resource: "arn:task", context },
    ]);
  });

  test("asks for the roles of the task definition that a task set starts", async () => {
    const requirements = await ask("ecs", "CreateTaskSet", {
      cluster: "c",
      service: "s",
      taskDefinition: "f:1",
    });
    expect(requirements).toContainEqual({
      action: "iam:PassRole",
      resource: "arn:aws:iam::123456789012:role/run",
      context: { "iam:PassedToService": "ecs-tasks.amazonaws.com" },
    });
  });

  test("asks for more when an object is put with tags or an ACL", async () => {
    const headers = { "x-amz-tagging": "a=b", "x-amz-acl": "private" };
    const requirements = await ask("s3", "PutObject", { Bucket: "b", Key: "k" }, headers);
    expect(requirements?.map(({ action }) => action)).toEqual([
      "s3:PutObject",
      "s3:PutObjectTagging",
      "s3:PutObjectAcl",
    ]);
  });

  test.each([
    ["s3", "Unknown"],
    ["iam", "CreateRole"],
    ["codebuild", "constructor"],
  ])("does not know %s %s", async (service, action) => {
    expect(await ask(service, action, {})).toBeUndefined();
  });
});
