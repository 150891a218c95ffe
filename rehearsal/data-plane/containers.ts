/**
 * The container engine as the data plane uses it: through the docker command line, so that any engine with
 * that interface will do. Every container carries a label, so that a later clean-up finds what a crash left.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";

export interface ContainersOptions {
  /** Path of the docker command that belongs to the engine. */
  readonly docker: string;
  /** Environment of the command; `DOCKER_HOST` names the engine. */
  readonly env: NodeJS.ProcessEnv;
  /** Label (`key=value`) that every container gets. */
  readonly label: string;
}

export interface RunOptions {
  readonly image: string;
  readonly name?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** First word replaces the image's entry point. */
  readonly entryPoint?: readonly string[];
  readonly command?: readonly string[];
  /** Container ports to publish on free ports of 127.0.0.1. */
  readonly ports?: readonly number[];
  /** Id of a container whose network this one joins, as the containers of one task do. */
  readonly networkOf?: string;
  readonly user?: string;
  readonly workingDirectory?: string;
  /** The container may not write to its root file system. */
  readonly readOnly?: boolean;
  readonly labels?: Readonly<Record<string, string>>;
}

export interface RunningContainer {
  readonly id: string;
  /** Port on 127.0.0.1 by container port. */
  readonly hostPorts: ReadonlyMap<number, number>;
}

/** A login that is used for one pull and then forgotten. */
export interface RegistryLogin {
  readonly registry: string;
  readonly username: string;
  readonly password: string;
}

/** Drives one container engine. */
export class Containers {
  constructor(private readonly options: ContainersOptions) {}

  /**
   * Starts a container in the background.
   * @throws Error with the engine's own words when it cannot be started
   */
  async run(options: RunOptions): Promise<RunningContainer> {
    const args = ["run", "--detach", "--pull", "never", "--label", this.options.label];
    for (const [key, value] of Object.entries(options.labels ?? {})) args.push("--label", `${key}=${value}`);
    if (options.name) args.push("--name", options.name);
    if (options.networkOf) args.push("--network", `container:${options.networkOf}`);
    for (const port of options.ports ?? []) args.push("--publish", `127.0.0.1::${port}`);
    if (options.user) args.push("--user", options.user);
    if (options.workingDirectory) args.push("--workdir", options.workingDirectory);
    if (options.readOnly) args.push("--read-only");
    // Names only on the command line; the values travel in the environment, where `ps` does not show them.
    // A name that the command itself needs (PATH, HOME) cannot go that way.
    for (const [name, value] of Object.entries(options.env ?? {})) {
      args.push("--env", name in this.options.env ? `${name}=${value}` : name);
    }
    const [entryPoint, ...entryArguments] = options.entryPoint ?? [];
    if (entryPoint) args.push("--entrypoint", entryPoint);
    args.push(options.image, ...entryArguments, ...(options.command ?? []));
    const id = (await this.docker(args, { env: options.env ?? {} })).trim();
    try {
      return { id, hostPorts: await this.hostPorts(id, options.ports ?? []) };
    } catch (error) {
      const printed = await this.logs(id).catch(() => "");
      await this.remove(id);
      throw new Error(
        `${(error as Error).message}${printed && `; the container printed: ${printed.trim()}`}`,
      );
    }
  }

  /** Sends SIGTERM, and SIGKILL after `timeoutSeconds`. A container that is gone is no error. */
  async stop(id: string, timeoutSeconds: number): Promise<void> {
    await this.unlessGone(["stop", "--time", String(Math.max(1, Math.ceil(timeoutSeconds))), id]);
  }

  /** Removes a container with its anonymous volumes, running or not. A container that is gone is no error. */
  async remove(id: string): Promise<void> {
    await this.unlessGone(["rm", "--force", "--volumes", id]);
  }

  async isRunning(id: string): Promise<boolean> {
    const state = await this.docker(["inspect", "--format", "{{.State.Running}}", id]).catch(() => "false");
    return state.trim() === "true";
  }

  /** Settles with the exit code when the container has ended. */
  async exited(id: string): Promise<number> {
    return Number((await this.docker(["wait", id])).trim());
  }

