import { CloudwatchEventRule } from "@cdktf/provider-aws/lib/cloudwatch-event-rule";
import { CloudwatchEventTarget } from "@cdktf/provider-aws/lib/cloudwatch-event-target";
import { Codepipeline, type CodepipelineStage } from "@cdktf/provider-aws/lib/codepipeline";
import { Fn } from "cdktf";
import { Construct } from "constructs";
import type { Account } from "./account";
import type { ArtifactStore } from "./artifact-store";
import type { BlueGreenDeployment } from "./blue-green-deployment";
import type { BlueGreenService } from "./blue-green-service";
import { DeadLetterQueue } from "./dead-letter-queue";
import { type PolicyStatement, ServiceRole } from "./service-role";

export interface DeliveryPipelineProps {
  readonly prefix: string;
  readonly account: Account;
  /** Ask a person before each deployment. */
  readonly approval: boolean;
  readonly store: ArtifactStore;
  readonly service: BlueGreenService;
  readonly deployment: BlueGreenDeployment;
}

/** CodePipeline that takes the newest artifact to CodeDeploy, and the rule that starts it. */
export class DeliveryPipeline extends Construct {
  public readonly pipeline: Codepipeline;
  /** Events of a published artifact that could not start the pipeline. */
  public readonly deadLetters: DeadLetterQueue;
  public readonly ruleName: string;

  constructor(scope: Construct, id: string, props: DeliveryPipelineProps) {
    super(scope, id);
    const { prefix, account, store } = props;

    const role = new ServiceRole(this, "role", {
      name: `${prefix}-pipeline`,
      service: "codepipeline.amazonaws.com",
      source: { account, arns: [account.arn("codepipeline", prefix)] },
      statements: pipelineStatements(props),
    });
    this.pipeline = new Codepipeline(this, "Default", {
      name: prefix,
      roleArn: role.arn,
      pipelineType: "V2",
      // A newer artifact overtakes one that still waits.
      executionMode: "SUPERSEDED",
      artifactStore: [{ type: "S3", location: store.bucket.bucket }],
      stage: stagesOf(props),
      dependsOn: [role.policy!],
    });

    this.deadLetters = new DeadLetterQueue(this, "dead_letters", `${prefix}-artifact-dead-letters`);
    this.ruleName = this.startWhenPublished(props);
  }

  /** S3 tells the default bus of each new object: no trail of CloudTrail is needed. */
  private startWhenPublished({ prefix, account, store }: DeliveryPipelineProps): string {
    const rule = new CloudwatchEventRule(this, "rule", {
      name: `${prefix}-start-pipeline`,
      description: "A build has published an artifact",
      eventPattern: Fn.jsonencode({
        source: ["aws.s3"],
        "detail-type": ["Object Created"],
        detail: { bucket: { name: [store.bucket.bucket] }, object: { key: [store.artifactKey] } },
      }),
    });
    const deadLetterPolicy = this.deadLetters.allowRule(rule.arn);
    const role = new ServiceRole(this, "rule_role", {
      name: `${prefix}-artifact-rule`,
      service: "events.amazonaws.com",
      source: { account, arns: [rule.arn] },
      statements: [
        {
          sid: "StartPipeline",
          actions: ["codepipeline:StartPipelineExecution"],
          resources: [this.pipeline.arn],
        },
      ],
    });
    new CloudwatchEventTarget(this, "target", {
      rule: rule.name,
      arn: this.pipeline.arn,
      roleArn: role.arn,
      // No version of the object is handed over: the pipeline takes the newest, so a late event deploys nothing old.
      retryPolicy: { maximumEventAgeInSeconds: 24 * 60 * 60, maximumRetryAttempts: 185 },
      deadLetterConfig: { arn: this.deadLetters.queue.arn },
      dependsOn: [role.policy!, deadLetterPolicy],
    });
    return rule.name;
  }
}

const ARTIFACT = "published";

function stagesOf({ approval, store, deployment }: DeliveryPipelineProps): CodepipelineStage[] {
  return [
    {
      name: "Source",
      action: [
        {
          name: "Published",
          category: "Source",
          owner: "AWS",
          provider: "S3",
          version: "1",
          outputArtifacts: [ARTIFACT],
          configuration: {
            S3Bucket: store.bucket.bucket,
            S3ObjectKey: store.artifactKey,
            PollForSourceChanges: "false",
          },
        },
      ],
    },
    ...(approval
      ? [
          {
            name: "Approval",
            action: [
              { name: "Approve", category: "Approval", owner: "AWS", provider: "Manual", version: "1" },
            ],
          },
        ]
      : []),
    {
      name: "Deploy",
      action: [
        {
          name: "BlueGreen",
          category: "Deploy",
          owner: "AWS",
          provider: "CodeDeployToECS",
          version: "1",
          inputArtifacts: [ARTIFACT],
          configuration: {
            ApplicationName: deployment.application.name,
            DeploymentGroupName: deployment.group.deploymentGroupName,
            TaskDefinitionTemplateArtifact: ARTIFACT,
            TaskDefinitionTemplatePath: "taskdef.json",
            AppSpecTemplateArtifact: ARTIFACT,
            AppSpecTemplatePath: "appspec.yaml",
            Image1ArtifactName: ARTIFACT,
            Image1ContainerName: "IMAGE1_NAME",
          },
        },
      ],
    },
  ];
}

/** @see https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-ECSbluegreen.html#action-reference-ECSbluegreen-permissions */
function pipelineStatements({
  account,
  store,
  service,
  deployment,
}: DeliveryPipelineProps): PolicyStatement[] {
  const application = account.arn("codedeploy", `application:${deployment.application.name}`);
  return [
    {
      sid: "ReadPublished",
      actions: ["s3:GetObject", "s3:GetObjectTagging", "s3:GetObjectVersion", "s3:GetObjectVersionTagging"],
      resources: [store.artifactArn],
    },
    {
      sid: "SeeBucket",
      actions: ["s3:GetBucketAcl", "s3:GetBucketLocation", "s3:GetBucketVersioning"],
      resources: [store.bucket.arn],
    },
    {
      sid: "KeepArtifacts",
      actions: ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject", "s3:PutObjectAcl"],
      // CodePipeline names its copies by itself, below the pipeline's name.
      resources: [`${store.bucket.arn}/*`],
    },
    {
      sid: "RegisterRevision",
      actions: [
        "codedeploy:GetApplication",
        "codedeploy:GetApplicationRevision",
        "codedeploy:RegisterApplicationRevision",
      ],
      resources: [application, `${application}/*`],
    },
    {
      sid: "Deploy",
      actions: ["codedeploy:CreateDeployment", "codedeploy:GetDeployment"],
      resources: [deployment.group.arn],
    },
    {
      sid: "ReadDeploymentConfig",
      actions: ["codedeploy:GetDeploymentConfig"],
      resources: [account.arn("codedeploy", `deploymentconfig:${deployment.group.deploymentConfigName}`)],
    },
    // ECS has no resource level for it.
    { sid: "RegisterTaskDefinition", actions: ["ecs:RegisterTaskDefinition"], resources: ["*"] },
    {
      sid: "PassTaskRoles",
      actions: ["iam:PassRole"],
      resources: [service.executionRole.arn, service.taskRole.arn],
      condition: [
        {
          test: "StringEquals",
          variable: "iam:PassedToService",
          values: ["ecs.amazonaws.com", "ecs-tasks.amazonaws.com"],
        },
      ],
    },
  ];
}
