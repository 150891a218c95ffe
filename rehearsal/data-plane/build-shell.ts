/**
 * The one shell of a build: "in version 0.2, CodeBuild runs all build commands in the same instance of the
 * default shell", so variables and the working directory live from one command to the next.
 *
 * @see https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html#build-spec-ref-versions
 */
import { type ChildProcess, spawn } from "node:child_process";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { setImmediate as nextTurn } from "node:timers/promises";

/** Reads file names from descriptor 3, runs each in this very shell and answers its exit status on 4. */
const DRIVER = `exec 2>&1
while IFS= read -r CODEBUILD_COMMAND_FILE <&3; do
  . "$CODEBUILD_COMMAND_FILE" 3<&- 4>&- </dev/null
  echo "$?" >&4
done
`;

export interface BuildShellOptions {
  readonly shell: "sh" | "bash";
  /** The whole environment; nothing is inherited. Must hold `CODEBUILD_BUILD_ID`. */
  readonly env: Readonly<Record<string, string>>;
  /** Folder for the shell's own files. */
  readonly folder: string;
  /** Where the first command starts. */
  readonly workingDirectory: string;
  onOutput(chunk: Buffer): void;
}

/** Runs commands one after another in one shell. */
export class BuildShell {
  private readonly child: ChildProcess;
  private readonly ended: Promise<void>;
  private commands = 0;
  private bytes = 0;
  private answer: ((status: number | undefined) => void) | undefined;

  private constructor(private readonly options: BuildShellOptions) {
    this.child = spawn(options.shell, [join(options.folder, "driver.sh")], {
      cwd: options.workingDirectory,
      env: { ...options.env },
      // A process group of its own, so that a build can be killed whole.
      detached: true,
      stdio: ["ignore", "pipe", "pipe", "pipe", "pipe"],
    });
    this.ended = new Promise((resolve) => {
      this.child.once("error", (error) => {
        options.onOutput(Buffer.from(`cannot start ${options.shell}: ${error.message}\n`));
        resolve();
      });
      this.child.once("exit", () => resolve());
    });
    for (const output of [this.child.stdout, this.child.stderr]) {
      output?.on("data", (chunk: Buffer) => {
        this.bytes += chunk.length;
        options.onOutput(chunk);
      });
    }
    (this.child.stdio[3] as Writable).on("error", () => {});
    let line = "";
    (this.child.stdio[4] as Readable).on("data", (chunk: Buffer) => {
      line += chunk.toString();
      if (line.endsWith("\n")) {
        this.answer?.(Number(line.trim()));
        line = "";
      }
    });
    void this.ended.then(() => this.answer?.(undefined));
  }

  static async start(options: BuildShellOptions): Promise<BuildShell> {
    await writeFile(join(options.folder, "driver.sh"), DRIVER, { mode: 0o600 });
    return new BuildShell(options);
  }

  /** `false` when the shell has ended: nothing more can run. */
  get alive(): boolean {
    return this.child.pid !== undefined && this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Runs one command and gives its exit status; `undefined` when the shell itself has ended. */
  async run(command: string): Promise<number | undefined> {
    if (!this.alive) return undefined;
    this.commands += 1;
    const file = join(this.options.folder, `command-${this.commands}.sh`);
    await writeFile(file, `${command}\n`, { mode: 0o600 });
    const status = await new Promise<number | undefined>((resolve) => {
      this.answer = resolve;
      void this.ended.then(() => resolve(undefined));
      (this.child.stdio[3] as Writable).write(`${file}\n`);
    });
    this.answer = undefined;
    await this.drain();
    return status;
  }

  /** Ends the shell and everything it started, also what left its process group, as a build's container does. */
  async end(): Promise<void> {
    const { pid } = this.child;
    if (pid === undefined) return;
    try {
      process.kill(-pid, "SIGKILL");
    } catch {
      // The group has ended by itself.
    }
    await this.ended;
    await killByEnvironment(`CODEBUILD_BUILD_ID=${this.options.env.CODEBUILD_BUILD_ID}`);
    this.child.stdout?.destroy();
    this.child.stderr?.destroy();
  }

  /** The status comes on a pipe of its own: take in what was printed before it. */
  private async drain(): Promise<void> {
    for (let seen = -1; seen !== this.bytes; ) {
      seen = this.bytes;
      await nextTurn();
      await nextTurn();
    }
  }
}

/** Kills the processes whose environment holds `entry`; a daemon keeps the environment it was started with. */
async function killByEnvironment(entry: string): Promise<void> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  await Promise.all(
    pids.map(async (pid) => {
      const environment = await readFile(`/proc/${pid}/environ`, "utf8").catch(() => "");
      if (!environment.split("\0").includes(entry)) return;
      try {
        process.kill(Number(pid), "SIGKILL");
      } catch {
        // It has just ended.
      }
    }),
  );
}
