import { EventEmitter } from "node:events";
import type { Activity, Stage } from "./aws/local-aws";

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

  /**
   * Waits until a commit has passed a stage.
   * @throws Error when it failed in any stage, or when the time is over, with the last thing that happened to it
   */
  passed(stage: Stage, commit: string, timeoutInSeconds: number, signal: AbortSignal): Promise<Happened> {
    return new Promise((resolve, reject) => {
      const short = commit.slice(0, 10);
      const look = () => {
        const failed = this.failed(commit);
        if (failed)
          return settle(() => reject(new Error(`${short} failed at "${failed.stage}": ${failed.detail}`)));
        const success = this.succeeded(stage, commit);
        if (success) settle(() => resolve(success));
      };
      const giveUp = () => {
        const last = this.list.findLast((one) => one.commit === commit);
        const where = last ? `last: ${last.stage} ${last.state}, ${last.detail}` : "nothing happened to it";
        settle(() =>
          reject(new Error(`${short} did not get past "${stage}" within ${timeoutInSeconds} s (${where})`)),
        );
      };
      const abort = () => settle(() => reject(signal.reason));
      const timer = setTimeout(giveUp, timeoutInSeconds * 1000);
      const settle = (end: () => void) => {
        clearTimeout(timer);
        this.news.off("activity", look);
        signal.removeEventListener("abort", abort);
        end();
      };
      this.news.on("activity", look);
      signal.addEventListener("abort", abort);
      look();
    });
  }
}
