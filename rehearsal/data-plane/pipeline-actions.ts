/**
 * The actions of a pipeline that this rehearsal plays: S3 source, manual approval, Amazon ECS (Blue/Green).
 * Each makes its calls in the action's role, or the pipeline's; another action fails with its name.
 *
 * @see https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-S3.html
 * @see https://docs.aws.amazon.com/codepipeline/latest/userguide/approvals-action-add.html
 * @see https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-ECSbluegreen.html
 */

import { createHash } from "node:crypto";
import {
  CodeDeployClient,
  CreateDeploymentCommand,
  GetApplicationCommand,
  GetApplicationRevisionCommand,
  GetDeploymentCommand,
  GetDeploymentConfigCommand,
  GetDeploymentGroupCommand,
  RegisterApplicationRevisionCommand,
} from "@aws-sdk/client-codedeploy";
import type { ActionDeclaration } from "@aws-sdk/client-codepipeline";
import { ECSClient, RegisterTaskDefinitionCommand } from "@aws-sdk/client-ecs";
import {
  GetBucketAclCommand,
  GetBucketLocationCommand,
  GetBucketVersioningCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { PublishCommand, SNSClient } from "@aws-sdk/client-sns";
import { strFromU8 } from "fflate";
import type { Credentials, LocalAws } from "../aws/local-aws";
import { fillAppSpec, fillTaskDefinition, readImageUri } from "./ecs-deploy-files";
import { alarm, pace } from "./pace";
import { type PipelineArtifacts, unzip } from "./pipeline-artifacts";

const DEPLOYMENT_POLL_SECONDS = 10;
const APPROVAL_DAYS = 7;
const IMAGES = [1, 2, 3, 4];

export interface SourceRevision {
  readonly actionName?: string;
  readonly revisionType?: string;
  readonly revisionValue?: string;
}

/** What an action gets. */
export interface ActionContext {
  readonly aws: LocalAws;
  readonly credentials: Credentials;
  readonly pipeline: string;
  readonly stage: string;
  readonly action: ActionDeclaration;
  readonly artifacts: PipelineArtifacts;
  /** Revisions that the execution was started with. */
  readonly overrides: readonly SourceRevision[];
  /** Keeps the action waiting until a person has decided. */
  approval(token: string): Promise<{ approved: boolean; summary: string }>;
  /** The token that a person's decision must carry. */
  readonly token: string;
  /** Tells what the action produced or waits for. */
  progress(progress: ActionProgress): void;
}

export interface ActionProgress {
  /** Id in the other service, e.g. of the deployment. */
  readonly externalExecutionId?: string;
  /** Version of the source. */
  readonly revisionId?: string;
  /** Image of the artifact, as far as it has one. */
  readonly image?: string;
  /** One line for people. */
  readonly waitsFor?: string;
}

type ActionRunner = (context: ActionContext) => Promise<void>;

const RUNNERS: Readonly<Record<string, ActionRunner>> = {
  "Source/AWS/S3": readSource,
  "Approval/AWS/Manual": waitForApproval,
  "Deploy/AWS/CodeDeployToECS": deployToEcs,
};

/**
 * Carries out one action.
 * @throws Error with the reason when it fails
 */
export async function runAction(context: ActionContext): Promise<void> {
  const { category, owner, provider } = context.action.actionTypeId ?? {};
  const runner = RUNNERS[`${category}/${owner}/${provider}`];
  if (!runner) throw new Error(`not played by this rehearsal: action ${category}/${owner}/${provider}`);
  await runner(context);
}

/** The latest version, unless the execution was started for another one. */
async function readSource(context: ActionContext): Promise<void> {
  const { action, overrides, artifacts } = context;
  const settings = action.configuration ?? {};
  const own = overrides.filter(({ actionName }) => actionName === action.name);
  const override = (type: string) => own.find(({ revisionType }) => revisionType === type)?.revisionValue;
  const Bucket = setting(context, "S3Bucket");
  const Key = override("S3_OBJECT_KEY") ?? setting(context, "S3ObjectKey");
  if (settings.AllowOverrideForS3ObjectKey !== "true" && override("S3_OBJECT_KEY")) {
    throw new Error("the action does not allow another object key (AllowOverrideForS3ObjectKey)");
  }
  const s3 = s3Client(context);
  try {
    await s3.send(new GetBucketLocationCommand({ Bucket }));
    await s3.send(new GetBucketAclCommand({ Bucket }));
    const { Status } = await s3.send(new GetBucketVersioningCommand({ Bucket }));
    if (Status !== "Enabled") throw new Error(`versioning of the source bucket ${Bucket} is not enabled`);
    const wanted = override("S3_OBJECT_VERSION_ID");
    const version = wanted ? { VersionId: wanted } : {};
    const head = await s3.send(new HeadObjectCommand({ Bucket, Key, ...version }));
    const found = head.VersionId ? { VersionId: head.VersionId } : {};
    await s3.send(new GetObjectTaggingCommand({ Bucket, Key, ...found }));
    const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key, ...found }));
    const body = (await Body?.transformToByteArray()) ?? new Uint8Array();
    for (const { name = "" } of action.outputArtifacts ?? []) await artifacts.put(s3, name, body);
    const image = imageOf(body);
    context.progress({
      ...(head.VersionId ? { revisionId: head.VersionId } : {}),
      ...(image ? { image } : {}),
    });
  } catch (error) {
    throw new Error(sourceFault(error as S3Fault, Bucket, Key));
  } finally {
    s3.destroy();
  }
}

