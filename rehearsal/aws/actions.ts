import type { Context } from "./iam-patterns";
import type { JsonService } from "./json-api";
import type { AwsRequest } from "./local-aws";

/** One permission that a call needs. */
export interface Requirement {
  /** IAM action: not always the name of the API operation. */
  readonly action: string;
  /** ARN; `*` where AWS has no resource level. */
  readonly resource: string;
  /** Condition keys that this call sends beside the ones every call has. */
  readonly context?: Context;
}

/** What the table needs to know of the account: names for ARNs, and calls as the administrator to complete them. */
export interface Account {
  readonly region: string;
  readonly accountId: string;
  // biome-ignore lint/suspicious/noExplicitAny: the shape depends on the operation
  call(service: JsonService, operation: string, parameters: unknown): Promise<any>;
}

// biome-ignore lint/suspicious/noExplicitAny: the parameters' shape depends on the operation
type Parameters = any;
type Rule = (
  parameters: Parameters,
  account: Account,
  headers: Readonly<Record<string, string>>,
) => readonly Requirement[] | Promise<readonly Requirement[]>;

/**
 * The permissions that a call needs, as the Service Authorization Reference has them; undefined when this table
 * does not know the call. It holds what the roles of a deployment call, so that a new call is added on purpose.
 *
 * @see https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
 */
export async function requirementsOf(
  { service, action, parameters, headers }: AwsRequest,
  account: Account,
): Promise<readonly Requirement[] | undefined> {
  const rules = Object.hasOwn(RULES, service) ? RULES[service] : undefined;
  const rule = rules && Object.hasOwn(rules, action) ? rules[action] : undefined;
  return rule?.(parameters, account, headers);
}

const CODEBUILD: Record<string, Rule> = {
  // What is no name gets its own error from CodeBuild; then there is nothing to permit.
  StartBuild: ({ projectName }, account) =>
    typeof projectName === "string"
      ? [{ action: "codebuild:StartBuild", resource: arn(account, "codebuild", `project/${projectName}`) }]
      : [],
  BatchGetBuilds: ({ ids = [] }: { ids?: string[] }, account) =>
    ids.map((id) => ({
      action: "codebuild:BatchGetBuilds",
      resource: arn(account, "codebuild", `project/${named(id).split(":")[0]}`),
    })),
};

const CODEDEPLOY: Record<string, Rule> = {
  GetApplication: onApplication("GetApplication"),
  GetApplicationRevision: onApplication("GetApplicationRevision"),
  RegisterApplicationRevision: onApplication("RegisterApplicationRevision"),
  CreateDeployment: ({ applicationName, deploymentGroupName }, account) => [
    {
      action: "codedeploy:CreateDeployment",
      resource: arn(account, "codedeploy", `deploymentgroup:${applicationName}/${deploymentGroupName}`),
    },
  ],
  GetDeployment: async ({ deploymentId }, account) => {
    const { deploymentInfo } = await account.call("codedeploy", "GetDeployment", { deploymentId });
    const { applicationName, deploymentGroupName } = deploymentInfo;
    return [
      {
        action: "codedeploy:GetDeployment",
        resource: arn(account, "codedeploy", `deploymentgroup:${applicationName}/${deploymentGroupName}`),
      },
    ];
  },
  GetDeploymentConfig: ({ deploymentConfigName }, account) => [
    {
      action: "codedeploy:GetDeploymentConfig",
      resource: arn(account, "codedeploy", `deploymentconfig:${deploymentConfigName}`),
    },
  ],
};

const ECR: Record<string, Rule> = {
  GetAuthorizationToken: () => [{ action: "ecr:GetAuthorizationToken", resource: "*" }],
  ...Object.fromEntries(
    [
      "BatchCheckLayerAvailability",
      "BatchGetImage",
      "CompleteLayerUpload",
      "DescribeImages",
      "DescribeRepositories",
      "GetDownloadUrlForLayer",
      "InitiateLayerUpload",
      "ListImages",
      "PutImage",
      "UploadLayerPart",
    ].map((operation): [string, Rule] => [
      operation,
      ({ repositoryName, repositoryNames }, account) =>
        [repositoryName ?? repositoryNames ?? "*"].flat().map((name: string) => ({
          action: `ecr:${operation}`,
          resource: arn(account, "ecr", `repository/${name}`),
        })),
    ]),
  ),
};