  /** Appends what the container prints to `file` until it ends. */
  follow(id: string, file: string): void {
    const logs = this.spawn(["logs", "--follow", id]);
    const out = createWriteStream(file, { flags: "a", mode: 0o600 });
    logs.stdout.pipe(out, { end: false });
    logs.stderr.pipe(out, { end: false });
    logs.on("close", () => out.end());
    logs.on("error", () => out.end());
    // Without the file the container runs on; the engine still has its log.
    out.on("error", () => logs.kill());
  }

  /** The last lines that the container printed. */
  async logs(id: string, lines = 20): Promise<string> {
    const both = await this.execute(["logs", "--tail", String(lines), id]);
    return `${both.stdout}${both.stderr}`;
  }

  async hasImage(image: string): Promise<boolean> {
    return this.docker(["image", "inspect", "--format", "{{.Id}}", image]).then(
      () => true,
      () => false,
    );
  }

  /** Value of a label of an image that the engine has; `undefined` without image or label. */
  async imageLabel(image: string, label: string): Promise<string | undefined> {
    const format = `{{index .Config.Labels ${JSON.stringify(label)}}}`;
    const value = await this.docker(["image", "inspect", "--format", format, image]).catch(() => "");
    return value.trim() === "" || value.trim() === "<no value>" ? undefined : value.trim();
  }

  /** Pulls an image, with a login of its own that no other command sees. */
  async pull(image: string, login?: RegistryLogin): Promise<void> {
    const config = await mkdtemp(join(tmpdir(), "registry-login-"));
    try {
      if (login) {
        await this.docker(
          ["--config", config, "login", "--username", login.username, "--password-stdin", login.registry],
          { stdin: login.password },
        );
      }
      await this.docker(["--config", config, "pull", "--quiet", image]);
    } finally {
      await rm(config, { recursive: true, force: true });
    }
  }

  /** Removes every container with this engine's label. */
  async removeAll(): Promise<void> {
    const ids = await this.docker(["ps", "--all", "--quiet", "--filter", `label=${this.options.label}`]);
    await Promise.all(
      ids
        .split("\n")
        .filter(Boolean)
        .map((id) => this.remove(id)),
    );
  }

  private async hostPorts(id: string, ports: readonly number[]): Promise<Map<number, number>> {
    const found = new Map<number, number>();
    for (const port of ports) {
      const lines = await this.docker(["port", id, `${port}/tcp`]);
      const address = lines.split("\n").find((line) => line.startsWith("127.0.0.1:"));
      if (!address)
        throw new Error(`container port ${port} is not published, the engine says: ${lines.trim()}`);
      found.set(port, Number(address.slice(address.lastIndexOf(":") + 1)));
    }
    return found;
  }

  private async unlessGone(args: readonly string[]): Promise<void> {
    await this.docker(args).catch((error: Error) => {
      if (!/no such container|is already in progress/i.test(error.message)) throw error;
    });
  }

  private spawn(args: readonly string[]): ChildProcess & { stdout: Readable; stderr: Readable } {
    return spawn(this.options.docker, args, { env: this.options.env, stdio: ["ignore", "pipe", "pipe"] });
  }

  private async docker(
    args: readonly string[],
    extra: { stdin?: string; env?: Readonly<Record<string, string>> } = {},
  ): Promise<string> {
    return (await this.execute(args, extra)).stdout;
  }

  private execute(
    args: readonly string[],
    extra: { stdin?: string; env?: Readonly<Record<string, string>> } = {},
  ): Promise<{ stdout: string; stderr: string }> {
    return new Promise((resolve, reject) => {
      const child = execFile(
        this.options.docker,
        args,
        { env: { ...extra.env, ...this.options.env }, maxBuffer: 16 * 1024 * 1024 },
        (error, stdout, stderr) => {
          if (error) reject(new Error(`docker ${args[0]}: ${stderr.trim() || error.message}`));
          else resolve({ stdout, stderr });
        },
      );
      child.stdin?.on("error", () => {});
      child.stdin?.end(extra.stdin ?? "");
    });
  }
}
