/**
 * One ECS task of a Fargate service as containers of this machine.
 *
 * Copies: what the agent does as the execution role before a container starts (registry login, layers, log
 * stream) and its words when it may not; the task's one address; environment, command, entry point, user, working
 * directory, read-only root; the task ends with its first essential container; SIGTERM, then SIGKILL after
 * `stopTimeout`.
 * Left out: CPU and memory limits, container health checks and start order, the task role's credentials (only
 * its trust policy is tried). Secrets, environment files and volumes are refused.
 *
 * @see https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-lifecycle-explanation.html
 * @see https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_execution_IAM_role.html
 */

import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { CloudWatchLogsClient, CreateLogStreamCommand } from "@aws-sdk/client-cloudwatch-logs";
import { ECRClient, GetAuthorizationTokenCommand } from "@aws-sdk/client-ecr";
import type { ContainerDefinition, TaskDefinition } from "@aws-sdk/client-ecs";
import type { Credentials, LocalAws } from "../aws/local-aws";
import type { Containers, RegistryLogin } from "./containers";
import { alarm } from "./pace";
import type { TaskNetwork } from "./task-network";

/** ECS's default for `stopTimeout` on Fargate. */
const STOP_SECONDS = 30;

/** Time a well-behaved program has to end, however fast AWS time runs. */
const SHORTEST_STOP_MILLISECONDS = 2_000;

const REFUSED = ["secrets", "environmentFiles", "mountPoints", "volumesFrom"] as const;

/** What tasks run on. */
export interface TaskMachine {
  readonly containers: Pick<
    Containers,
    "exited" | "follow" | "hasImage" | "pull" | "remove" | "run" | "stop"
  >;
  readonly network: TaskNetwork;
  /** Host (with port) of the account's own registry: its images need a login as the execution role. */
  readonly registryHost: string;
  /** Folder for what the containers print. */
  readonly logs: string;
}

export type TaskStatus = "PROVISIONING" | "PENDING" | "RUNNING" | "DEACTIVATING" | "STOPPING" | "STOPPED";

interface TaskContainer {
  readonly definition: ContainerDefinition;
  id?: string;
  exitCode?: number;
}

/** One task. */
export class Task {
  readonly id = randomUUID().replaceAll("-", "");
  readonly arn: string;
  status: TaskStatus = "PROVISIONING";
  /** Address in the task's network once it runs. */
  address: string | undefined;
  stoppedReason: string | undefined;
  /** Settles when the task has ended, whoever ended it. */
  readonly ended: Promise<void>;

  private settle = (): void => {};
  private stopping: Promise<void> | undefined;
  private readonly containers: readonly TaskContainer[];
  private readonly createdAt = Date.now() / 1000;
  private startedAt: number | undefined;
  private stoppedAt: number | undefined;

  constructor(
    private readonly aws: LocalAws,
    private readonly machine: TaskMachine,
    private readonly definition: TaskDefinition,
    cluster: string,
  ) {
    this.arn = `arn:aws:ecs:${aws.region}:${aws.accountId}:task/${cluster}/${this.id}`;
    this.containers = (definition.containerDefinitions ?? []).map((one) => ({ definition: one }));
    this.ended = new Promise((resolve) => {
      this.settle = resolve;
    });
  }

  /** `true` from its creation until somebody or something ends it. */
  get active(): boolean {
    return this.stopping === undefined;
  }

  /** Brings the task to RUNNING; when that cannot be done the task ends with the reason. */
  async start(): Promise<void> {
    try {
      this.refuseWhatIsNotPlayed();
      const execution = await this.assume(this.definition.executionRoleArn);
      await this.assume(this.definition.taskRoleArn);
      this.status = "PENDING";
      for (const { definition } of this.containers) await this.pull(definition, execution);
      for (const { definition } of this.containers) await this.prepareLog(definition, execution);
      const hostPorts = await this.runContainers();
      if (!this.active) return;
      this.address = this.machine.network.attach(hostPorts);
      this.startedAt = Date.now() / 1000;
      this.status = "RUNNING";
      for (const container of this.containers) this.watch(container);
    } catch (error) {
      await this.stop((error as Error).message);
    }
  }

