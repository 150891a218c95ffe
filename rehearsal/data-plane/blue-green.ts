/**
 * One blue/green deployment of an ECS service, step by step as CodeDeploy does it, in the role of its group:
 * replacement task set, test traffic, the wait for a reroute, production traffic, primary task set, the wait
 * before termination, the old task set's end; and back again when it fails, is stopped or an alarm goes off.
 * Left out: hooks, SNS triggers, listener rules other than the default, S3 revisions.
 *
 * @see https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-steps-ecs.html
 * @see https://docs.aws.amazon.com/codedeploy/latest/userguide/deployments-rollback-and-redeploy.html
 */
import { CloudWatchClient, DescribeAlarmsCommand } from "@aws-sdk/client-cloudwatch";
import type {
  AlarmConfiguration,
  AutoRollbackConfiguration,
  DeploymentGroupInfo,
  ErrorCode,
} from "@aws-sdk/client-codedeploy";
import {
  CreateTaskSetCommand,
  DeleteTaskSetCommand,
  DescribeServicesCommand,
  ECSClient,
  type Service,
  type TaskSet,
  UpdateServicePrimaryTaskSetCommand,
} from "@aws-sdk/client-ecs";
import {
  type Action,
  DescribeListenersCommand,
  DescribeRulesCommand,
  DescribeTargetGroupsCommand,
  ElasticLoadBalancingV2Client,
  ModifyListenerCommand,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import type { LocalAws } from "../aws/local-aws";
import { type AppSpec, parseAppSpec } from "./appspec";
import { sharesOf } from "./listener-action";
import { alarm, pace } from "./pace";
import type { ShiftStep } from "./traffic-shift";

/** "This time out period is 60 minutes." */
const HEALTHY_MINUTES = 60;
const POLL_SECONDS = 10;

/** What passes between two of CodeDeploy's steps although nobody waits for anything. */
const STEP_SECONDS = 30;

export interface BlueGreenOptions {
  readonly deploymentId: string;
  readonly group: DeploymentGroupInfo;
  /** Text of the AppSpec. */
  readonly appSpec: string;
  readonly steps: readonly ShiftStep[];
  readonly rollback: AutoRollbackConfiguration;
  readonly alarms: AlarmConfiguration;
}

/** What the steps tell about themselves. */
export interface BlueGreenListener {
  /** The deployment waits for a reroute (`Ready`), or goes on. */
  ready(isReady: boolean): void;
  terminationWaitStarted(): void;
  step(
    stage: "test listener" | "live" | "old version gone",
    state: "started" | "waiting" | "succeeded",
    detail: string,
  ): void;
}

/** Why a deployment ended before its time. */
export class DeploymentFault extends Error {
  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly kind: "failure" | "alarm" | "stop" = "failure",
  ) {
    super(message);
  }
}

interface Route {
  readonly listenerArn: string;
  /** Default actions before the deployment. */
  readonly before: Action[];
}

/** Where the deployment found things, and what it made. */
interface Plan {
  readonly spec: AppSpec;
  readonly cluster: string;
  readonly service: string;
  readonly blue: TaskSet;
  readonly blueTargetGroup: string;
  readonly greenTargetGroup: string;
  readonly production: readonly Route[];
  readonly test: readonly Route[];
}

/** Carries out one deployment. */
export class BlueGreen {
  private ecs!: ECSClient;
  private elb!: ElasticLoadBalancingV2Client;
  private cloudwatch!: CloudWatchClient;
  private plan: Plan | undefined;
  private green: TaskSet | undefined;
  private isPrimaryGreen = false;
  private isOver = false;

  private interrupt!: (fault: DeploymentFault) => void;
  private readonly interrupted: Promise<never>;
  private fault: DeploymentFault | undefined;
  private goOn: (() => void) | undefined;
  private waitingFor: "READY_WAIT" | "TERMINATION_WAIT" | undefined;

  constructor(
    private readonly aws: LocalAws,
    private readonly options: BlueGreenOptions,
    private readonly listener: BlueGreenListener,
  ) {
    this.interrupted = new Promise((_, reject) => {
      this.interrupt = (fault) => {
        this.fault ??= fault;
        reject(fault);
      };
    });
    // Nobody may be waiting when it comes.
    this.interrupted.catch(() => {});
  }

