import { setTimeout as sleep } from "node:timers/promises";
import type { LocalAws } from "../aws/local-aws";

/** However fast AWS time runs, a poll leaves the machine to others for this long. */
const SHORTEST_MILLISECONDS = 100;

/** Waits between two looks at something: `seconds` of AWS time, and never so short that the loop is busy. */
export async function pace(aws: LocalAws, seconds: number): Promise<void> {
  await Promise.all([aws.wait(seconds), sleep(SHORTEST_MILLISECONDS)]);
}

/** A wait of AWS time that can be cut short. */
export interface Alarm {
  /** Settles with `true` when the time has run out, `false` when it was cancelled first or the rehearsal ends. */
  readonly done: Promise<boolean>;
  cancel(): void;
}

/** Starts a wait of `seconds` of AWS time that can be cancelled. */
export function alarm(aws: LocalAws, seconds: number): Alarm {
  let cancel = (): void => {};
  const cancelled = new Promise<boolean>((resolve) => {
    cancel = () => resolve(false);
  });
  const rang = aws.wait(seconds).then(
    () => true,
    () => false,
  );
  return { done: Promise.race([rang, cancelled]), cancel };
}

/** Starts a wait of `seconds` of this machine's time that can be cancelled: a limit of real work, which no scale speeds up. */
export function timer(seconds: number): Alarm {
  const end = new AbortController();
  const done = sleep(seconds * 1000, true, { signal: end.signal, ref: false }).catch(() => false);
  return { done, cancel: () => end.abort() };
}

/** Runs tasks one after another: each `run` starts when the earlier ones have ended, well or not. */
export class Sequence {
  private last: Promise<unknown> = Promise.resolve();

  run<T>(task: () => Promise<T>): Promise<T> {
    const result = this.last.then(task, task);
    this.last = result.catch(() => undefined);
    return result;
  }
}
