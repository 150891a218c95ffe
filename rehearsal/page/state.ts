/** What the activity page knows: shared by the server, which keeps it, and the browser, which shows it. Types only. */
import type { Stage } from "../aws/local-aws";

export type StageState = "not yet" | "started" | "waiting" | "succeeded" | "failed" | "skipped";

/** One stage of one push; times are milliseconds since the epoch. */
export interface StageView {
  readonly name: Stage;
  readonly state: StageState;
  /** What it waits for, what came of it, or why it failed. */
  readonly detail: string;
  readonly startedAt?: number;
  readonly endedAt?: number;
}

export type Outcome =
  | "under way"
  | "live"
  | "replaced"
  | "unchanged"
  | "image only"
  | "superseded"
  | "not built"
  | "failed";

/** Something that a push has produced: a short value, or the text of a file. */
export interface Product {
  readonly name: string;
  readonly text: string;
  readonly isFile: boolean;
}

/** One push of one ref. */
export interface PushView {
  readonly id: string;
  readonly kind: "branch" | "tag" | "ref";
  /** Name of the branch or tag, without `refs/heads/`. */
  readonly name: string;
  /** As Backlog shows it: ten hex digits. */
  readonly commit: string;
  readonly author: string;
  /** First line of the commit's message. */
  readonly message: string;
  /** When it was pushed; milliseconds since the epoch. */
  readonly at: number;
  readonly outcome: Outcome;
  /** Why it ended so, or what it waits for. */
  readonly reason: string;
  readonly stages: readonly StageView[];
  readonly products: readonly Product[];
}

/** A build's log: lines before `from` are no longer kept. */
export interface LogView {
  readonly push: string;
  readonly from: number;
  readonly lines: readonly string[];
}

/** Something that arrived and started no build. */
export interface NotStarted {
  readonly at: number;
  readonly why: "refused" | "other branch" | "tag" | "deletion" | "not wanted" | "duplicate" | "superseded";
  /** The push that it is about, for people; empty when there is none. */
  readonly push: string;
  readonly detail: string;
}

/** A message in a dead-letter queue. */
export interface DeadLetter {
  readonly queue: string;
  readonly id: string;
  /** The push, or what else it is about. */
  readonly about: string;
  readonly error: string;
  readonly at: number;
  /** What the button starts. */
  readonly replays: string;
}

export type Colour = "blue" | "green";

export interface ListenerView {
  readonly name: "production" | "test listener";
  readonly port: number;
  /** Parts of a hundred. */
  readonly shares: Readonly<Record<Colour, number>>;
}

export interface TargetView {
  readonly id: string;
  readonly state: string;
  readonly reason: string;
}

export interface GroupView {
  readonly colour: Colour;
  /** Tag of the image that runs there; empty when none does, or one without a tag. */
  readonly version: string;
  readonly targets: readonly TargetView[];
}

/** Requests of one second. */
export interface TrafficSample {
  readonly at: number;
  readonly requests: Readonly<Record<Colour, number>>;
  /** Of those, answered with 5xx or not at all. */
  readonly failures: Readonly<Record<Colour, number>>;
}

export interface Traffic {
  readonly listeners: readonly ListenerView[];
  readonly groups: readonly GroupView[];
}

/** Everything, for a page that has just been opened or has lost its connection. */
export interface PageState {
  readonly pushes: readonly PushView[];
  readonly logs: readonly LogView[];
  readonly notStarted: readonly NotStarted[];
  readonly letters: readonly DeadLetter[];
  readonly traffic: Traffic;
  readonly samples: readonly TrafficSample[];
}

/** What changes; `state` replaces everything. */
export type PageEvent =
  | { readonly type: "state"; readonly state: PageState }
  | { readonly type: "push"; readonly push: PushView }
  | { readonly type: "gone"; readonly push: string }
  | ({ readonly type: "log" } & LogView)
  | { readonly type: "notStarted"; readonly entry: NotStarted }
  | { readonly type: "letters"; readonly letters: readonly DeadLetter[] }
  | { readonly type: "traffic"; readonly traffic: Traffic }
  | { readonly type: "sample"; readonly sample: TrafficSample }
  | { readonly type: "end" };