  /**
   * Deploys.
   * @throws DeploymentFault when it does not come to a good end; what it changed stays until `rollBack`
   */
  async run(): Promise<void> {
    try {
      await this.connect();
      const watch = this.watchAlarms();
      this.plan = await this.look();
      await this.install(this.plan);
      await this.routeTest(this.plan);
      await this.waitForReroute();
      await this.shift(this.plan);
      await this.makePrimary(this.plan, this.green);
      this.isPrimaryGreen = true;
      await this.terminate(this.plan);
      this.isOver = true;
      await watch;
    } catch (error) {
      throw this.fault ?? asFault(error as Error);
    } finally {
      this.isOver = true;
    }
  }

  /** Whether the group's settings ask for a rollback after this fault. */
  shouldRollBack(fault: DeploymentFault): boolean {
    const { enabled = false, events = [] } = this.options.rollback;
    const event = {
      failure: "DEPLOYMENT_FAILURE",
      alarm: "DEPLOYMENT_STOP_ON_ALARM",
      stop: "DEPLOYMENT_STOP_ON_REQUEST",
    } as const;
    return enabled && events.includes(event[fault.kind]);
  }

  /** Brings the traffic back to the old task set and ends the new one. */
  async rollBack(): Promise<void> {
    if (!this.plan) return;
    const { production, test, blue } = this.plan;
    for (const { listenerArn, before } of [...production, ...test]) {
      await this.elb.send(new ModifyListenerCommand({ ListenerArn: listenerArn, DefaultActions: before }));
    }
    if (this.isPrimaryGreen) await this.makePrimary(this.plan, blue);
    if (this.green) await this.deleteTaskSet(this.plan, this.green);
  }

  /** Ends the deployment at the next moment at which it can be ended. */
  stop(): void {
    this.interrupt(new DeploymentFault("MANUAL_STOP", "The deployment was stopped by a request", "stop"));
  }

  /** Ends the wait of this kind; `false` when the deployment is not in it. */
  continue(kind: "READY_WAIT" | "TERMINATION_WAIT"): boolean {
    if (this.waitingFor !== kind || !this.goOn) return false;
    this.goOn();
    return true;
  }

  close(): void {
    this.isOver = true;
    for (const client of [this.ecs, this.elb, this.cloudwatch]) client?.destroy();
  }

  private async connect(): Promise<void> {
    const role = this.options.group.serviceRoleArn ?? "";
    const credentials = await this.aws.assumeRole(role, "codedeploy.amazonaws.com").catch((error: Error) => {
      throw new DeploymentFault("IAM_ROLE_PERMISSIONS", error.message);
    });
    const config = this.aws.clientConfig(credentials);
    this.ecs = new ECSClient(config);
    this.elb = new ElasticLoadBalancingV2Client(config);
    this.cloudwatch = new CloudWatchClient(config);
  }

  private async look(): Promise<Plan> {
    const spec = readSpec(this.options.appSpec);
    const [target] = this.options.group.ecsServices ?? [];
    const cluster = target?.clusterName ?? "";
    const service = target?.serviceName ?? "";
    const blue = (await this.describe(cluster, service)).taskSets?.find(({ status }) => status === "PRIMARY");
    const [pair] = this.options.group.loadBalancerInfo?.targetGroupPairInfoList ?? [];
    if (!pair) throw new DeploymentFault("MISSING_ELB_INFORMATION", "the group names no target groups");
    const names = (pair.targetGroups ?? []).map(({ name = "" }) => name);
    const { TargetGroups = [] } = await this.elb.send(new DescribeTargetGroupsCommand({ Names: names }));
    const blueTargetGroup = blue?.loadBalancers?.[0]?.targetGroupArn;
    const arns = TargetGroups.map(({ TargetGroupArn = "" }) => TargetGroupArn);
    const greenTargetGroup = arns.find((arn) => arn !== blueTargetGroup);
    if (!blue || !blueTargetGroup || !greenTargetGroup || !arns.includes(blueTargetGroup)) {
      throw new DeploymentFault(
        "INVALID_ECS_SERVICE",
        `the primary task set of ${service} must use one of the target groups ${names.join(" and ")}`,
      );
    }
    const production = await this.routes(pair.prodTrafficRoute?.listenerArns);
    const test = await this.routes(pair.testTrafficRoute?.listenerArns);
    for (const { listenerArn, before } of production) {
      if (sharesOf(before[0]).some(({ arn, weight }) => arn === blueTargetGroup && weight > 0)) continue;
      throw new DeploymentFault(
        "ELASTIC_LOAD_BALANCING_INVALID",
        "The ELB could not be updated due to the following error: Primary taskset target group must be " +
          `behind listener ${listenerArn}`,
      );
    }
    return { spec, cluster, service, blue, blueTargetGroup, greenTargetGroup, production, test };
  }

