import { EventEmitter } from "node:events";
import type { Activity, Stage } from "./aws/local-aws";

/** Not everything that is waited for is told by an activity. */
const POLL_MS = 500;

/** An activity with the time it was reported at. */
export type Happened = Activity & { readonly at: number };

/** Everything that happened to the pushes of a run, in order. */
export class Timeline {
  private readonly list: Happened[] = [];
  private readonly news = new EventEmitter().setMaxListeners(0);

  add(activity: Activity): void {
    const happened = { ...activity, at: activity.at ?? Date.now() };
    this.list.push(happened);
    this.news.emit("activity", happened);
  }

  onActivity(listener: (activity: Happened) => void): void {
    this.news.on("activity", listener);
  }

  /** The first activity of a commit in a stage that ended well. */
  succeeded(stage: Stage, commit: string): Happened | undefined {
    return this.list.find((one) => one.stage === stage && one.commit === commit && one.state === "succeeded");
  }

  /** The first activity of a commit that ended badly. */
  failed(commit: string): Happened | undefined {
    return this.list.find((one) => one.commit === commit && one.state === "failed");
  }

  /** Everything so far, in order. */
  get activities(): readonly Happened[] {
    return this.list;
  }

  /**
   * Waits until a commit has passed a stage.
   * @throws Error when it failed in any stage, or when the time is over, with the last thing that happened to it
   */
  passed(stage: Stage, commit: string, timeoutInSeconds: number, signal: AbortSignal): Promise<Happened> {
    const short = commit.slice(0, 10);
    const look = () => {
      const failed = this.failed(commit);
      if (failed) throw new Error(`${short} failed at "${failed.stage}": ${failed.detail}`);
      return this.succeeded(stage, commit);
    };
    const describe = () => {
      const last = this.list.findLast((one) => one.commit === commit);
      const where = last ? `last: ${last.stage} ${last.state}, ${last.detail}` : "nothing happened to it";
      return `${short} did not get past "${stage}" within ${timeoutInSeconds} s (${where})`;
    };
    return this.until(look, describe, timeoutInSeconds, signal);
  }

  /**
   * Waits until `look`, asked after each activity and now and then, finds something.
   * @throws Error of `look`, or when the time is over, with the words of `describe`
   */
  until<T>(
    look: () => T | undefined,
    describe: () => string,
    timeoutInSeconds: number,
    signal: AbortSignal,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const settle = (end: () => void) => {
        clearTimeout(timer);
        clearInterval(now);
        this.news.off("activity", attempt);
        signal.removeEventListener("abort", abort);
        end();
      };
      const attempt = () => {
        try {
          const found = look();
          if (found !== undefined) settle(() => resolve(found));
        } catch (error) {
          settle(() => reject(error));
        }
      };
      const abort = () => settle(() => reject(signal.reason));
      const timer = setTimeout(() => settle(() => reject(new Error(describe()))), timeoutInSeconds * 1000);
      const now = setInterval(attempt, POLL_MS);
      this.news.on("activity", attempt);
      signal.addEventListener("abort", abort);
      attempt();
    });
  }
}
