/**
 * Amazon ECS: keeps the tasks of services running that CodeDeploy deploys, in task sets.
 *
 * Copies: a new service starts a primary task set; a service needs target groups that a load balancer uses; a
 * task that ends is replaced, later and later when it keeps failing; a task is taken out of its target group and
 * drained before it is stopped; a task set is steady when all its tasks run and their targets are healthy; what
 * UpdateService refuses for such services.
 * Left out: services with another deployment controller (the control plane only remembers those), replacing tasks
 * whose targets are unhealthy, placement, capacity, circuit breakers, RunTask. Calls to the load balancer are made
 * by the administrator: ECS's own service-linked role cannot lack a permission.
 *
 * @see https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_TaskSet.html
 * @see https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-throttle-logic.html
 * @see https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_UpdateService.html
 */

import { randomInt, randomUUID } from "node:crypto";
import { DescribeTaskDefinitionCommand, ECSClient, type TaskDefinition } from "@aws-sdk/client-ecs";
import { AwsError, type AwsResponse, type LocalAws } from "../aws/local-aws";
import { alarm, pace } from "./pace";
import { Task, type TaskMachine } from "./task";
import { type LoadBalancer, TaskTargets } from "./task-targets";

/** First delay before a task that failed twice is started again; each further one doubles it, up to the last. */
const FIRST_DELAY_SECONDS = 10;
const LAST_DELAY_SECONDS = 900;

/** A task that ran this long was no failure to start. */
const SETTLED_SECONDS = 60;

interface TaskSet {
  readonly id: string;
  readonly arn: string;
  readonly taskDefinition: string;
  readonly definition: TaskDefinition;
  readonly loadBalancers: readonly LoadBalancer[];
  /** What was given and is only shown again. */
  readonly shown: Readonly<Record<string, unknown>>;
  readonly scale: { readonly value: number; readonly unit: string };
  readonly createdAt: number;
  status: "PRIMARY" | "ACTIVE" | "DRAINING";
  tasks: Task[];
  failures: number;
}

interface Service {
  readonly cluster: string;
  readonly name: string;
  readonly arn: string;
  desiredCount: number;
  taskSets: TaskSet[];
  readonly events: { id: string; createdAt: number; message: string }[];
}

/** The running ECS. */
export interface Tasks {
  /** The last thing that went wrong or right with a service, for people. */
  lastEvent(cluster: string, service: string): string | undefined;
  /** Ends all tasks at once. */
  stop(): Promise<void>;
}

/** Plays the tasks of ECS services. */
export function startTasks(aws: LocalAws, machine: TaskMachine): Tasks {
  const ecs = new Ecs(aws, machine);
  aws.handle("ecs", "CreateService", (request, next) => ecs.createService(request.parameters, next));
  aws.handle("ecs", "UpdateService", (request, next) => ecs.updateService(request.parameters, next));
  aws.handle("ecs", "DeleteService", (request, next) => ecs.deleteService(request.parameters, next));
  aws.handle("ecs", "DescribeServices", (_request, next) => ecs.describeServices(next));
  aws.handle("ecs", "CreateTaskSet", (request) => ecs.createTaskSet(request.parameters));
  aws.handle("ecs", "DescribeTaskSets", (request) => ecs.describeTaskSets(request.parameters));
  aws.handle("ecs", "DeleteTaskSet", (request) => ecs.deleteTaskSet(request.parameters));
  aws.handle("ecs", "UpdateServicePrimaryTaskSet", (request) => ecs.updatePrimary(request.parameters));
  aws.handle("ecs", "ListTasks", async (request) => ecs.listTasks(request.parameters));
  aws.handle("ecs", "DescribeTasks", async (request) => ecs.describeTasks(request.parameters));
  return ecs;
}

interface ServiceParameters {
  readonly cluster?: string;
  readonly service?: string;
  readonly serviceName?: string;
  readonly taskDefinition?: string;
  readonly desiredCount?: number;
  readonly loadBalancers?: readonly LoadBalancer[];
  readonly networkConfiguration?: unknown;
  readonly platformVersion?: string;
  readonly launchType?: string;
  readonly externalId?: string;
  readonly scale?: { readonly value: number; readonly unit: string };
  readonly deploymentController?: { readonly type?: string };
  readonly taskSet?: string;
  readonly taskSets?: readonly string[];
  readonly primaryTaskSet?: string;
  readonly force?: boolean;
}

type Next = () => Promise<AwsResponse>;
type Answer = Promise<AwsResponse | Record<string, unknown>>;

