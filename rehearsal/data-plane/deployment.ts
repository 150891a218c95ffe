/**
 * AWS CodeDeploy for ECS: the calls that start, show, stop and continue deployments.
 *
 * Copies: one deployment at a time in a group; overrides of configuration, rollback and alarms; a rollback is a
 * deployment of its own, made by `codeDeployRollback`; an event for each change of state.
 * Left out: other compute platforms, revisions in S3, deployment targets with their lifecycle events.
 *
 * @see https://docs.aws.amazon.com/codedeploy/latest/APIReference/API_CreateDeployment.html
 * @see https://docs.aws.amazon.com/codedeploy/latest/APIReference/API_DeploymentInfo.html
 * @see https://docs.aws.amazon.com/codedeploy/latest/userguide/monitoring-cloudwatch-events.html
 */

import { createHash, randomBytes } from "node:crypto";
import {
  type AutoRollbackConfiguration,
  CodeDeployClient,
  type DeploymentGroupInfo,
  GetDeploymentGroupCommand,
} from "@aws-sdk/client-codedeploy";
import { DescribeTaskDefinitionCommand, ECSClient } from "@aws-sdk/client-ecs";
import { type Activity, AwsError, type LocalAws } from "../aws/local-aws";
import { parseAppSpec } from "./appspec";
import { BlueGreen, type DeploymentFault } from "./blue-green";
import type { EventBus } from "./event-bus";
import { Sequence } from "./pace";
import { describeConfiguration, shiftSteps } from "./traffic-shift";

export interface DeploymentDependencies {
  readonly emit: EventBus["emit"];
  /** The commit an image was built from, for reports. */
  readonly commitOf?: (image: string) => Promise<string | undefined>;
}

/** The running CodeDeploy. */
export interface Deployments {
  /** Stops all deployments where they are; nothing is rolled back. */
  stop(): Promise<void>;
}

type Status = "Created" | "InProgress" | "Ready" | "Succeeded" | "Failed" | "Stopped";

interface Deployment {
  readonly id: string;
  readonly application: string;
  readonly group: DeploymentGroupInfo;
  readonly configuration: string;
  readonly description: string | undefined;
  readonly revision: Revision;
  readonly creator: "user" | "codeDeployRollback";
  readonly createTime: number;
  status: Status;
  completeTime?: number;
  error?: { code: string; message: string };
  rollbackInfo?: Record<string, string>;
  terminationWaitStarted: boolean;
  readonly reports: Sequence;
  blueGreen?: BlueGreen;
  work?: Promise<void>;
}

interface Revision {
  readonly revisionType?: string;
  readonly appSpecContent?: { readonly content?: string; readonly sha256?: string };
  readonly string?: { readonly content?: string; readonly sha256?: string };
}

/** Plays CodeDeploy's deployments. */
export function startDeployments(aws: LocalAws, dependencies: DeploymentDependencies): Deployments {
  const service = new CodeDeploy(aws, dependencies);
  const play = (action: string, answer: (parameters: Parameters) => unknown) =>
    aws.handle("codedeploy", action, async ({ parameters }) => (await answer(parameters)) as Answer);
  play("CreateDeployment", (parameters) => service.createDeployment(parameters));
  play("GetDeployment", ({ deploymentId }) => service.getDeployment(deploymentId));
  play("BatchGetDeployments", ({ deploymentIds }) => service.batchGetDeployments(deploymentIds));
  play("ListDeployments", (parameters) => service.listDeployments(parameters));
  play("StopDeployment", (parameters) => service.stopDeployment(parameters));
  play("ContinueDeployment", (parameters) => service.continueDeployment(parameters));
  play("GetDeploymentConfig", ({ deploymentConfigName }) => service.getConfiguration(deploymentConfigName));
  play("RegisterApplicationRevision", (parameters) => service.registerRevision(parameters));
  play("GetApplicationRevision", (parameters) => service.getRevision(parameters));
  return service;
}

type Answer = Record<string, unknown>;
// biome-ignore lint/suspicious/noExplicitAny: the shape depends on the action
type Parameters = any;

