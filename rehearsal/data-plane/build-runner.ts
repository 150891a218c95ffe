/**
 * AWS CodeBuild: the calls that start, show and stop builds, their queue and their events.
 *
 * Copies: what StartBuild refuses, the idempotency token's five minutes, the queue (at most five times as
 * many builds as may run at once), overrides of environment variables, queue and build timeouts, and the
 * event of each change of state.
 * Left out: sources and artifacts (only NO_SOURCE and NO_ARTIFACTS; others are refused), the other overrides,
 * batch builds, reports, retries. Which role's builds run first is the order of the calls.
 *
 * @see https://docs.aws.amazon.com/codebuild/latest/APIReference/API_StartBuild.html
 * @see https://docs.aws.amazon.com/codebuild/latest/userguide/limits.html
 * @see https://docs.aws.amazon.com/codebuild/latest/userguide/sample-build-notifications.html
 */

import { isDeepStrictEqual } from "node:util";
import { BatchGetProjectsCommand, CodeBuildClient, type Project } from "@aws-sdk/client-codebuild";
import { AwsError, type AwsRequest, type LocalAws } from "../aws/local-aws";
import { type BuildSettings, RunningBuild } from "./build";
import { type EnvironmentVariable, VARIABLE_MAX_CHARACTERS } from "./build-environment";
import { BUILDSPEC_MAX_CHARACTERS } from "./buildspec";
import type { EventBus } from "./event-bus";
import { alarm } from "./pace";

/** "The maximum number of queued builds is five times the concurrent build limit." */
const QUEUE_FACTOR = 5;
const TOKEN_MINUTES = 5;

/** Parameters of StartBuild that are played; another one is refused, not ignored. */
const START_PARAMETERS = [
  "projectName",
  "environmentVariablesOverride",
  "idempotencyToken",
  "buildspecOverride",
  "timeoutInMinutesOverride",
  "queuedTimeoutInMinutesOverride",
];

export interface BuildRunnerDependencies extends BuildSettings {
  /** Builds of the account that may run at once. */
  readonly concurrency: number;
  readonly emit: EventBus["emit"];
}

/** The running CodeBuild. */
export interface BuildRunner {
  /** Log file of a build. */
  logFile(buildId: string): string | undefined;
  /** Ends all builds. */
  stop(): Promise<void>;
}

/** Plays CodeBuild's builds. */
export function startBuildRunner(aws: LocalAws, dependencies: BuildRunnerDependencies): BuildRunner {
  const service = new CodeBuild(aws, dependencies);
  aws.handle("codebuild", "StartBuild", (request) => service.startBuild(request.parameters));
  aws.handle("codebuild", "BatchGetBuilds", async (request) => service.batchGetBuilds(request.parameters));
  aws.handle("codebuild", "ListBuilds", async (request) => service.listBuilds(request.parameters));
  aws.handle("codebuild", "ListBuildsForProject", async (request) => service.listBuilds(request.parameters));
  aws.handle("codebuild", "StopBuild", (request) => service.stopBuild(request.parameters));
  for (const action of ["CreateProject", "UpdateProject"]) {
    aws.handle("codebuild", action, async (request: AwsRequest, next) => {
      checkBuildspec(request.parameters.source?.buildspec);
      return next();
    });
  }
  return service;
}

interface StartParameters {
  readonly projectName?: unknown;
  readonly environmentVariablesOverride?: readonly EnvironmentVariable[];
  readonly idempotencyToken?: string;
  readonly buildspecOverride?: string;
  readonly timeoutInMinutesOverride?: number;
  readonly queuedTimeoutInMinutesOverride?: number;
}

class CodeBuild implements BuildRunner {
  private readonly client: CodeBuildClient;
  private readonly builds = new Map<string, RunningBuild>();
  private readonly numbers = new Map<string, number>();
  private readonly tokens = new Map<string, { parameters: StartParameters; build: Promise<RunningBuild> }>();
  private readonly queue: RunningBuild[] = [];
  private readonly running = new Map<RunningBuild, Promise<void>>();
  private stopped = false;

  constructor(
    private readonly aws: LocalAws,
    private readonly dependencies: BuildRunnerDependencies,
  ) {
    this.client = new CodeBuildClient(aws.clientConfig());
  }

  logFile(buildId: string): string | undefined {
    return this.builds.get(buildId)?.logFile;
  }

