/**
 * One CodeBuild build: from PROVISIONING to its end, in a shell of this machine instead of a container.
 * Copies the phases, the environment, the log and what ends a build; checks in the role's name what the
 * service does with the role before the first command: reading secrets, writing the log, network interfaces.
 * Left out: the build image (`path` stands for its tools), sources, artifacts, caches, reports, batches.
 *
 * @see https://docs.aws.amazon.com/codebuild/latest/userguide/view-build-details-phases.html
 */
import { randomUUID } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Build, Project } from "@aws-sdk/client-codebuild";
import type { Activity, Credentials, LocalAws } from "../aws/local-aws";
import { type EnvironmentVariable, mergeVariables, resolveVariables } from "./build-environment";
import { BuildLog } from "./build-log";
import { runPhases } from "./build-phases";
import { BuildShell } from "./build-shell";
import { parseBuildspec } from "./buildspec";
import { LogMask } from "./log-mask";
import { timer } from "./pace";

export type BuildStatus = "IN_PROGRESS" | "SUCCEEDED" | "FAILED" | "STOPPED" | "TIMED_OUT" | "FAULT";

/** What a build gets beside its project. */
export interface BuildSettings {
  /** Folder for the files of all builds. */
  readonly workspace: string;
  /** PATH with the tools that stand for the build image. */
  readonly path: string;
  /** Variables that make the tools reach this machine's container engine. */
  readonly env: Readonly<Record<string, string>>;
  /**
   * By how much a project's time limit is divided. Builds do real work, so the rehearsal's own scale is not for them.
   * @default 1
   */
  readonly timeLimitScale?: number;
  /** Each line of the log as it is written, free of secrets, and the push that is built. */
  onLog?(buildId: string, line: string, push: Pick<Activity, "commit" | "ref">): void;
}

/** Limits of the StartBuild call in place of the project's. */
export interface BuildLimits {
  readonly timeoutInMinutes?: number | undefined;
  readonly queuedTimeoutInMinutes?: number | undefined;
}

interface PhaseRecord {
  readonly phaseType: string;
  readonly startTime: number;
  endTime?: number;
  phaseStatus?: string;
  contexts: { statusCode: string; message: string }[];
}

/** A failure that the service itself meets, with the code AWS shows beside it. */
class ServiceFailure extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** One build and its state as the API shows it. */
export class RunningBuild {
  readonly id: string;
  readonly arn: string;
  readonly variables: readonly EnvironmentVariable[];
  status: BuildStatus = "IN_PROGRESS";
  currentPhase = "SUBMITTED";
  /** Why the build ended as it did, for people. */
  reason = "";
  /** What the scripts printed after `outcome:`. */
  outcome: string | undefined;

  private readonly startTime = Date.now();
  private endTime: number | undefined;
  private readonly phases: PhaseRecord[] = [];
  private readonly streamName = randomUUID();
  private shell: BuildShell | undefined;
  private ending: BuildStatus | undefined;

  constructor(
    private readonly aws: LocalAws,
    readonly project: Project,
    readonly number: number,
    private readonly settings: BuildSettings,
    overrides: readonly EnvironmentVariable[],
    private readonly buildspec: string,
    private readonly limits: BuildLimits = {},
  ) {
    this.id = `${project.name}:${randomUUID()}`;
    this.arn = `arn:aws:codebuild:${aws.region}:${aws.accountId}:build/${this.id}`;
    this.variables = mergeVariables(
      (project.environment?.environmentVariables ?? []) as EnvironmentVariable[],
      overrides,
    );
    this.enter("SUBMITTED");
    this.enter("QUEUED");
  }

  /** Value of a plain variable, e.g. the commit. */
  plain(name: string): string | undefined {
    const found = this.variables.find((variable) => variable.name === name);
    return found && (found.type ?? "PLAINTEXT") === "PLAINTEXT" ? found.value : undefined;
  }

  get complete(): boolean {
    return this.status !== "IN_PROGRESS";
  }

  /** The control plane shows 0 where nothing was set. */
  get queuedTimeoutInMinutes(): number {
    return this.limits.queuedTimeoutInMinutes || this.project.queuedTimeoutInMinutes || 480;
  }

  private get timeoutInMinutes(): number {
    return this.limits.timeoutInMinutes || this.project.timeoutInMinutes || 60;
  }

  /** File with the whole log. */
  get logFile(): string {
    return join(this.folder, "build.log");
  }