class CodeDeploy implements Deployments {
  private readonly client: CodeDeployClient;
  private readonly ecs: ECSClient;
  private readonly deployments = new Map<string, Deployment>();
  private readonly revisions = new Map<string, Revision>();
  private stopped = false;

  constructor(
    private readonly aws: LocalAws,
    private readonly dependencies: DeploymentDependencies,
  ) {
    this.client = new CodeDeployClient(aws.clientConfig());
    this.ecs = new ECSClient(aws.clientConfig());
  }

  async stop(): Promise<void> {
    this.stopped = true;
    const running = [...this.deployments.values()].filter((one) => !isOver(one));
    for (const { blueGreen } of running) blueGreen?.close();
    for (const { blueGreen } of running) blueGreen?.stop();
    await Promise.allSettled(running.map(({ work }) => work));
    this.client.destroy();
    this.ecs.destroy();
  }

  async createDeployment(parameters: Parameters): Promise<Answer> {
    const { applicationName, deploymentGroupName, revision, description } = parameters;
    const group = await this.group(applicationName, deploymentGroupName);
    const active = [...this.deployments.values()].find(
      (one) => one.group.deploymentGroupId === group.deploymentGroupId && !isOver(one),
    );
    if (active) {
      throw new AwsError(
        "DeploymentLimitExceededException",
        `The Deployment Group '${deploymentGroupName}' already has an active Deployment '${active.id}'`,
      );
    }
    const configuration = parameters.deploymentConfigName ?? group.deploymentConfigName ?? "";
    const steps = shiftSteps(configuration);
    if (!steps) {
      throw new AwsError(
        "DeploymentConfigDoesNotExistException",
        `No Deployment Configuration found for name: ${configuration}`,
      );
    }
    const deployment: Deployment = {
      id: newId(),
      application: applicationName,
      group,
      configuration,
      description,
      revision,
      creator: "user",
      createTime: Date.now() / 1000,
      status: "Created",
      terminationWaitStarted: false,
      reports: new Sequence(),
    };
    this.deployments.set(deployment.id, deployment);
    const rollback: AutoRollbackConfiguration =
      parameters.autoRollbackConfiguration ?? group.autoRollbackConfiguration ?? {};
    const blueGreen = new BlueGreen(
      this.aws,
      {
        deploymentId: deployment.id,
        group,
        appSpec: contentOf(revision),
        steps,
        rollback,
        alarms: parameters.overrideAlarmConfiguration ?? group.alarmConfiguration ?? {},
      },
      {
        ready: (isReady) => this.enter(deployment, isReady ? "Ready" : "InProgress"),
        terminationWaitStarted: () => {
          deployment.terminationWaitStarted = true;
        },
        step: (stage, state, detail) => void this.report(deployment, { stage, state, detail }),
      },
    );
    deployment.blueGreen = blueGreen;
    deployment.work = this.carryOut(deployment, blueGreen);
    return { deploymentId: deployment.id };
  }

  getDeployment(id: string): Answer {
    return { deploymentInfo: this.show(this.find(id)) };
  }

  batchGetDeployments(ids: readonly string[] = []): Answer {
    const found = ids.flatMap((id) => this.deployments.get(id) ?? []);
    return { deploymentsInfo: found.map((one) => this.show(one)) };
  }

  listDeployments(parameters: Parameters): Answer {
    const { applicationName, deploymentGroupName, includeOnlyStatuses = [] } = parameters;
    const deployments = [...this.deployments.values()]
      .filter(({ application }) => !applicationName || application === applicationName)
      .filter(({ group }) => !deploymentGroupName || group.deploymentGroupName === deploymentGroupName)
      .filter(({ status }) => includeOnlyStatuses.length === 0 || includeOnlyStatuses.includes(status));
    return { deployments: deployments.map(({ id }) => id).reverse() };
  }

  stopDeployment({ deploymentId }: Parameters): Answer {
    const deployment = this.find(deploymentId);
    if (isOver(deployment) || !deployment.blueGreen) throw alreadyCompleted(deployment);
    deployment.blueGreen.stop();
    return { status: "Pending", statusMessage: "Stopping the deployment" };
  }