  async stop(): Promise<void> {
    this.stopped = true;
    const all = [...this.builds.values()];
    await Promise.all(all.map((build) => build.end("STOPPED", "the rehearsal ended")));
    await Promise.all(this.running.values());
    this.client.destroy();
  }

  async startBuild(parameters: StartParameters): Promise<Record<string, unknown>> {
    const { idempotencyToken: token } = parameters;
    const earlier = token === undefined ? undefined : this.tokens.get(token);
    if (earlier) {
      if (!isDeepStrictEqual(earlier.parameters, parameters)) {
        throw new AwsError(
          "InvalidInputException",
          `Idempotency token ${token} was used with other parameters: parameter mismatch`,
        );
      }
      return { build: (await earlier.build).describe() };
    }
    const build = this.submit(parameters);
    if (token !== undefined) {
      this.tokens.set(token, { parameters, build });
      // A call that was refused started nothing: its token is free again.
      build.catch(() => this.tokens.delete(token));
      void alarm(this.aws, TOKEN_MINUTES * 60).done.then(() => this.tokens.delete(token));
    }
    return { build: (await build).describe() };
  }

  batchGetBuilds({ ids = [] }: { ids?: readonly string[] }): Record<string, unknown> {
    for (const id of ids) checkBuildId(id);
    return {
      builds: ids.flatMap((id) => this.builds.get(id)?.describe() ?? []),
      buildsNotFound: ids.filter((id) => !this.builds.has(id)),
    };
  }

  listBuilds(parameters: { projectName?: string; sortOrder?: string }): Record<string, unknown> {
    const ids = [...this.builds.values()]
      .filter((build) => !parameters.projectName || build.project.name === parameters.projectName)
      .map((build) => build.id);
    return { ids: parameters.sortOrder === "ASCENDING" ? ids : ids.reverse() };
  }

  async stopBuild({ id = "" }: { id?: string }): Promise<Record<string, unknown>> {
    checkBuildId(id);
    const build = this.builds.get(id);
    if (!build) throw new AwsError("ResourceNotFoundException", `Build ${id} does not exist`);
    await build.end("STOPPED", "stopped by StopBuild");
    this.fill();
    return { build: build.describe() };
  }

  private async submit(parameters: StartParameters): Promise<RunningBuild> {
    checkParameters(parameters);
    const project = await this.project(String(parameters.projectName ?? ""));
    const { name = "" } = project;
    const active = [...this.builds.values()].filter((build) => !build.complete);
    if (project.concurrentBuildLimit !== undefined) {
      const own = active.filter((build) => build.project.name === name);
      if (own.length >= project.concurrentBuildLimit) {
        throw new AwsError(
          "AccountLimitExceededException",
          `Cannot have more than ${project.concurrentBuildLimit} active builds for the project`,
        );
      }
    }
    const limit = this.dependencies.concurrency * QUEUE_FACTOR;
    if (this.queue.length >= limit) {
      throw new AwsError(
        "AccountLimitExceededException",
        `Cannot have more than ${limit} builds in queue for the account`,
      );
    }
    const number = (this.numbers.get(name) ?? 0) + 1;
    this.numbers.set(name, number);
    const build = new RunningBuild(
      this.aws,
      project,
      number,
      this.dependencies,
      parameters.environmentVariablesOverride ?? [],
      parameters.buildspecOverride ?? project.source?.buildspec ?? "",
      {
        timeoutInMinutes: parameters.timeoutInMinutesOverride,
        queuedTimeoutInMinutes: parameters.queuedTimeoutInMinutesOverride,
      },
    );
    this.builds.set(build.id, build);
    this.queue.push(build);
    this.guardQueue(build);
    this.fill();
    if (this.queue.includes(build)) {
      this.report(
        build,
        "waiting",
        `waits for one of ${this.dependencies.concurrency} build slots`,
        "queued",
      );
    }
    return build;
  }

  /** A build that stays in the queue too long ends as timed out. */
  private guardQueue(build: RunningBuild): void {
    const minutes = build.queuedTimeoutInMinutes;
    const timeout = alarm(this.aws, minutes * 60);
    void timeout.done.then(async (rang) => {
      if (rang && this.queue.includes(build))
        await build.end("TIMED_OUT", `waited ${minutes} minutes in the queue`);
      this.fill();
    });
  }

