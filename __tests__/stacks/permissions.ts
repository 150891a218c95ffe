/** A statement that names more than single things, and why it has to. */
export interface Wildcard {
  /** Actions and resources with `*`; `everybody` for a principal `*`. */
  readonly wildcards: readonly string[];
  readonly reason: string;
}

/** Every `*` in a policy of the stack: path of the document and sid -> what, and why. */
export const WILDCARDS: Readonly<Record<string, Wildcard>> = {
  "artifacts/tls_only DenyWithoutTls": {
    wildcards: ["s3:*", "<aws_s3_bucket.artifacts.arn>/*", "everybody"],
    reason: "A Deny, which should hold for everybody and everything",
  },
  "build/role/permissions AttachNetworkInterfaces": {
    wildcards: ["arn:<partition>:ec2:ap-northeast-1:<account>:network-interface/*"],
    reason: "The interface is made anew for each build; conditions bind it to CodeBuild and these subnets",
  },
  "build/role/permissions LogInToRegistry": {
    wildcards: ["*"],
    reason: "ecr:GetAuthorizationToken has no resource level",
  },
  "build/role/permissions ManageNetworkInterfaces": {
    wildcards: ["*"],
    reason:
      "EC2's Describe calls have no resource level, and CodeBuild documents the others on all resources",
  },
  "build/role/permissions WriteLog": {
    wildcards: ["<aws_cloudwatch_log_group.build_log.arn>:*"],
    reason: "The streams of one log group: CodeBuild names one after each build",
  },
  "credentials/policy ReadByBuild": {
    wildcards: ["*"],
    reason: "In the policy of a secret * is that secret",
  },
  "deployment/role/permissions ManageTaskSets": {
    wildcards: [
      "arn:<partition>:ecs:ap-northeast-1:<account>:task-set/<aws_ecs_cluster.service_cluster.name>/<aws_ecs_service.service.name>/*",
    ],
    reason: "The task sets of one service: ECS chooses the id of each new one",
  },
  "deployment/role/permissions ReadRevision": {
    wildcards: ["<aws_s3_bucket.artifacts.arn>/*"],
    reason: "CodePipeline chooses the key under which it hands a revision over",
  },
  "deployment/role/permissions SeeAlarms": {
    wildcards: ["*"],
    reason: "CodeDeploy asks for all alarms of the group in one call",
  },
  "deployment/role/permissions SeeTraffic": {
    wildcards: ["*"],
    reason: "Elastic Load Balancing's Describe calls have no resource level",
  },
  "deployment/role/permissions ShiftTrafficOfRules": {
    wildcards: [
      '<replace(aws_lb_listener.service_load_balancer_production.arn, ":listener/", ":listener-rule/")>/*',
      '<replace(aws_lb_listener.service_load_balancer_test.arn, ":listener/", ":listener-rule/")>/*',
    ],
    reason: "The rules of the two listeners, whose ids ELB chooses",
  },
  "network/s3_policy PublishArtifacts": {
    wildcards: ["<aws_s3_bucket.artifacts.arn>/*", "everybody"],
    reason:
      "An endpoint limits where to, here the bucket of the artifacts; who may do what is said by the roles",
  },
  "network/s3_policy ReadEcrLayers": {
    wildcards: ["arn:<partition>:s3:::prod-ap-northeast-1-starport-layer-bucket/*", "everybody"],
    reason: "ECR hands out addresses of its own choice in this bucket, signed by itself",
  },
  "network/s3_policy UseConfiguredBuckets": {
    wildcards: ["s3:*", "arn:<partition>:s3:::assets-*", "arn:<partition>:s3:::assets-*/*", "everybody"],
    reason: "Buckets that the configuration names; what may be done there is said by the roles",
  },
  "pipeline/role/permissions KeepArtifacts": {
    wildcards: ["<aws_s3_bucket.artifacts.arn>/*"],
    reason: "CodePipeline chooses the keys of its copies",
  },
  "pipeline/role/permissions RegisterRevision": {
    wildcards: [
      "arn:<partition>:codedeploy:ap-northeast-1:<account>:application:<aws_codedeploy_app.deployment_application.name>/*",
    ],
    reason: "The revisions of one application",
  },
  "pipeline/role/permissions RegisterTaskDefinition": {
    wildcards: ["*"],
    reason: "ecs:RegisterTaskDefinition has no resource level",
  },
  "service/execution_role/permissions LogInToRegistry": {
    wildcards: ["*"],
    reason: "ecr:GetAuthorizationToken has no resource level",
  },
  "service/execution_role/permissions WriteLog": {
    wildcards: ["<aws_cloudwatch_log_group.service_log.arn>:*"],
    reason: "The streams of one log group: ECS names one after each task",
  },
  "service/load_balancer/log_writers DeliveredByLoadBalancer": {
    wildcards: ["<aws_s3_bucket.service_load_balancer_log.arn>/AWSLogs/<account>/*"],
    reason: "Elastic Load Balancing chooses the keys of the logs, below the account's folder",
  },
  "service/load_balancer/log_writers DenyWithoutTls": {
    wildcards: ["s3:*", "<aws_s3_bucket.service_load_balancer_log.arn>/*", "everybody"],
    reason: "A Deny, which should hold for everybody and everything",
  },
  "webhook/senders AllowPush": {
    wildcards: ["<aws_api_gateway_rest_api.webhook.execution_arn>/*", "everybody"],
    reason: "Backlog signs nothing and has no account; the Deny beside it leaves only its addresses",
  },
  "webhook/senders DenyOtherSenders": {
    wildcards: ["<aws_api_gateway_rest_api.webhook.execution_arn>/*", "everybody"],
    reason: "A Deny, which should hold for everybody outside of the list",
  },
};