class Ecs implements Tasks {
  private readonly ecs: ECSClient;
  private readonly targets: TaskTargets;
  private readonly services = new Map<string, Service>();
  /** Tasks that are being taken out of service. */
  private readonly retiring = new Set<Task>();
  /** Tasks that have ended; ECS shows them for an hour, this does to its end. */
  private readonly past: { service: Service; set: TaskSet; task: Task }[] = [];
  private stopped = false;

  constructor(
    private readonly aws: LocalAws,
    private readonly machine: TaskMachine,
  ) {
    this.ecs = new ECSClient(aws.clientConfig());
    this.targets = new TaskTargets(aws);
  }

  lastEvent(cluster: string, service: string): string | undefined {
    return this.services.get(keyOf(cluster, service))?.events[0]?.message;
  }

  async stop(): Promise<void> {
    this.stopped = true;
    const tasks = this.allTasks().map(({ task }) => task.stop("the rehearsal ended", true));
    this.targets.stop();
    await Promise.allSettled(tasks);
    this.ecs.destroy();
    this.targets.close();
  }

  async createService(parameters: ServiceParameters, next: Next): Answer {
    const isPlayed = parameters.deploymentController?.type === "CODE_DEPLOY";
    if (isPlayed) await this.targets.check(parameters.loadBalancers);
    const answer = await next();
    if (!isPlayed || answer.status !== 200) return answer;
    const body = JSON.parse(answer.body.toString());
    const service: Service = {
      cluster: lastPart(parameters.cluster ?? "default"),
      name: parameters.serviceName ?? "",
      arn: body.service.serviceArn,
      desiredCount: parameters.desiredCount ?? 0,
      taskSets: [],
      events: [],
    };
    this.services.set(keyOf(service.cluster, service.name), service);
    const set = await this.addTaskSet(service, {
      ...parameters,
      taskDefinition: body.service.taskDefinition,
    });
    set.status = "PRIMARY";
    this.reconcile(service, set);
    return { ...body, service: await this.show(body.service) };
  }

  async updateService(parameters: ServiceParameters, next: Next): Answer {
    const service = this.services.get(keyOf(parameters.cluster, parameters.service));
    if (!service) return next();
    for (const name of [
      "taskDefinition",
      "networkConfiguration",
      "platformVersion",
      "loadBalancers",
    ] as const) {
      if (parameters[name] === undefined) continue;
      throw new AwsError(
        "InvalidParameterException",
        `Unable to update ${name} on services with a CODE_DEPLOY deployment controller. ` +
          "Use AWS CodeDeploy to trigger a new deployment.",
      );
    }
    const answer = await next();
    if (answer.status !== 200) return answer;
    service.desiredCount = parameters.desiredCount ?? service.desiredCount;
    for (const set of service.taskSets) this.reconcile(service, set);
    const body = JSON.parse(answer.body.toString());
    return { ...body, service: await this.show(body.service) };
  }

  async deleteService(parameters: ServiceParameters, next: Next): Answer {
    const answer = await next();
    const service = this.services.get(keyOf(parameters.cluster, parameters.service));
    if (!service || answer.status !== 200) return answer;
    service.desiredCount = 0;
    for (const set of service.taskSets) void this.removeTaskSet(service, set);
    const body = JSON.parse(answer.body.toString());
    return { ...body, service: await this.show(body.service) };
  }

  async describeServices(next: Next): Answer {
    const answer = await next();
    if (answer.status !== 200) return answer;
    const body = JSON.parse(answer.body.toString());
    return { ...body, services: await Promise.all(body.services.map((one: Shown) => this.show(one))) };
  }

  async createTaskSet(parameters: ServiceParameters): Promise<Record<string, unknown>> {
    const service = this.find(parameters);
    await this.targets.check(parameters.loadBalancers);
    const set = await this.addTaskSet(service, parameters);
    this.reconcile(service, set);
    return { taskSet: await this.showTaskSet(service, set) };
  }

  async describeTaskSets(parameters: ServiceParameters): Promise<Record<string, unknown>> {
    const service = this.find(parameters);
    const asked = parameters.taskSets?.map((one) => this.findTaskSet(service, one)) ?? service.taskSets;
    return { taskSets: await Promise.all(asked.map((set) => this.showTaskSet(service, set))), failures: [] };
  }

  async deleteTaskSet(parameters: ServiceParameters): Promise<Record<string, unknown>> {
    const service = this.find(parameters);
    const set = this.findTaskSet(service, parameters.taskSet);
    if (!parameters.force && set.scale.value > 0) {
      throw new AwsError(
        "InvalidParameterException",
        "The task set cannot be deleted while it is scaled above 0.",
      );
    }
    void this.removeTaskSet(service, set);
    return { taskSet: await this.showTaskSet(service, set) };
  }