  continueDeployment({ deploymentId, deploymentWaitType = "READY_WAIT" }: Parameters): Answer {
    const deployment = this.find(deploymentId);
    if (isOver(deployment)) throw alreadyCompleted(deployment);
    if (!deployment.blueGreen?.continue(deploymentWaitType)) {
      throw new AwsError(
        "DeploymentIsNotInReadyStateException",
        `The deployment ${deploymentId} does not wait for ${deploymentWaitType}`,
      );
    }
    return {};
  }

  getConfiguration(name: string): Answer {
    const found = describeConfiguration(name);
    if (!found) {
      const message = `No Deployment Configuration found for name: ${name}`;
      throw new AwsError("DeploymentConfigDoesNotExistException", message);
    }
    return { deploymentConfigInfo: found };
  }

  registerRevision({ applicationName, revision }: Parameters): Answer {
    this.revisions.set(`${applicationName} ${hashOf(revision)}`, revision);
    return {};
  }

  getRevision({ applicationName, revision }: Parameters): Answer {
    const found = this.revisions.get(`${applicationName} ${hashOf(revision)}`);
    if (!found) throw new AwsError("RevisionDoesNotExistException", "The revision is not registered");
    return { applicationName, revision: found, revisionInfo: {} };
  }

  private async carryOut(deployment: Deployment, blueGreen: BlueGreen): Promise<void> {
    this.enter(deployment, "InProgress");
    try {
      await blueGreen.run();
      this.enter(deployment, "Succeeded");
    } catch (error) {
      if (!this.stopped) await this.fail(deployment, blueGreen, error as DeploymentFault);
    } finally {
      blueGreen.close();
    }
  }

  private async fail(deployment: Deployment, blueGreen: BlueGreen, fault: DeploymentFault): Promise<void> {
    deployment.error = { code: fault.code, message: fault.message };
    const rollback = blueGreen.shouldRollBack(fault) ? this.addRollback(deployment, fault) : undefined;
    this.enter(deployment, fault.kind === "failure" ? "Failed" : "Stopped");
    if (rollback) {
      this.enter(rollback, "InProgress");
      await blueGreen.rollBack().then(
        () => this.enter(rollback, "Succeeded"),
        (error: Error) => {
          rollback.error = { code: "INTERNAL_ERROR", message: error.message };
          this.enter(rollback, "Failed");
        },
      );
    }
    const outcome = rollback?.error ? `the rollback failed too: ${rollback.error.message}` : "rolled back";
    await this.report(deployment, {
      stage: deployment.terminationWaitStarted ? "old version gone" : "live",
      state: "failed",
      detail: `${fault.code}: ${fault.message}${rollback ? `; ${outcome}` : ""}`,
    });
  }

  private addRollback(deployment: Deployment, fault: DeploymentFault): Deployment {
    const rollback: Deployment = {
      ...deployment,
      id: newId(),
      creator: "codeDeployRollback",
      createTime: Date.now() / 1000,
      status: "Created",
      terminationWaitStarted: false,
      rollbackInfo: {
        rollbackTriggeringDeploymentId: deployment.id,
        rollbackMessage: `Deployment ${deployment.id} ended with ${fault.code}`,
      },
    };
    delete rollback.error;
    delete rollback.blueGreen;
    deployment.rollbackInfo = {
      rollbackDeploymentId: rollback.id,
      rollbackMessage: "The deployment was rolled back to the original task set",
    };
    this.deployments.set(rollback.id, rollback);
    return rollback;
  }

  private enter(deployment: Deployment, status: Status): void {
    deployment.status = status;
    if (isOver(deployment)) deployment.completeTime = Date.now() / 1000;
    const state: Partial<Record<Status, string>> = {
      InProgress: "START",
      Ready: "READY",
      Succeeded: "SUCCESS",
      Failed: "FAILURE",
      Stopped: "STOP",
    };
    const { region, accountId } = this.aws;
    const { id, application, group } = deployment;
    const arn = `arn:aws:codedeploy:${region}:${accountId}`;
    this.dependencies.emit({
      source: "aws.codedeploy",
      "detail-type": "CodeDeploy Deployment State-change Notification",
      resources: [
        `${arn}:application:${application}`,
        `${arn}:deploymentgroup:${application}/${group.deploymentGroupName}`,
      ],
      detail: {
        region,
        deploymentId: id,
        instanceGroupId: group.deploymentGroupId,
        deploymentGroup: group.deploymentGroupName,
        application,
        state: state[status],
      },
    });
  }