const ECS: Record<string, Rule> = {
  // No resource level: a statement with the ARN of a task definition family does not match.
  RegisterTaskDefinition: ({ tags, ...definition }, account) => [
    { action: "ecs:RegisterTaskDefinition", resource: "*" },
    ...(tags?.length
      ? [
          {
            action: "ecs:TagResource",
            resource: arn(account, "ecs", `task-definition/${definition.family}:*`),
          },
        ]
      : []),
    ...passedRoles(definition),
  ],
  DescribeServices: ({ cluster, services = [] }, account) =>
    services.map((service: string) => ({
      action: "ecs:DescribeServices",
      resource: arn(account, "ecs", `service/${named(cluster, "default")}/${named(service)}`),
    })),
  DescribeTaskDefinition: () => [{ action: "ecs:DescribeTaskDefinition", resource: "*" }],
  CreateTaskSet: async (parameters, account) => {
    const { taskDefinition } = await account.call("ecs", "DescribeTaskDefinition", {
      taskDefinition: parameters.taskDefinition,
    });
    return [
      onTaskSet("CreateTaskSet", { ...parameters, taskSet: "*" }, account),
      ...passedRoles(taskDefinition),
    ];
  },
  DeleteTaskSet: (parameters, account) => [onTaskSet("DeleteTaskSet", parameters, account)],
  DescribeTaskSets: ({ taskSets = ["*"], ...parameters }, account) =>
    taskSets.map((taskSet: string) => onTaskSet("DescribeTaskSets", { ...parameters, taskSet }, account)),
  UpdateServicePrimaryTaskSet: ({ cluster, service }, account) => [
    {
      action: "ecs:UpdateServicePrimaryTaskSet",
      resource: arn(account, "ecs", `service/${named(cluster)}/${named(service)}`),
      context: { "ecs:cluster": arn(account, "ecs", `cluster/${named(cluster)}`) },
    },
  ],
};

const ELASTICLOADBALANCING: Record<string, Rule> = {
  // The reading calls have no resource level.
  ...Object.fromEntries(
    ["DescribeListeners", "DescribeRules", "DescribeTargetGroups", "DescribeTargetHealth"].map(
      (operation): [string, Rule] => [
        operation,
        () => [{ action: `elasticloadbalancing:${operation}`, resource: "*" }],
      ],
    ),
  ),
  ModifyListener: ({ ListenerArn }) => [
    { action: "elasticloadbalancing:ModifyListener", resource: ListenerArn },
  ],
  ModifyRule: ({ RuleArn }) => [{ action: "elasticloadbalancing:ModifyRule", resource: RuleArn }],
};

const EVENTS: Record<string, Rule> = {
  PutEvents: ({ Entries }, account) =>
    // What is no list of entries gets its own error from the bus; then there is nothing to permit.
    (Array.isArray(Entries) ? Entries : []).map((entry) => ({
      action: "events:PutEvents",
      resource: arn(account, "events", `event-bus/${named(entry?.EventBusName, "default")}`),
      context: {
        "events:source": String(entry?.Source ?? ""),
        "events:detail-type": String(entry?.DetailType ?? ""),
        "events:eventBusInvocation": "false",
      },
    })),
};

const LOGS: Record<string, Rule> = {
  // AWS's own denials name these resources: the log group with `log-stream` and the stream's name, or none.
  CreateLogGroup: onLogStream("CreateLogGroup"),
  CreateLogStream: onLogStream("CreateLogStream"),
  DescribeLogStreams: onLogStream("DescribeLogStreams"),
  PutLogEvents: onLogStream("PutLogEvents"),
};

const S3: Record<string, Rule> = {
  GetObject: ({ Bucket, Key, VersionId }) => [
    { action: VersionId ? "s3:GetObjectVersion" : "s3:GetObject", resource: `arn:aws:s3:::${Bucket}/${Key}` },
  ],
  HeadObject: (parameters, account, headers) => S3.GetObject!(parameters, account, headers),
  GetObjectTagging: ({ Bucket, Key, VersionId }) => [
    {
      action: VersionId ? "s3:GetObjectVersionTagging" : "s3:GetObjectTagging",
      resource: `arn:aws:s3:::${Bucket}/${Key}`,
    },
  ],
  PutObject: ({ Bucket, Key }, _account, headers) =>
    [
      "s3:PutObject",
      ...(headers["x-amz-tagging"] ? ["s3:PutObjectTagging"] : []),
      ...(headers["x-amz-acl"] ? ["s3:PutObjectAcl"] : []),
    ].map((action) => ({ action, resource: `arn:aws:s3:::${Bucket}/${Key}` })),
  GetBucketAcl: onBucket("s3:GetBucketAcl"),
  GetBucketLocation: onBucket("s3:GetBucketLocation"),
  GetBucketVersioning: onBucket("s3:GetBucketVersioning"),
  HeadBucket: onBucket("s3:ListBucket"),
  ListObjects: onBucket("s3:ListBucket"),
  ListObjectsV2: onBucket("s3:ListBucket"),
};