  async updatePrimary(parameters: ServiceParameters): Promise<Record<string, unknown>> {
    const service = this.find(parameters);
    const primary = this.findTaskSet(service, parameters.primaryTaskSet);
    for (const set of service.taskSets) if (set.status === "PRIMARY") set.status = "ACTIVE";
    primary.status = "PRIMARY";
    return { taskSet: await this.showTaskSet(service, primary) };
  }

  listTasks(parameters: ServiceParameters & { desiredStatus?: string }): Record<string, unknown> {
    const wantsActive = (parameters.desiredStatus ?? "RUNNING") === "RUNNING";
    const cluster = lastPart(parameters.cluster ?? "default");
    const name = parameters.serviceName && lastPart(parameters.serviceName);
    return {
      taskArns: this.allTasks()
        .filter(({ service }) => service.cluster === cluster && (!name || service.name === name))
        .filter(({ task }) => task.active === wantsActive)
        .map(({ task }) => task.arn),
    };
  }

  describeTasks({ tasks: asked = [] }: { tasks?: readonly string[] }): Record<string, unknown> {
    const known = new Map(this.allTasks().map((one) => [one.task.id, one]));
    return {
      tasks: asked.flatMap((arn) => {
        const found = known.get(lastPart(arn));
        return found ? [found.task.describe(`service:${found.service.name}`, found.set.id)] : [];
      }),
      failures: asked.filter((arn) => !known.has(lastPart(arn))).map((arn) => ({ arn, reason: "MISSING" })),
    };
  }

  private async addTaskSet(service: Service, parameters: ServiceParameters): Promise<TaskSet> {
    const { taskDefinition: definition = {} } = await this.ecs.send(
      new DescribeTaskDefinitionCommand({ taskDefinition: parameters.taskDefinition }),
    );
    const id = `ecs-svc/${randomInt(1e9, 1e10)}${randomInt(1e8, 1e9)}`;
    const { region, accountId } = this.aws;
    const set: TaskSet = {
      id,
      arn: `arn:aws:ecs:${region}:${accountId}:task-set/${service.cluster}/${service.name}/${id}`,
      taskDefinition: definition.taskDefinitionArn ?? "",
      definition,
      loadBalancers: parameters.loadBalancers ?? [],
      scale: parameters.scale ?? { value: 100, unit: "PERCENT" },
      shown: {
        externalId: parameters.externalId,
        launchType: parameters.launchType,
        networkConfiguration: parameters.networkConfiguration,
        platformVersion: parameters.platformVersion,
      },
      createdAt: Date.now() / 1000,
      status: "ACTIVE",
      tasks: [],
      failures: 0,
    };
    service.taskSets.push(set);
    return set;
  }

  /** Starts what is missing and stops what is too much. */
  private reconcile(service: Service, set: TaskSet): void {
    if (this.stopped) return;
    const active = this.serving(set);
    for (let count = active.length; count < wanted(service, set); count += 1) {
      const task = new Task(this.aws, this.machine, set.definition, service.cluster);
      set.tasks.push(task);
      this.live(service, set, task).catch((error: Error) => this.note(service, error.message));
    }
    for (const task of active.slice(wanted(service, set))) {
      this.retire(set, task, "Scaling activity initiated by deployment").catch(() => {});
    }
  }

  /** Tasks that nothing has ended yet and nothing is about to. */
  private serving(set: TaskSet): Task[] {
    return set.tasks.filter((task) => task.active && !this.retiring.has(task));
  }

  /** One task from its start to its end, and what its end means for the service. */
  private async live(service: Service, set: TaskSet, task: Task): Promise<void> {
    await task.start();
    if (task.status === "RUNNING") {
      for (const group of await this.targets.register(set.loadBalancers, task.address)) {
        this.note(service, `registered 1 targets in ${group}`);
      }
      const settled = alarm(this.aws, SETTLED_SECONDS);
      void settled.done.then((rang) => {
        if (rang) set.failures = 0;
      });
      await task.ended;
      settled.cancel();
    }
    const planned = this.serving(set).length >= wanted(service, set);
    set.tasks = set.tasks.filter((one) => one !== task);
    this.past.push({ service, set, task });
    await this.targets.deregister(set.loadBalancers, task.address);
    if (planned || this.stopped) return;
    set.failures += 1;
    this.note(service, `(task ${task.id}) stopped: ${task.stoppedReason}`);
    if (set.failures > 1) {
      const delay = Math.min(FIRST_DELAY_SECONDS * 2 ** (set.failures - 2), LAST_DELAY_SECONDS);
      await pace(this.aws, delay);
    }
    this.reconcile(service, set);
  }

  /** Takes a task out of service: first the load balancer lets go of it, then it is stopped. */
  private async retire(set: TaskSet, task: Task, reason: string): Promise<void> {
    this.retiring.add(task);
    await this.targets.deregister(set.loadBalancers, task.address);
    await task.stop(reason);
    this.retiring.delete(task);
  }

