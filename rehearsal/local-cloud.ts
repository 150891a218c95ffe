import { appendFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { CreateSecretCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager";
import type { Config } from "../config/schema";
import { accountContents } from "./aws/account-contents";
import { type RunningLocalAws, startLocalAws } from "./aws/endpoint";
import type { Activity } from "./aws/local-aws";
import { type Backlog, startBacklog } from "./backlog/backlog";
import { generateKeyPair, type KeyPair } from "./backlog/key-pair";
import type { Delivery } from "./backlog/webhook";
import { startBuildRunner } from "./data-plane/build-runner";
import { Containers } from "./data-plane/containers";
import { startDeployments } from "./data-plane/deployment";
import { playEventBus } from "./data-plane/event-bus";
import { type LoadBalancers, startLoadBalancers } from "./data-plane/load-balancer";
import { playObjectEvents } from "./data-plane/object-events";
import { startPipelines } from "./data-plane/pipeline";
import { startRestApi } from "./data-plane/rest-api";
import { playStateMachines } from "./data-plane/state-machine";
import { TaskNetwork } from "./data-plane/task-network";
import { startTasks } from "./data-plane/tasks";
import type { Engine } from "./machine/container-engine";
import { type PythonEnvironment, startMoto } from "./machine/moto";
import { type Registry, startRegistry } from "./machine/registry";
import type { Workspace } from "./machine/workspace";
import type { Timeline } from "./timeline";

/** moto's account. */
const ACCOUNT_ID = "123456789012";

/** The address that the rehearsed Backlog sends webhooks from; a loopback address of its own, for the API's policy. */
export const SENDER_ADDRESS = "127.54.64.128";

/** Builds that the rehearsed account runs at once. */
const CONCURRENT_BUILDS = 4;

export interface LocalCloudDeps {
  readonly workspace: Workspace;
  readonly engine: Engine;
  readonly python: PythonEnvironment;
  readonly config: Config;
  readonly timeScale: number;
  readonly timeline: Timeline;
  readonly say: (line: string) => void;
  /** Told about each push and each end of its delivery. */
  readonly onDelivery?: (delivery: Delivery) => void;
  /** Told each line of a build's log, free of secrets. */
  readonly onBuildLog?: (push: Pick<Activity, "commit" | "ref">, line: string) => void;
}

/** The AWS on this machine, its registry, and the Backlog beside it. */
export interface LocalCloud {
  readonly aws: RunningLocalAws;
  readonly backlog: Backlog;
  readonly registry: Registry;
  readonly loadBalancers: LoadBalancers;
  /** Lines that name what the account holds. */
  contents(): Promise<ReadonlySet<string>>;
  /** Public half of the key in the secret. */
  readonly builderKey: string;
  /** Secret of the form of `backlog_info` with a key that the rehearsed Backlog accepts. */
  readonly secretArn: string;
  /** Address on this machine of what is a webhook URL of AWS. */
  webhookUrl(url: string): string;
}

/** Starts everything that has to be there before Terraform runs; the workspace ends it. */
export async function startLocalCloud(deps: LocalCloudDeps): Promise<LocalCloud> {
  const { workspace, engine, python, config, timeScale, timeline, say } = deps;
  const moto = await startMoto(workspace, python);
  const aws = await startLocalAws({
    motoUrl: moto.url,
    region: config.project.region,
    accountId: ACCOUNT_ID,
    timeScale,
    onActivity: (activity) => timeline.add(activity),
  });
  workspace.onCleanUp("local AWS", () => aws.close());

  const registry = await startRegistry(workspace, engine, aws, say);
  const backlog = await startBacklog({
    folder: workspace.runSubfolder("backlog"),
    space: config.backlog.space,
    domain: config.backlog.domain,
    projectKey: config.backlog.projectKey,
    repository: config.backlog.repository,
    sourceAddress: SENDER_ADDRESS,
    wait: (seconds) => aws.wait(seconds),
    signal: workspace.signal,
    onDelivery: (delivery) => {
      deps.onDelivery?.(delivery);
      const { state, after, ref, attempts } = delivery;
      if (state !== "refused" && state !== "lost") return;
      const last = attempts.at(-1);
      const detail = `the push is ${state}: ${last?.trouble ?? `the webhook answered ${last?.status}`}`;
      timeline.add({ stage: "received", state: "failed", commit: after, ref, detail });
    },
  });
  workspace.onCleanUp("Backlog", () => backlog.close());

  const builderKey = generateKeyPair();
  backlog.registerKey(builderKey.public);
  const loadBalancers = startDataPlane(deps, aws, registry, backlog);
  const api = await startRestApi(aws);
  workspace.onCleanUp("API Gateway", () => api.close());

  return {
    aws,
    backlog,
    registry,
    loadBalancers,
    contents: () => accountContents(aws),
    builderKey: builderKey.public,
    secretArn: await createSecret(aws, builderKey, config),
    webhookUrl: (url) => {
      const { hostname, pathname } = new URL(url);
      const [stage = "", ...path] = pathname.split("/").filter(Boolean);
      return api.url(hostname.split(".")[0]!, stage, path.join("/"));
    },
  };
}

function startDataPlane(
  { workspace, engine, python, onBuildLog }: LocalCloudDeps,
  aws: RunningLocalAws,
  registry: Registry,
  backlog: Backlog,
): LoadBalancers {
  const bus = playEventBus(aws);
  const emit: typeof bus.emit = (event) => bus.emit(event);
  const commitOf = async (image: string) => commitOfImage(image, registry, backlog);

  playStateMachines(aws);
  playObjectEvents(aws, emit);
  const { DOCKER_CONFIG: _, ...engineEnvironment } = engine.env;
  const builds = startBuildRunner(aws, {
    workspace: workspace.runSubfolder("builds"),
    path: [backlog.sshFolder, engine.binaries, python.binaries, process.env.PATH].join(":"),
    // Each build logs in to the registry for itself, as its home is its own.
    env: { ...engineEnvironment, REHEARSAL_RUN: workspace.id },
    concurrency: CONCURRENT_BUILDS,
    emit,
    onLog: (buildId, line, push) => {
      onBuildLog?.(push, line);
      appendFileSync(workspace.log(`build-${buildId.split(":").pop()}`), `${line}\n`);
    },
  });
  workspace.onCleanUp("builds", () => builds.stop());

  const network = new TaskNetwork();
  const taskLogs = join(workspace.logFolder, "tasks");
  mkdirSync(taskLogs, { recursive: true });
  const loadBalancers = startLoadBalancers(aws, {
    locate: (address, port) => network.locate(address, port),
  });
  workspace.onCleanUp("load balancers", () => loadBalancers.stop());
  const tasks = startTasks(aws, {
    containers: new Containers({
      docker: engine.docker,
      env: { ...process.env, ...engineEnvironment },
      label: engine.label,
    }),
    network,
    registryHost: registry.host,
    logs: taskLogs,
  });
  workspace.onCleanUp("tasks", () => tasks.stop());

  const deployments = startDeployments(aws, { emit, commitOf });
  workspace.onCleanUp("deployments", () => deployments.stop());
  const pipelines = startPipelines(aws, { emit, commitOf });
  workspace.onCleanUp("pipelines", () => pipelines.stop());
  return loadBalancers;
}

/** The pushed commit whose tag an image has. */
function commitOfImage(image: string, registry: Registry, backlog: Backlog): string | undefined {
  const [name = "", digest = ""] = image.split("@");
  const repository = name.slice(name.indexOf("/") + 1);
  const tags = digest ? [...(registry.store.find(repository, { digest })?.tags ?? [])] : [];
  return backlog.deliveries.map(({ after }) => after).find((commit) => tags.includes(commit.slice(0, 10)));
}

async function createSecret(aws: RunningLocalAws, key: KeyPair, config: Config): Promise<string> {
  const { space, domain, projectKey, repository } = config.backlog;
  const { ARN } = await new SecretsManagerClient(aws.clientConfig()).send(
    new CreateSecretCommand({
      Name: "rehearsal/backlog_info",
      SecretString: JSON.stringify({
        space_id: space,
        domain_name: domain,
        project_key: projectKey,
        repository_name: repository,
        ssh_key: key.private,
      }),
    }),
  );
  return ARN!;
}
