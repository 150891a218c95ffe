/**
 * The order of a build's phases and what a failed command means for the rest, as CodeBuild has it:
 * a failed command ends its phase (its `finally` still runs); a failed INSTALL or PRE_BUILD ends the build;
 * POST_BUILD runs although BUILD failed, with CODEBUILD_BUILD_SUCCEEDING=0.
 *
 * @see https://docs.aws.amazon.com/codebuild/latest/userguide/view-build-details-phases.html
 */
import { type Buildspec, PHASES, type Phase, type PhaseName } from "./buildspec";

/** What runs the commands; `undefined` as status means that the shell is gone. */
export interface CommandRunner {
  readonly alive: boolean;
  run(command: string): Promise<number | undefined>;
}

export interface PhaseResult {
  readonly name: PhaseName;
  readonly succeeded: boolean;
  /** What failed, in CodeBuild's words. */
  readonly message?: string;
}

export interface PhaseListener {
  /** A line in the build's log, from CodeBuild itself. */
  say(line: string): void;
  started(name: PhaseName): void;
  ended(result: PhaseResult): void;
}

/** Runs the phases; `true` when all of them ended well. */
export async function runPhases(
  spec: Buildspec,
  runner: CommandRunner,
  listener: PhaseListener,
): Promise<boolean> {
  let succeeding = true;
  for (const name of PHASES) {
    const phase = spec.phases[name];
    if (!phase) continue;
    listener.started(name);
    listener.say(`Entering phase ${name.toUpperCase()}`);
    const message = await runPhase(phase, runner, listener);
    const succeeded = message === undefined;
    listener.say(`Phase complete: ${name.toUpperCase()} State: ${succeeded ? "SUCCEEDED" : "FAILED"}`);
    listener.say(
      `Phase context status code: ${succeeded ? "" : "COMMAND_EXECUTION_ERROR"} Message: ${message ?? ""}`,
    );
    listener.ended({ name, succeeded, ...(message === undefined ? {} : { message }) });
    if (succeeded) continue;
    succeeding = false;
    if (name !== "build" || phase.abortOnFailure || !runner.alive) break;
    await runner.run("export CODEBUILD_BUILD_SUCCEEDING=0");
  }
  return succeeding;
}

async function runPhase(
  phase: Phase,
  runner: CommandRunner,
  listener: PhaseListener,
): Promise<string | undefined> {
  const failure = await runCommands(phase.commands, runner, listener);
  if (!runner.alive) return failure;
  const failureOfFinally = await runCommands(phase.finally, runner, listener);
  return failure ?? failureOfFinally;
}

async function runCommands(
  commands: readonly string[],
  runner: CommandRunner,
  listener: PhaseListener,
): Promise<string | undefined> {
  for (const command of commands) {
    listener.say(`Running command ${command}`);
    const status = await runner.run(command);
    if (status === 0) continue;
    const reason =
      status === undefined
        ? "the command ended the build's shell (`exit`, or `set -e` and a failure)"
        : `exit status ${status}`;
    listener.say(`Command did not exit successfully ${firstLine(command)} ${reason}`);
    return `Error while executing command: ${firstLine(command)}. Reason: ${reason}`;
  }
  return undefined;
}

/** AWS repeats the whole command; a script of hundreds of lines would hide the reason behind it. */
function firstLine(command: string): string {
  const [line = "", ...more] = command.trim().split("\n");
  return more.length > 0 ? `${line} ...` : line;
}
