import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** A process that cannot be mistaken for a later one with the same pid. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Ticks between the boot and its start, as /proc has it. */
  readonly startTime: string;
}

/** Changes with every boot: after one, no process, interface or firewall rule of before exists. */
export function bootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}

/** Names the process table that pids belong to; another container has another one. */
export function pidNamespace(): string {
  return readlinkSync("/proc/self/ns/pid");
}

/** @returns undefined when there is no such process, or when it has ended and only waits to be collected */
export function identify(pid: number): ProcessIdentity | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second field is the command's name in brackets, which may itself hold blanks and brackets.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const [state, startTime] = [fields[0], fields[19]];
    return state === "Z" || state === "X" || startTime === undefined ? undefined : { pid, startTime };
  } catch {
    return undefined;
  }
}

/** Whether this very process (not another with its pid) still runs. */
export function isAlive(identity: ProcessIdentity): boolean {
  return identify(identity.pid)?.startTime === identity.startTime;
}

/** All processes whose environment at their start held `mark` (`NAME=value`), except this one. */
export function markedProcesses(mark: string): ProcessIdentity[] {
  return processesWhere((pid) => readFileSync(`/proc/${pid}/environ`, "utf8").split("\0").includes(mark));
}

/** All processes that `matches`, except this one; those that may not be read or have just ended do not match. */
export function processesWhere(matches: (pid: number) => boolean): ProcessIdentity[] {
  const found: ProcessIdentity[] = [];
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) {
      continue;
    }
    try {
      const identity = matches(pid) ? identify(pid) : undefined;
      if (identity) {
        found.push(identity);
      }
    } catch {
      // Gone in the meantime, or another user's: neither is ours.
    }
  }
  return found;
}

/** The command line of a process, for messages. */
export function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").join(" ").trim();
  } catch {
    return "";
  }
}

/**
 * Ends processes and waits until they are gone: SIGTERM first, SIGKILL for those that take too long.
 * @throws Error naming those that even SIGKILL did not end
 */
export async function endProcesses(processes: readonly ProcessIdentity[], graceInSeconds = 3): Promise<void> {
  const phases: [NodeJS.Signals, number][] = [
    ["SIGTERM", graceInSeconds],
    ["SIGKILL", 5],
  ];
  let left = processes.filter(isAlive);
  for (const [signal, seconds] of phases) {
    if (left.length === 0 || seconds === 0) {
      continue;
    }
    for (const { pid } of left) {
      send(pid, signal);
    }
    const end = Date.now() + seconds * 1000;
    while (left.length > 0 && Date.now() < end) {
      await sleep(20);
      left = left.filter(isAlive);
    }
  }
  if (left.length > 0) {
    throw new Error(`still running: ${left.map(({ pid }) => `${pid} (${commandLine(pid)})`).join(", ")}`);
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") {
      throw error;
    }
  }
}