  private async removeTaskSet(service: Service, set: TaskSet): Promise<void> {
    set.status = "DRAINING";
    const reason = "Task set deleted";
    await Promise.allSettled(set.tasks.map((task) => this.retire(set, task, reason)));
    service.taskSets = service.taskSets.filter((one) => one !== set);
  }

  /** What the control plane says of a service, with what really runs. */
  private async show(shown: Shown): Promise<Shown> {
    const service = this.services.get(keyOf(shown.clusterArn, shown.serviceName));
    if (!service || service.arn !== shown.serviceArn) return shown;
    const primary = service.taskSets.find((set) => set.status === "PRIMARY");
    const tasks = service.taskSets.flatMap((set) => set.tasks);
    return {
      ...shown,
      ...(primary ? { taskDefinition: primary.taskDefinition, loadBalancers: primary.loadBalancers } : {}),
      // The control plane calls a deleted service inactive at once; it is when its tasks are gone.
      status: shown.status === "INACTIVE" && service.taskSets.length > 0 ? "DRAINING" : shown.status,
      desiredCount: service.desiredCount,
      runningCount: tasks.filter(({ status }) => status === "RUNNING").length,
      pendingCount: tasks.filter(isPending).length,
      taskSets: await Promise.all(service.taskSets.map((set) => this.showTaskSet(service, set))),
      events: service.events,
    };
  }

  private async showTaskSet(service: Service, set: TaskSet): Promise<Record<string, unknown>> {
    const isSteady = await this.isSteady(service, set);
    const now = Date.now() / 1000;
    return {
      ...set.shown,
      id: set.id,
      taskSetArn: set.arn,
      serviceArn: service.arn,
      clusterArn: service.arn.replace(":service/", ":cluster/").replace(/\/[^/]*$/, ""),
      startedBy: "CODE_DEPLOY",
      status: set.status,
      taskDefinition: set.taskDefinition,
      loadBalancers: set.loadBalancers,
      scale: set.scale,
      computedDesiredCount: wanted(service, set),
      runningCount: set.tasks.filter(({ status }) => status === "RUNNING").length,
      pendingCount: set.tasks.filter(isPending).length,
      createdAt: set.createdAt,
      updatedAt: now,
      stabilityStatus: isSteady ? "STEADY_STATE" : "STABILIZING",
      stabilityStatusAt: now,
    };
  }

  /** Running as wanted, nothing coming or going, and every target healthy. */
  private async isSteady(service: Service, set: TaskSet): Promise<boolean> {
    const count = wanted(service, set);
    if (set.tasks.length !== count || set.tasks.some(({ status }) => status !== "RUNNING")) return false;
    if (set.tasks.some((task) => this.retiring.has(task))) return false;
    const addresses = set.tasks.map(({ address = "" }) => address);
    return this.targets.areHealthy(set.loadBalancers, addresses);
  }

  private find({ cluster, service: name }: ServiceParameters): Service {
    const service = this.services.get(keyOf(cluster, name));
    if (!service) throw new AwsError("ServiceNotFoundException", "Service not found.");
    return service;
  }

  private findTaskSet(service: Service, name: string | undefined): TaskSet {
    const set = service.taskSets.find(({ id, arn }) => name === arn || name === id);
    if (!set) throw new AwsError("TaskSetNotFoundException", "The specified task set wasn't found.");
    return set;
  }

  private allTasks(): { service: Service; set: TaskSet; task: Task }[] {
    const present = [...this.services.values()].flatMap((service) =>
      service.taskSets.flatMap((set) => set.tasks.map((task) => ({ service, set, task }))),
    );
    return [...present, ...this.past];
  }

  private note(service: Service, message: string): void {
    const event = {
      id: randomUUID(),
      createdAt: Date.now() / 1000,
      message: `(service ${service.name}) ${message}`,
    };
    service.events.unshift(event);
  }
}

// biome-ignore lint/suspicious/noExplicitAny: a service as the API shows it
type Shown = Record<string, any>;

function wanted(service: Service, set: TaskSet): number {
  if (set.status === "DRAINING") return 0;
  return Math.ceil((service.desiredCount * set.scale.value) / 100);
}

function isPending({ status }: Task): boolean {
  return status === "PROVISIONING" || status === "PENDING";
}

/** Services are named by name or ARN, clusters too. */
function keyOf(cluster: string | undefined, service: string | undefined): string {
  return `${lastPart(cluster ?? "default")}/${lastPart(service ?? "")}`;
}

function lastPart(name: string): string {
  return name.slice(name.lastIndexOf("/") + 1);
}
