import { STAGES, type Stage } from "../aws/local-aws";
import type { Outcome, StageState, StageView } from "./state";

const isOver = (state: StageState) => state === "succeeded" || state === "failed" || state === "skipped";

/** The stages of one push, and what they come to. */
export class Stages {
  private readonly views = new Map<Stage, StageView>(
    STAGES.map((name) => [name, { name, state: "not yet", detail: "" }]),
  );

  /** @param begunAt when the push was made: the first stage counts from there */
  constructor(private readonly begunAt: number) {}

  get all(): StageView[] {
    return [...this.views.values()];
  }

  get(name: Stage): StageView {
    return this.views.get(name)!;
  }

  set(name: Stage, state: StageState, detail: string, at: number): void {
    const { startedAt, endedAt } = this.get(name);
    // What begins again after its end counts from the new beginning.
    const start =
      startedAt === undefined || endedAt !== undefined ? this.startOf(name, state, at) : startedAt;
    this.views.set(name, {
      name,
      state,
      detail,
      startedAt: start,
      ...(isOver(state) ? { endedAt: at } : {}),
    });
  }

  /** Another build of the same push makes its own image and artifact. */
  forget(...names: Stage[]): void {
    for (const name of names) this.views.set(name, { name, state: "not yet", detail: "" });
  }

  /** The stage that the push is in: the last one that has begun. */
  get current(): StageView | undefined {
    return this.all.findLast(({ state }) => state !== "not yet");
  }

  outcome(isNewestLive: boolean): { outcome: Outcome; reason: string } {
    const live = this.get("live");
    const gone = this.get("old version gone");
    if (live.state === "succeeded" && gone.state !== "failed") {
      return { outcome: isNewestLive ? "live" : "replaced", reason: this.current?.detail ?? live.detail };
    }
    const failed = this.all.findLast(({ state }) => state === "failed");
    if (failed) return { outcome: "failed", reason: `${failed.name}: ${failed.detail}` };
    const filtered = this.get("filtered");
    if (filtered.state === "skipped") return { outcome: "not built", reason: filtered.detail };
    const pipeline = this.get("pipeline");
    if (pipeline.state === "skipped") return { outcome: "superseded", reason: pipeline.detail };
    const building = this.get("building");
    // A second build of a push that is being deployed finds nothing to do.
    if (building.state === "succeeded" && pipeline.state === "not yet") {
      const [, outcome] = OUTCOMES.find(([start]) => building.detail.startsWith(start)) ?? [];
      if (outcome) return { outcome, reason: building.detail };
    }
    const { current } = this;
    return { outcome: "under way", reason: current ? `${current.name}: ${current.detail}` : "" };
  }

  /** A stage that tells of itself only at its end has begun with the end of the one before it. */
  private startOf(name: Stage, state: StageState, at: number): number {
    if (name === "received") return this.begunAt;
    if (!isOver(state)) return at;
    const before = STAGES.slice(0, STAGES.indexOf(name)).map((stage) => this.get(stage).endedAt ?? 0);
    return Math.max(...before) || at;
  }
}

/** How the build's scripts name their ends; `published` alone goes on. */
const OUTCOMES: readonly (readonly [string, Outcome])[] = [
  ["superseded", "superseded"],
  ["nothing to build", "not built"],
  ["nothing changed", "unchanged"],
  ["image only", "image only"],
];
