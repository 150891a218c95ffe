import { spawn } from "node:child_process";
import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { delimiter, join } from "node:path";

/** What a finished command left. */
export interface CommandResult {
  /** Exit status; 128 + signal number when a signal ended it, 127 when it could not be started. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly input?: string | Buffer;
  /** @default no limit; the command is killed when it is over, with status 124 */
  readonly timeoutInSeconds?: number;
}

/** Runs a command without a shell and waits for its end; never rejects, so that the caller words the error. */
export function run(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: options.cwd, env: options.env ?? process.env });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    let timedOut = false;
    const timer =
      options.timeoutInSeconds === undefined
        ? undefined
        : setTimeout(() => {
            timedOut = true;
            child.kill("SIGKILL");
          }, options.timeoutInSeconds * 1000);
    const end = (status: number, trouble = "") => {
      clearTimeout(timer);
      resolve({
        status: timedOut ? 124 : status,
        stdout: Buffer.concat(stdout).toString(),
        stderr: Buffer.concat(stderr).toString() + trouble,
      });
    };
    child.stdout.on("data", (chunk) => stdout.push(chunk));
    child.stderr.on("data", (chunk) => stderr.push(chunk));
    // A command that ends without reading its input closes the pipe; its status tells whether that is bad.
    child.stdin.on("error", () => {});
    child.on("error", (error) => end(127, error.message));
    child.on("close", (code, signal) => end(code ?? (signal === "SIGKILL" ? 137 : 143)));
    child.stdin.end(options.input);
  });
}

/** Like `run`, for a command that must succeed. @throws Error with `what`, the status and the last lines it wrote */
export async function runOrFail(
  what: string,
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const result = await run(command, args, options);
  if (result.status !== 0) {
    const ending =
      result.status === 124 ? `took over ${options.timeoutInSeconds} s` : `status ${result.status}`;
    throw new Error(
      `${what} failed (${command} ${args[0] ?? ""}: ${ending})\n${lastLines(result)}`.trimEnd(),
    );
  }
  return result;
}

/** The last lines a command wrote, errors first, for a message. */
export function lastLines(result: Pick<CommandResult, "stdout" | "stderr">, count = 12): string {
  const text = result.stderr.trim() || result.stdout.trim();
  return text.split("\n").slice(-count).join("\n");
}

/** Every executable named `name` in the folders of `path`, in their order. */
export async function findExecutables(name: string, path = process.env.PATH ?? ""): Promise<string[]> {
  const found: string[] = [];
  for (const folder of new Set(path.split(delimiter).filter(Boolean))) {
    const candidate = join(folder, name);
    if (await isExecutable(candidate)) {
      found.push(candidate);
    }
  }
  return found;
}

async function isExecutable(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}