  private report(deployment: Deployment, activity: Activity): Promise<void> {
    return deployment.reports.run(async () => {
      const commit = await this.commitOf(deployment).catch(() => undefined);
      this.aws.report({ ...activity, ...(commit ? { commit } : {}) });
    });
  }

  /** For people only, so the administrator looks it up. */
  private async commitOf({ revision }: Deployment): Promise<string | undefined> {
    const { taskDefinition: arn, containerName } = parseAppSpec(contentOf(revision));
    const { taskDefinition } = await this.ecs.send(
      new DescribeTaskDefinitionCommand({ taskDefinition: arn }),
    );
    const image = taskDefinition?.containerDefinitions?.find(({ name }) => name === containerName)?.image;
    return image === undefined ? undefined : this.dependencies.commitOf?.(image);
  }

  private async group(applicationName: string, deploymentGroupName: string): Promise<DeploymentGroupInfo> {
    const { deploymentGroupInfo } = await this.client
      .send(new GetDeploymentGroupCommand({ applicationName, deploymentGroupName }))
      .catch((error: Error) => {
        throw new AwsError(error.name, error.message);
      });
    if (deploymentGroupInfo?.computePlatform !== "ECS") {
      throw new AwsError(
        "InvalidDeploymentStyleException",
        `this rehearsal deploys to ECS only, ${deploymentGroupName} is for ${deploymentGroupInfo?.computePlatform}`,
      );
    }
    return deploymentGroupInfo;
  }

  private find(id: string): Deployment {
    const deployment = this.deployments.get(id);
    if (!deployment) {
      throw new AwsError("DeploymentDoesNotExistException", `The deployment ${id} could not be found`);
    }
    return deployment;
  }

  private show(deployment: Deployment): Answer {
    const { group, status, error, rollbackInfo, completeTime } = deployment;
    return {
      applicationName: deployment.application,
      deploymentGroupName: group.deploymentGroupName,
      deploymentConfigName: deployment.configuration,
      deploymentId: deployment.id,
      description: deployment.description,
      revision: deployment.revision,
      status,
      createTime: deployment.createTime,
      startTime: deployment.createTime,
      ...(completeTime === undefined ? {} : { completeTime }),
      ...(error ? { errorInformation: error } : {}),
      ...(rollbackInfo ? { rollbackInfo } : {}),
      creator: deployment.creator,
      deploymentStyle: group.deploymentStyle,
      blueGreenDeploymentConfiguration: group.blueGreenDeploymentConfiguration,
      loadBalancerInfo: group.loadBalancerInfo,
      instanceTerminationWaitTimeStarted: deployment.terminationWaitStarted,
      computePlatform: "ECS",
    };
  }
}

function isOver({ status }: Deployment): boolean {
  return status === "Succeeded" || status === "Failed" || status === "Stopped";
}

function alreadyCompleted({ id }: Deployment): AwsError {
  return new AwsError("DeploymentAlreadyCompletedException", `The deployment ${id} has ended`);
}

function contentOf(revision: Revision | undefined): string {
  const { content } = revision?.appSpecContent ?? revision?.string ?? {};
  if (content === undefined) {
    throw new AwsError(
      "InvalidRevisionException",
      "this rehearsal takes the AppSpec's text, no other revision",
    );
  }
  return content;
}

/** CodeDeploy knows an AppSpec by the hash of its text. */
function hashOf(revision: Revision): string {
  const given = revision.appSpecContent?.sha256 ?? revision.string?.sha256;
  return given ?? createHash("sha256").update(contentOf(revision)).digest("hex");
}

function newId(): string {
  return `d-${randomBytes(9).toString("base64url").replace(/[-_]/g, "X").slice(0, 9).toUpperCase()}`;
}