  /** Runs the build to its end; never throws. */
  async run(): Promise<void> {
    try {
      await mkdir(join(this.folder, "home"), { recursive: true, mode: 0o700 });
      await mkdir(join(this.folder, "src"), { recursive: true });
      await mkdir(join(this.folder, "tmp"), { recursive: true });
      const log = new BuildLog(this.logFile, (line) => this.read(line));
      const timeout = timer((this.timeoutInMinutes * 60) / (this.settings.timeLimitScale ?? 1));
      void timeout.done.then((rang) => {
        if (rang) void this.end("TIMED_OUT", `ran longer than ${this.timeoutInMinutes} minutes`);
      });
      const succeeded = await this.work(log).finally(async () => {
        timeout.cancel();
        await this.shell?.end();
        // A log that is refused fails the build, so it counts before the result does.
        await log.close();
      });
      this.finish(this.ending ?? (succeeded ? "SUCCEEDED" : "FAILED"));
    } catch (error) {
      const code = error instanceof ServiceFailure ? error.code : "CLIENT_ERROR";
      const { message } = error as Error;
      if (!this.ending) this.reason = message;
      this.phases.at(-1)?.contexts.push({ statusCode: code, message });
      this.finish(this.ending ?? "FAILED");
    }
  }

  /** Ends the build before its time; a queued one never starts. */
  async end(status: "STOPPED" | "TIMED_OUT", reason: string): Promise<void> {
    if (this.complete || this.ending) return;
    this.ending = status;
    this.reason = reason;
    if (this.currentPhase === "QUEUED") this.finish(status);
    await this.shell?.end();
  }

  /** The build in the API's form. */
  describe(): Build {
    const seconds = (time: number) => time / 1000;
    const { groupName } = this.logDestination() ?? {};
    const description = {
      id: this.id,
      arn: this.arn,
      buildNumber: this.number,
      buildStatus: this.status,
      buildComplete: this.complete,
      currentPhase: this.currentPhase,
      projectName: this.project.name,
      serviceRole: this.project.serviceRole,
      source: this.project.source,
      artifacts: {},
      cache: this.project.cache,
      environment: { ...this.project.environment, environmentVariables: this.variables },
      logs: groupName ? { groupName, streamName: this.streamName } : {},
      timeoutInMinutes: this.timeoutInMinutes,
      queuedTimeoutInMinutes: this.queuedTimeoutInMinutes,
      startTime: seconds(this.startTime),
      ...(this.endTime === undefined ? {} : { endTime: seconds(this.endTime) }),
      phases: this.phases.map((phase) => ({
        ...phase,
        startTime: seconds(phase.startTime),
        ...(phase.endTime === undefined
          ? {}
          : {
              endTime: seconds(phase.endTime),
              durationInSeconds: Math.round(seconds(phase.endTime - phase.startTime)),
            }),
      })),
    };
    // Times travel as numbers, where the SDK's type has what it makes of them.
    return description as unknown as Build;
  }

  private get folder(): string {
    return join(this.settings.workspace, this.id.replace(":", "-"));
  }

  private async work(log: BuildLog): Promise<boolean> {
    this.enter("PROVISIONING");
    const { serviceRole = "" } = this.project;
    const credentials = await this.aws.assumeRole(serviceRole, "codebuild.amazonaws.com", {
      arn: `arn:aws:codebuild:${this.aws.region}:${this.aws.accountId}:project/${this.project.name}`,
      account: this.aws.accountId,
    });
    await this.checkNetwork(credentials);
    const destination = this.logDestination();
    if (destination) {
      await log.connect(this.aws, credentials, destination).catch((error: Error) => {
        throw new ServiceFailure(
          "ACCESS_DENIED",
          `Service role ${serviceRole} does not allow AWS CodeBuild to create Amazon CloudWatch Logs ` +
            `log streams for build ${this.arn}. Error message: ${error.message}`,
        );
      });
    }
    this.enter("DOWNLOAD_SOURCE");
    const spec = parseBuildspec(this.buildspec);
    const fromSpec = Object.entries(spec.variables).map(([name, value]) => ({ name, value }));
    const secretsOfSpec = Object.entries(spec.secrets).map(([name, value]) => ({
      name,
      value,
      type: "SECRETS_MANAGER" as const,
    }));
    const environment = await resolveVariables(
      this.aws,
      credentials,
      mergeVariables([...fromSpec, ...secretsOfSpec], this.variables),
    );
    if (this.ending) return false;
    const mask = new LogMask([
      ...environment.secrets,
      credentials.secretAccessKey,
      ...(credentials.sessionToken ? [credentials.sessionToken] : []),
    ]);
    this.shell = await BuildShell.start({
      shell: spec.shell,
      env: { ...this.builtIn(credentials), ...environment.variables },
      folder: join(this.folder, "tmp"),
      workingDirectory: join(this.folder, "src"),
      onOutput: (chunk) => log.write(mask.push(chunk)),
    });
    // Stopped while the shell was starting: there was nothing to end then.
    if (this.ending) return false;
    const succeeded = await runPhases(spec, this.shell, {
      say: (line) => {
        log.write(mask.end());
        log.say(line);
      },
      started: (name) => this.enter(name.toUpperCase()),
      ended: (result) => {
        if (this.ending) return;
        if (result.message === undefined) {
          this.leave("SUCCEEDED");
          return;
        }
        if (this.reason === "") this.reason = result.message;
        const context = { statusCode: "COMMAND_EXECUTION_ERROR", message: result.message };
        this.phases.at(-1)?.contexts.push(context);
      },
    });
    log.write(mask.end());
    return succeeded;
  }