/** Who may assume a role. */
export interface Trust {
  readonly service: string;
  /** Operator and key of each condition. */
  readonly keys: readonly string[];
  readonly reason: string;
}

const BOTH = ["StringEquals aws:SourceAccount", "ArnLike aws:SourceArn"];

/** Every role of the stack: its path -> the service that assumes it, and why with these conditions or without any. */
export const TRUST: Readonly<Record<string, Trust>> = {
  "build/role": {
    service: "codebuild.amazonaws.com",
    keys: BOTH,
    reason: "CodeBuild documents both keys, with the project's ARN",
  },
  "deployment/role": {
    service: "codedeploy.amazonaws.com",
    keys: [],
    reason: "CodeDeploy documents no keys that it sends",
  },
  "pipeline/role": {
    service: "codepipeline.amazonaws.com",
    keys: BOTH,
    reason: "CodePipeline sends both keys, with the pipeline's ARN",
  },
  "pipeline/rule_role": {
    service: "events.amazonaws.com",
    keys: BOTH,
    reason: "EventBridge documents both keys, with the rule's ARN",
  },
  "service/execution_role": {
    service: "ecs-tasks.amazonaws.com",
    keys: BOTH,
    reason: "ECS documents both keys, with an ARN of the account's ECS",
  },
  "service/task_role": {
    service: "ecs-tasks.amazonaws.com",
    keys: BOTH,
    reason: "ECS documents both keys, with an ARN of the account's ECS",
  },
  "trigger/machine_role": {
    service: "states.amazonaws.com",
    keys: BOTH,
    reason: "Step Functions documents both keys, with the state machine's ARN",
  },
  "trigger/rule_role": {
    service: "events.amazonaws.com",
    keys: BOTH,
    reason: "EventBridge documents both keys, with the rule's ARN",
  },
  "webhook/log_role": {
    service: "apigateway.amazonaws.com",
    keys: [],
    reason: "API Gateway sends no keys, and one role serves all its APIs",
  },
  "webhook/role": {
    service: "apigateway.amazonaws.com",
    keys: [],
    reason:
      "API Gateway sends no keys when it assumes this role: with a condition every push would end in 500",
  },
};