  /** Starts queued builds while there is room. */
  private fill(): void {
    for (let index = this.queue.length - 1; index >= 0; index -= 1) {
      const build = this.queue[index];
      if (!build?.complete) continue;
      this.queue.splice(index, 1);
      this.announceEnd(build);
    }
    while (!this.stopped && this.running.size < this.dependencies.concurrency) {
      const build = this.queue.shift();
      if (!build) return;
      this.running.set(build, this.runOne(build));
    }
  }

  private async runOne(build: RunningBuild): Promise<void> {
    this.report(build, "started", `build ${build.number} of ${build.project.name}`);
    this.emit(build, "IN_PROGRESS");
    await build.run();
    this.running.delete(build);
    this.announceEnd(build);
    this.fill();
  }

  private announceEnd(build: RunningBuild): void {
    const succeeded = build.status === "SUCCEEDED";
    const detail = succeeded ? (build.outcome ?? "ended well") : `${build.status}: ${build.reason}`;
    this.report(build, succeeded ? "succeeded" : "failed", detail);
    this.emit(build, build.status);
  }

  private report(
    build: RunningBuild,
    state: "started" | "waiting" | "succeeded" | "failed",
    detail: string,
    stage: "building" | "queued" = "building",
  ): void {
    const commit = build.plain("GIT_COMMIT");
    const ref = build.plain("GIT_REF");
    this.aws.report({ stage, state, detail, ...(commit ? { commit } : {}), ...(ref ? { ref } : {}) });
  }

  private emit(build: RunningBuild, status: string): void {
    this.dependencies.emit({
      source: "aws.codebuild",
      "detail-type": "CodeBuild Build State Change",
      resources: [build.arn],
      detail: {
        "build-status": status,
        "project-name": build.project.name,
        "build-id": build.arn,
        "additional-information": build.describe(),
        "current-phase": build.currentPhase,
        version: "1",
      },
    });
  }

  private async project(name: string): Promise<Project> {
    const { projects = [] } = await this.client.send(new BatchGetProjectsCommand({ names: [name] }));
    const [project] = projects;
    if (!project) {
      const arn = `arn:aws:codebuild:${this.aws.region}:${this.aws.accountId}:project/${name}`;
      throw new AwsError("ResourceNotFoundException", `Project cannot be found: ${arn}`);
    }
    if (project.source?.type !== "NO_SOURCE" || project.artifacts?.type !== "NO_ARTIFACTS") {
      throw new AwsError(
        "InvalidInputException",
        "this rehearsal builds with source NO_SOURCE and artifacts NO_ARTIFACTS only, " +
          `${name} has ${project.source?.type} and ${project.artifacts?.type}`,
      );
    }
    return project;
  }
}

function checkParameters(parameters: StartParameters): void {
  const unplayed = Object.keys(parameters).filter((name) => !START_PARAMETERS.includes(name));
  if (unplayed.length > 0) {
    throw new AwsError("InvalidInputException", `not played by this rehearsal: ${unplayed.join(", ")}`);
  }
  if (parameters.projectName !== undefined && typeof parameters.projectName !== "string") {
    throw new AwsError("SerializationException", "projectName must be a string");
  }
  if (!parameters.projectName) {
    throw new AwsError("InvalidInputException", "Project name is required");
  }
  checkBuildspec(parameters.buildspecOverride);
  for (const { name, value, type = "PLAINTEXT" } of parameters.environmentVariablesOverride ?? []) {
    if (!name || value === undefined) {
      throw new AwsError("InvalidInputException", "each environment variable needs a name and a value");
    }
    if (!["PLAINTEXT", "PARAMETER_STORE", "SECRETS_MANAGER"].includes(type)) {
      throw new AwsError("InvalidInputException", `environment variable ${name}: invalid type ${type}`);
    }
    if (value.length > VARIABLE_MAX_CHARACTERS) {
      throw new AwsError(
        "InvalidInputException",
        `environment variable ${name} has ${value.length} characters, at most ${VARIABLE_MAX_CHARACTERS} are allowed`,
      );
    }
  }
}

function checkBuildspec(buildspec: string | undefined): void {
  if (buildspec !== undefined && buildspec.length > BUILDSPEC_MAX_CHARACTERS) {
    throw new AwsError(
      "InvalidInputException",
      `buildspec has ${buildspec.length} characters, at most ${BUILDSPEC_MAX_CHARACTERS} are allowed`,
    );
  }
}

function checkBuildId(id: string): void {
  if (!id.includes(":")) throw new AwsError("InvalidInputException", "Invalid build ID provided");
}