  /** Ends the task as ECS does; `kill` gives it no time. */
  stop(reason: string, kill = false): Promise<void> {
    this.stopping ??= this.shutDown(reason, kill);
    return this.stopping;
  }

  /** The task in the API's form. */
  describe(group: string, startedBy: string): Record<string, unknown> {
    const { taskDefinitionArn, cpu, memory } = this.definition;
    return {
      taskArn: this.arn,
      clusterArn: this.arn.replace(":task/", ":cluster/").replace(/\/[^/]*$/, ""),
      taskDefinitionArn,
      group,
      startedBy,
      launchType: "FARGATE",
      cpu,
      memory,
      lastStatus: this.status,
      desiredStatus: this.active ? "RUNNING" : "STOPPED",
      createdAt: this.createdAt,
      ...(this.startedAt === undefined ? {} : { startedAt: this.startedAt }),
      ...(this.stoppedAt === undefined ? {} : { stoppedAt: this.stoppedAt }),
      ...(this.stoppedReason === undefined ? {} : { stoppedReason: this.stoppedReason }),
      containers: this.containers.map(({ definition, exitCode }) => ({
        taskArn: this.arn,
        name: definition.name,
        image: definition.image,
        lastStatus: this.status === "RUNNING" || this.status === "STOPPED" ? this.status : "PENDING",
        ...(exitCode === undefined ? {} : { exitCode }),
        networkInterfaces: this.address ? [{ privateIpv4Address: this.address }] : [],
      })),
    };
  }

  private refuseWhatIsNotPlayed(): void {
    for (const { definition } of this.containers) {
      const found = REFUSED.filter((name) => (definition[name] ?? []).length > 0);
      if (found.length > 0) {
        throw new Error(`container ${definition.name}: not played by this rehearsal: ${found.join(", ")}`);
      }
    }
  }

  private async assume(role: string | undefined): Promise<Credentials | undefined> {
    if (!role) return undefined;
    const source = { arn: this.arn, account: this.aws.accountId };
    return this.aws.assumeRole(role, "ecs-tasks.amazonaws.com", source).catch((error: Error) => {
      throw new Error(
        `ECS was unable to assume the role '${role}' that was provided for this task: ${error.message}`,
      );
    });
  }

  private async pull(definition: ContainerDefinition, execution: Credentials | undefined): Promise<void> {
    const { image = "" } = definition;
    const { containers, registryHost } = this.machine;
    try {
      if (image.startsWith(`${registryHost}/`)) {
        await containers.pull(image, await this.login(image, execution));
      } else if (!(await containers.hasImage(image))) {
        await containers.pull(image);
      }
    } catch (error) {
      throw new Error(`CannotPullContainerError: ${image}: ${(error as Error).message}`);
    }
  }

  private async login(image: string, execution: Credentials | undefined): Promise<RegistryLogin> {
    if (!execution) throw new Error("an image of ECR needs an execution role");
    const { registryHost } = this.machine;
    const client = new ECRClient(this.aws.clientConfig(execution));
    try {
      const { authorizationData = [] } = await client.send(new GetAuthorizationTokenCommand({}));
      const repository = image.slice(registryHost.length + 1).replace(/[:@].*$/, "");
      const resource = `arn:aws:ecr:${this.aws.region}:${this.aws.accountId}:repository/${repository}`;
      for (const action of ["BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer"]) {
        await this.aws.authorize(execution.accessKeyId, `ecr:${action}`, resource);
      }
      const token = Buffer.from(authorizationData[0]?.authorizationToken ?? "", "base64").toString();
      const colon = token.indexOf(":");
      return {
        registry: registryHost,
        username: token.slice(0, colon),
        password: token.slice(colon + 1),
      };
    } finally {
      client.destroy();
    }
  }