  private async routes(listenerArns: readonly string[] = []): Promise<Route[]> {
    if (listenerArns.length === 0) return [];
    const { Listeners = [] } = await this.elb.send(
      new DescribeListenersCommand({ ListenerArns: [...listenerArns] }),
    );
    for (const { ListenerArn } of Listeners) await this.elb.send(new DescribeRulesCommand({ ListenerArn }));
    return Listeners.map(({ ListenerArn = "", DefaultActions = [] }) => ({
      listenerArn: ListenerArn,
      before: DefaultActions,
    }));
  }

  private async install(plan: Plan): Promise<void> {
    const { launchType, platformVersion, networkConfiguration } = plan.blue;
    const { containerName, containerPort, taskDefinition } = plan.spec;
    this.listener.step("test listener", "started", "starts the new version's tasks");
    const { taskSet } = await this.ecs.send(
      new CreateTaskSetCommand({
        cluster: plan.cluster,
        service: plan.service,
        externalId: this.options.deploymentId,
        taskDefinition,
        launchType,
        platformVersion,
        networkConfiguration,
        loadBalancers: [{ targetGroupArn: plan.greenTargetGroup, containerName, containerPort }],
        scale: { value: 100, unit: "PERCENT" },
      }),
    );
    this.green = taskSet;
    this.listener.step("test listener", "waiting", "for the new version's tasks to be healthy");
    const limit = alarm(this.aws, HEALTHY_MINUTES * 60);
    let isLate = false;
    void limit.done.then((rang) => {
      isLate = rang;
    });
    try {
      for (;;) {
        const service = await this.describe(plan.cluster, plan.service);
        const green = service.taskSets?.find(({ taskSetArn }) => taskSetArn === taskSet?.taskSetArn);
        if (green?.stabilityStatus === "STEADY_STATE") return;
        if (isLate) throw timedOut(service);
        await Promise.race([pace(this.aws, POLL_SECONDS), this.interrupted]);
      }
    } finally {
      limit.cancel();
    }
  }

  private async routeTest(plan: Plan): Promise<void> {
    if (plan.test.length === 0) return;
    await this.route(plan, plan.test, 100);
    this.listener.step("test listener", "succeeded", "the test listener leads to the new version");
    await Promise.race([pace(this.aws, STEP_SECONDS), this.interrupted]);
  }

  private async waitForReroute(): Promise<void> {
    const { actionOnTimeout, waitTimeInMinutes = 0 } =
      this.options.group.blueGreenDeploymentConfiguration?.deploymentReadyOption ?? {};
    if (actionOnTimeout !== "STOP_DEPLOYMENT") return;
    this.listener.ready(true);
    this.listener.step("live", "waiting", `for ContinueDeployment, at most ${waitTimeInMinutes} minutes`);
    const rang = await this.hold(waitTimeInMinutes, "READY_WAIT");
    if (rang) {
      const message = `Traffic was not rerouted within ${waitTimeInMinutes} minutes`;
      throw new DeploymentFault("TIMEOUT", message, "stop");
    }
    this.listener.ready(false);
  }

  private async shift(plan: Plan): Promise<void> {
    for (const { percent, minutes } of this.options.steps) {
      await this.route(plan, plan.production, percent);
      if (minutes === 0) continue;
      this.listener.step("live", "waiting", `${percent} % of the traffic for ${minutes} minutes`);
      await this.hold(minutes);
    }
    this.listener.step("live", "succeeded", "production leads to the new version");
  }

  private async terminate(plan: Plan): Promise<void> {
    const { action = "TERMINATE", terminationWaitTimeInMinutes: minutes = 0 } =
      this.options.group.blueGreenDeploymentConfiguration?.terminateBlueInstancesOnDeploymentSuccess ?? {};
    if (action !== "TERMINATE") return;
    this.listener.terminationWaitStarted();
    this.listener.step("old version gone", "waiting", `${minutes} minutes, in which one can still go back`);
    await this.hold(minutes, "TERMINATION_WAIT");
    await this.deleteTaskSet(plan, plan.blue);
    this.listener.step("old version gone", "succeeded", "the old version's tasks have ended");
  }