  /** What CodeBuild itself puts into the environment, and what stands for the build image. */
  private builtIn(credentials: Credentials): Record<string, string> {
    const source = join(this.folder, "src");
    const engine: Record<string, string> = this.project.environment?.privilegedMode
      ? {}
      : // Without privileged mode there is no docker daemon in the container; this machine's must not stand in.
        { DOCKER_HOST: `unix://${this.folder}/no-docker-without-privileged-mode.sock` };
    return {
      ...this.settings.env,
      ...engine,
      PATH: this.settings.path,
      HOME: join(this.folder, "home"),
      TMPDIR: join(this.folder, "tmp"),
      PWD: source,
      AWS_ENDPOINT_URL: this.aws.endpoint,
      AWS_REGION: this.aws.region,
      AWS_DEFAULT_REGION: this.aws.region,
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
      ...(credentials.sessionToken ? { AWS_SESSION_TOKEN: credentials.sessionToken } : {}),
      CODEBUILD_BUILD_ARN: this.arn,
      CODEBUILD_BUILD_ID: this.id,
      CODEBUILD_BUILD_IMAGE: this.project.environment?.image ?? "",
      CODEBUILD_BUILD_NUMBER: String(this.number),
      CODEBUILD_BUILD_SUCCEEDING: "1",
      CODEBUILD_CI: "true",
      CODEBUILD_LOG_PATH: this.streamName,
      CODEBUILD_RESOLVED_SOURCE_VERSION: "",
      CODEBUILD_SRC_DIR: source,
      CODEBUILD_START_TIME: String(this.startTime),
    };
  }

  /** In a VPC the role makes the build's network interface. */
  private async checkNetwork(credentials: Credentials): Promise<void> {
    const { vpcConfig } = this.project;
    if (!vpcConfig?.vpcId) return;
    const arn = (resource: string) => `arn:aws:ec2:${this.aws.region}:${this.aws.accountId}:${resource}`;
    const interfaceArn = arn(`network-interface/eni-${randomUUID().slice(0, 8)}`);
    const subnets = (vpcConfig.subnets ?? []).map((subnet) => arn(`subnet/${subnet}`));
    const groups = (vpcConfig.securityGroupIds ?? []).map((group) => arn(`security-group/${group}`));
    const context = (subnet: string) => ({
      "ec2:Subnet": subnet,
      "ec2:AuthorizedService": "codebuild.amazonaws.com",
    });
    const checks: [string, string, Record<string, string>?][] = [
      ...[
        "DescribeDhcpOptions",
        "DescribeNetworkInterfaces",
        "DescribeSecurityGroups",
        "DescribeSubnets",
        "DescribeVpcs",
      ].map((action): [string, string] => [`ec2:${action}`, "*"]),
      ...[interfaceArn, ...subnets, ...groups].map((resource): [string, string] => [
        "ec2:CreateNetworkInterface",
        resource,
      ]),
      ["ec2:DeleteNetworkInterface", interfaceArn],
      ...subnets.map((subnet): [string, string, Record<string, string>] => [
        "ec2:CreateNetworkInterfacePermission",
        interfaceArn,
        context(subnet),
      ]),
    ];
    for (const [action, resource, keys] of checks) {
      await this.aws.authorize(credentials.accessKeyId, action, resource, keys).catch((error: Error) => {
        throw new ServiceFailure("VPC_CLIENT_ERROR", `Unexpected EC2 error: ${error.message}`);
      });
    }
  }

  private logDestination(): { groupName: string; streamName: string } | undefined {
    const { status = "ENABLED", groupName, streamName } = this.project.logsConfig?.cloudWatchLogs ?? {};
    if (status === "DISABLED") return undefined;
    return {
      groupName: groupName ?? `/aws/codebuild/${this.project.name}`,
      streamName: streamName ? `${streamName}/${this.streamName}` : this.streamName,
    };
  }

  /** What the build was started for, when its variables say so. */
  private get push(): Pick<Activity, "commit" | "ref"> {
    const [commit, ref] = [this.plain("GIT_COMMIT"), this.plain("GIT_REF")];
    return { ...(commit ? { commit } : {}), ...(ref ? { ref } : {}) };
  }

  private read(line: string): void {
    this.outcome = /^outcome: (.+)$/.exec(line)?.[1] ?? this.outcome;
    this.settings.onLog?.(this.id, line, this.push);
  }

  private enter(phaseType: string): void {
    this.leave("SUCCEEDED");
    this.currentPhase = phaseType;
    this.phases.push({ phaseType, startTime: Date.now(), contexts: [] });
  }

  private leave(status: string): void {
    const phase = this.phases.at(-1);
    if (!phase || phase.endTime !== undefined) return;
    phase.endTime = Date.now();
    phase.phaseStatus = phase.contexts.length > 0 ? "FAILED" : status;
  }

  private finish(status: BuildStatus): void {
    if (this.complete) return;
    this.leave(status);
    this.enter("FINALIZING");
    this.enter("COMPLETED");
    this.status = status;
    this.endTime = Date.now();
  }
}