  /** The log driver makes its stream before the container starts, and writes into it while it runs. */
  private async prepareLog(
    definition: ContainerDefinition,
    execution: Credentials | undefined,
  ): Promise<void> {
    const { logDriver, options = {} } = definition.logConfiguration ?? {};
    if (logDriver !== "awslogs") return;
    const { "awslogs-group": group = "", "awslogs-stream-prefix": prefix = "" } = options;
    const stream = `${prefix}/${definition.name}/${this.id}`;
    try {
      if (!execution) throw new Error("the awslogs driver needs an execution role");
      const client = new CloudWatchLogsClient(this.aws.clientConfig(execution));
      await client
        .send(new CreateLogStreamCommand({ logGroupName: group, logStreamName: stream }))
        .finally(() => client.destroy());
      const { region, accountId } = this.aws;
      const resource = `arn:aws:logs:${region}:${accountId}:log-group:${group}:log-stream:${stream}`;
      await this.aws.authorize(execution.accessKeyId, "logs:PutLogEvents", resource);
    } catch (error) {
      throw new Error(
        `ResourceInitializationError: failed to validate logger args: ${(error as Error).message}`,
      );
    }
  }

  /** All containers of a task share one network, and so its ports. */
  private async runContainers(): Promise<ReadonlyMap<number, number>> {
    const ports = this.containers.flatMap(({ definition }) =>
      (definition.portMappings ?? []).flatMap(({ containerPort }) => containerPort ?? []),
    );
    let hostPorts: ReadonlyMap<number, number> = new Map();
    let first: string | undefined;
    for (const container of this.containers) {
      if (!this.active) return hostPorts;
      const { definition } = container;
      const variables = (definition.environment ?? []).map(({ name = "", value = "" }) => [name, value]);
      const started = await this.machine.containers.run({
        image: definition.image ?? "",
        env: Object.fromEntries(variables),
        labels: { "ecs.task-arn": this.arn },
        ...(definition.command ? { command: definition.command } : {}),
        ...(definition.entryPoint ? { entryPoint: definition.entryPoint } : {}),
        ...(definition.user ? { user: definition.user } : {}),
        ...(definition.workingDirectory ? { workingDirectory: definition.workingDirectory } : {}),
        ...(definition.readonlyRootFilesystem ? { readOnly: true } : {}),
        ...(first === undefined ? { ports: [...new Set(ports)] } : { networkOf: first }),
      });
      container.id = started.id;
      if (first === undefined) hostPorts = started.hostPorts;
      first ??= started.id;
      this.machine.containers.follow(
        started.id,
        join(this.machine.logs, `${this.id}-${definition.name}.log`),
      );
    }
    return hostPorts;
  }

  private watch(container: TaskContainer): void {
    if (!container.id) return;
    void this.machine.containers.exited(container.id).then(
      async (code) => {
        container.exitCode = code;
        if (!this.active || container.definition.essential === false) return;
        await this.stop(`Essential container in task exited (${container.definition.name}: ${code})`);
      },
      // Removed while it was watched: the task is being ended.
      () => {},
    );
  }

  private async shutDown(reason: string, kill: boolean): Promise<void> {
    this.stoppedReason = reason;
    this.status = "STOPPING";
    await Promise.all(this.containers.map((container) => this.endContainer(container, kill)));
    if (this.address) this.machine.network.detach(this.address);
    this.status = "STOPPED";
    this.stoppedAt = Date.now() / 1000;
    this.settle();
  }

  private async endContainer({ id, definition }: TaskContainer, kill: boolean): Promise<void> {
    if (!id) return;
    const { containers } = this.machine;
    if (!kill) {
      const seconds = definition.stopTimeout ?? STOP_SECONDS;
      const late = alarm(this.aws, seconds);
      const patience = Promise.all([late.done, sleep(SHORTEST_STOP_MILLISECONDS, undefined, { ref: false })]);
      // The engine's own deadline only has to be the longer one.
      await Promise.race([containers.stop(id, seconds + 60).catch(() => {}), patience]);
      late.cancel();
    }
    await containers.remove(id);
  }
}