type S3Fault = Error & { $metadata?: { httpStatusCode?: number } };

/** CodePipeline's words for what S3 answered. */
function sourceFault({ name, message, $metadata }: S3Fault, bucket: string, key: string): string {
  if (["NotFound", "NoSuchKey", "NoSuchBucket"].includes(name)) {
    return `The action failed because either the artifact or the Amazon S3 bucket could not be found: s3://${bucket}/${key}`;
  }
  // The answer to a HEAD has no body, and so no reason.
  if ($metadata?.httpStatusCode === 403 && !/not authorized/.test(message)) {
    return (
      "The service role or action role doesn't have the permissions required to access the Amazon S3 bucket " +
      `named ${bucket}. Update the IAM role permissions, and then try again. (s3://${bucket}/${key})`
    );
  }
  return `s3://${bucket}/${key}: ${message}`;
}

async function waitForApproval(context: ActionContext): Promise<void> {
  const { aws, credentials, action, pipeline, stage, token } = context;
  const { NotificationArn, CustomData } = action.configuration ?? {};
  if (NotificationArn) {
    const sns = new SNSClient(aws.clientConfig(credentials));
    const approval = {
      pipelineName: pipeline,
      stageName: stage,
      actionName: action.name,
      token,
      customData: CustomData,
    };
    await sns
      .send(
        new PublishCommand({
          TopicArn: NotificationArn,
          Subject: `APPROVAL NEEDED: AWS CodePipeline ${pipeline} for action ${action.name}`.slice(0, 100),
          Message: JSON.stringify({ region: aws.region, approval }),
        }),
      )
      .finally(() => sns.destroy());
  }
  context.progress({ waitsFor: `for an approval (${stage}/${action.name})` });
  const limit = alarm(aws, (action.timeoutInMinutes ?? APPROVAL_DAYS * 24 * 60) * 60);
  try {
    const decision = await Promise.race([context.approval(token), limit.done.then(() => undefined)]);
    if (!decision) throw new Error("nobody approved in time");
    if (!decision.approved) throw new Error(`rejected: ${decision.summary}`);
  } finally {
    limit.cancel();
  }
}

async function deployToEcs(context: ActionContext): Promise<void> {
  const { aws, credentials } = context;
  const ecs = new ECSClient(aws.clientConfig(credentials));
  const codeDeploy = new CodeDeployClient(aws.clientConfig(credentials));
  try {
    const files = await readDeployFiles(context);
    const { taskDefinition } = await ecs.send(
      new RegisterTaskDefinitionCommand(fillTaskDefinition(files.taskDefinition, files.images)),
    );
    const content = fillAppSpec(files.appSpec, taskDefinition?.taskDefinitionArn ?? "");
    const deploymentId = await createDeployment(context, codeDeploy, content);
    context.progress({ externalExecutionId: deploymentId, waitsFor: `for deployment ${deploymentId}` });
    await follow(aws, codeDeploy, deploymentId);
  } finally {
    ecs.destroy();
    codeDeploy.destroy();
  }
}