  /** Waits; `true` when the time ran out, `false` when a request to go on cut it short. */
  private async hold(minutes: number, kind?: "READY_WAIT" | "TERMINATION_WAIT"): Promise<boolean> {
    const wait = alarm(this.aws, minutes * 60);
    this.waitingFor = kind;
    this.goOn = wait.cancel;
    try {
      return await Promise.race([wait.done, this.interrupted]);
    } finally {
      this.waitingFor = undefined;
      this.goOn = undefined;
      wait.cancel();
    }
  }

  private async route(plan: Plan, routes: readonly Route[], percent: number): Promise<void> {
    if (this.fault) throw this.fault;
    const TargetGroups = [
      { TargetGroupArn: plan.blueTargetGroup, Weight: 100 - percent },
      { TargetGroupArn: plan.greenTargetGroup, Weight: percent },
    ];
    for (const { listenerArn } of routes) {
      await this.elb.send(
        new ModifyListenerCommand({
          ListenerArn: listenerArn,
          DefaultActions: [{ Type: "forward", ForwardConfig: { TargetGroups } }],
        }),
      );
    }
  }

  private async makePrimary({ cluster, service }: Plan, set: TaskSet | undefined): Promise<void> {
    const primaryTaskSet = set?.taskSetArn;
    await this.ecs.send(new UpdateServicePrimaryTaskSetCommand({ cluster, service, primaryTaskSet }));
  }

  private async deleteTaskSet({ cluster, service }: Plan, set: TaskSet): Promise<void> {
    const { taskSetArn } = set;
    await this.ecs.send(new DeleteTaskSetCommand({ cluster, service, taskSet: taskSetArn, force: true }));
    const isThere = async () =>
      (await this.describe(cluster, service)).taskSets?.some((one) => one.taskSetArn === taskSetArn);
    while (await isThere()) await pace(this.aws, POLL_SECONDS);
  }

  private async describe(cluster: string, service: string): Promise<Service> {
    const { services = [] } = await this.ecs.send(
      new DescribeServicesCommand({ cluster, services: [service] }),
    );
    const [found] = services;
    if (found?.status !== "ACTIVE") {
      throw new DeploymentFault(
        "INVALID_ECS_SERVICE",
        `The ECS service ${service} in cluster ${cluster} is ${found?.status ?? "missing"}`,
      );
    }
    return found;
  }

  /** Looks at the group's alarms until the deployment is over. */
  private async watchAlarms(): Promise<void> {
    const { enabled = false, alarms = [], ignorePollAlarmFailure = false } = this.options.alarms;
    if (!enabled || alarms.length === 0) return;
    const AlarmNames = alarms.map(({ name = "" }) => name);
    while (!this.isOver && !this.fault) {
      try {
        const { MetricAlarms = [] } = await this.cloudwatch.send(new DescribeAlarmsCommand({ AlarmNames }));
        const active = MetricAlarms.filter(({ StateValue }) => StateValue === "ALARM");
        if (active.length > 0) {
          const names = active.map(({ AlarmName }) => AlarmName).join(", ");
          this.interrupt(
            new DeploymentFault("ALARM_ACTIVE", `One or more alarms are active: ${names}`, "alarm"),
          );
        }
        await pace(this.aws, POLL_SECONDS);
      } catch (error) {
        if (this.isOver || ignorePollAlarmFailure) return;
        const message = `the state of the alarms cannot be read: ${(error as Error).message}`;
        this.interrupt(new DeploymentFault("ALARM_ACTIVE", message, "alarm"));
      }
    }
  }
}

function readSpec(text: string): AppSpec {
  try {
    return parseAppSpec(text);
  } catch (error) {
    throw new DeploymentFault("INVALID_REVISION", (error as Error).message);
  }
}

function timedOut({ events = [] }: Service): DeploymentFault {
  const last = events[0]?.message;
  return new DeploymentFault(
    "TIMEOUT",
    "The deployment timed out while waiting for the replacement task set to become healthy. This time out " +
      `period is ${HEALTHY_MINUTES} minutes.${last ? ` The service's last event: ${last}` : ""}`,
  );
}

/** An error of a call in the role's name, in CodeDeploy's terms. */
function asFault(error: Error): DeploymentFault {
  if (error instanceof DeploymentFault) return error;
  const isDenied = /AccessDenied|Unauthorized/.test(error.name);
  return new DeploymentFault(isDenied ? "IAM_ROLE_PERMISSIONS" : "ECS_UPDATE_ERROR", error.message);
}
