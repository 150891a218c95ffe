import type { Happened, Timeline } from "./timeline";

/** Says what happens, with the seconds since the start in front. */
export class Progress {
  private readonly start = Date.now();

  constructor(private readonly write: (line: string) => void = (line) => process.stdout.write(`${line}\n`)) {}

  say = (text: string): void => {
    const seconds = ((Date.now() - this.start) / 1000).toFixed(1).padStart(6);
    for (const line of text.split("\n")) this.write(`${seconds} s  ${line}`);
  };

  /** Does a step and says how long it took. */
  async step<T>(title: string, work: () => Promise<T>): Promise<T> {
    this.say(`${title} ...`);
    const start = Date.now();
    const result = await work();
    this.say(`${title}: done in ${((Date.now() - start) / 1000).toFixed(1)} s`);
    return result;
  }

  /** Says what happens to pushes; what waits and waits is told of more and more seldom: at the 1st, 2nd, 4th, ... time. */
  follow(timeline: Timeline): void {
    const waits = new Map<string, number>();
    timeline.onActivity((activity) => {
      const { stage, state, commit = "", ref = "" } = activity;
      const key = `${stage} ${commit} ${ref}`;
      const times = state === "waiting" ? (waits.get(key) ?? 0) + 1 : 0;
      waits.set(key, times);
      if (Number.isInteger(Math.log2(Math.max(times, 1)))) this.say(describe(activity));
    });
  }
}

const SIGNS = { started: ">", waiting: "~", succeeded: "+", failed: "!", skipped: "-" } as const;

function describe({ stage, state, commit, detail }: Happened): string {
  return `  ${SIGNS[state]} ${(commit?.slice(0, 10) ?? "").padEnd(10)}  ${stage}: ${detail}`;
}