interface DeployFiles {
  readonly taskDefinition: string;
  readonly appSpec: string;
  /** Placeholder's name to image. */
  readonly images: ReadonlyMap<string, string>;
}

async function readDeployFiles(context: ActionContext): Promise<DeployFiles> {
  const { artifacts, action } = context;
  const settings = action.configuration ?? {};
  const s3 = s3Client(context);
  try {
    const images = new Map<string, string>();
    for (const number of IMAGES) {
      const artifact = settings[`Image${number}ArtifactName`];
      const placeholder = settings[`Image${number}ContainerName`];
      if (!artifact || !placeholder) continue;
      images.set(placeholder, readImageUri(await artifacts.readFile(s3, artifact, "imageDetail.json")));
    }
    const taskDefinition = await artifacts.readFile(
      s3,
      setting(context, "TaskDefinitionTemplateArtifact"),
      settings.TaskDefinitionTemplatePath ?? "taskdef.json",
    );
    const appSpec = await artifacts.readFile(
      s3,
      setting(context, "AppSpecTemplateArtifact"),
      settings.AppSpecTemplatePath ?? "appspec.yaml",
    );
    return { taskDefinition, appSpec, images };
  } finally {
    s3.destroy();
  }
}

/** Makes every call that the documented policy of this action allows, so that none of them can be missing. */
async function createDeployment(
  context: ActionContext,
  codeDeploy: CodeDeployClient,
  content: string,
): Promise<string> {
  const applicationName = setting(context, "ApplicationName");
  const deploymentGroupName = setting(context, "DeploymentGroupName");
  const sha256 = createHash("sha256").update(content).digest("hex");
  const revision = { revisionType: "AppSpecContent" as const, appSpecContent: { content, sha256 } };
  // CodeDeploy looks the group up by itself; the caller needs leave for the group's configuration.
  const administrator = new CodeDeployClient(context.aws.clientConfig());
  const { deploymentGroupInfo } = await administrator
    .send(new GetDeploymentGroupCommand({ applicationName, deploymentGroupName }))
    .finally(() => administrator.destroy());
  const deploymentConfigName = deploymentGroupInfo?.deploymentConfigName;
  await codeDeploy.send(new GetApplicationCommand({ applicationName }));
  await codeDeploy.send(new GetDeploymentConfigCommand({ deploymentConfigName }));
  await codeDeploy.send(new RegisterApplicationRevisionCommand({ applicationName, revision }));
  await codeDeploy.send(new GetApplicationRevisionCommand({ applicationName, revision }));
  const { deploymentId = "" } = await codeDeploy.send(
    new CreateDeploymentCommand({ applicationName, deploymentGroupName, revision }),
  );
  return deploymentId;
}

async function follow(aws: LocalAws, codeDeploy: CodeDeployClient, deploymentId: string): Promise<void> {
  for (;;) {
    const { deploymentInfo } = await codeDeploy.send(new GetDeploymentCommand({ deploymentId }));
    const { status, errorInformation } = deploymentInfo ?? {};
    if (status === "Succeeded") return;
    if (status === "Failed" || status === "Stopped") {
      throw new Error(
        `deployment ${deploymentId} ${status}: ${errorInformation?.code}: ${errorInformation?.message}`,
      );
    }
    await pace(aws, DEPLOYMENT_POLL_SECONDS);
  }
}

/** A setting that the action cannot do without. */
function setting({ action }: ActionContext, name: string): string {
  const value = action.configuration?.[name];
  if (!value) throw new Error(`the action ${action.name} has no ${name}`);
  return value;
}

function s3Client({ aws, credentials }: ActionContext): S3Client {
  return new S3Client({ ...aws.clientConfig(credentials), forcePathStyle: true });
}

/** The image in an artifact, for people: a source may also be something else. */
function imageOf(body: Uint8Array): string | undefined {
  try {
    const detail = unzip(body, "source")["imageDetail.json"];
    return detail && readImageUri(strFromU8(detail));
  } catch {
    return undefined;
  }
}