const RULES: Readonly<Record<string, Readonly<Record<string, Rule>>>> = {
  codebuild: CODEBUILD,
  codedeploy: CODEDEPLOY,
  codepipeline: {
    StartPipelineExecution: ({ name }, account) => [
      { action: "codepipeline:StartPipelineExecution", resource: arn(account, "codepipeline", name) },
    ],
  },
  ecr: ECR,
  ecs: ECS,
  elasticloadbalancing: ELASTICLOADBALANCING,
  events: EVENTS,
  logs: LOGS,
  monitoring: {
    DescribeAlarms: (_parameters, account) => [
      { action: "cloudwatch:DescribeAlarms", resource: arn(account, "cloudwatch", "alarm:*") },
    ],
  },
  s3: S3,
  secretsmanager: {
    GetSecretValue: async ({ SecretId }, account) => {
      // The ARN ends in six random characters that a name does not tell.
      const { ARN } = await account.call("secretsmanager", "DescribeSecret", { SecretId });
      return [{ action: "secretsmanager:GetSecretValue", resource: ARN }];
    },
  },
  sns: { Publish: ({ TopicArn }) => [{ action: "sns:Publish", resource: TopicArn }] },
  sqs: {
    SendMessage: ({ QueueUrl }, account) => [
      { action: "sqs:SendMessage", resource: arn(account, "sqs", named(QueueUrl)) },
    ],
  },
  states: {
    StartExecution: ({ stateMachineArn }) => [{ action: "states:StartExecution", resource: stateMachineArn }],
  },
};

function onApplication(operation: string): Rule {
  return ({ applicationName }, account) => [
    {
      action: `codedeploy:${operation}`,
      resource: arn(account, "codedeploy", `application:${applicationName}`),
    },
  ];
}

function onBucket(action: string): Rule {
  return ({ Bucket }) => [{ action, resource: `arn:aws:s3:::${Bucket}` }];
}

function onLogStream(operation: string): Rule {
  return ({ logGroupName, logStreamName = "" }, account) => [
    {
      action: `logs:${operation}`,
      resource: arn(account, "logs", `log-group:${logGroupName}:log-stream:${logStreamName}`),
    },
  ];
}

function onTaskSet(
  operation: string,
  { cluster, service, taskSet }: Parameters,
  account: Account,
): Requirement {
  return {
    action: `ecs:${operation}`,
    // A task set is named by its ARN, or by its id `ecs-svc/<digits>`.
    resource: taskSet.startsWith("arn:")
      ? taskSet
      : arn(account, "ecs", `task-set/${named(cluster)}/${named(service)}/${taskSet}`),
    context: {
      "ecs:cluster": arn(account, "ecs", `cluster/${named(cluster)}`),
      "ecs:service": arn(account, "ecs", `service/${named(cluster)}/${named(service)}`),
    },
  };
}

/**
 * A task definition hands its roles to the tasks, so whoever registers or starts it must be allowed to pass them.
 *
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html
 */
function passedRoles(definition: { executionRoleArn?: string; taskRoleArn?: string }): Requirement[] {
  return [definition.executionRoleArn, definition.taskRoleArn]
    .filter((role) => role !== undefined)
    .map((role) => ({
      action: "iam:PassRole",
      resource: role,
      context: { "iam:PassedToService": "ecs-tasks.amazonaws.com" },
    }));
}

/** The last part of a name, ARN or URL: most calls take any of them. */
function named(nameOrArn: string | undefined, otherwise = ""): string {
  if (!nameOrArn) return otherwise;
  return nameOrArn.startsWith("arn:") || nameOrArn.includes("://") ? nameOrArn.split("/").at(-1)! : nameOrArn;
}

function arn({ region, accountId }: Account, service: string, resource: string): string {
  return `arn:aws:${service}:${region}:${accountId}:${resource}`;
}
