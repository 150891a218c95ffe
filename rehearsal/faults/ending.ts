import type { Delivery } from "../backlog/webhook";
import type { Happened } from "../timeline";

/** How a push can end so that somebody knows of it. */
export type EndingKind =
  | "published"
  | "image only"
  | "superseded"
  | "repeated"
  | "not wanted"
  | "build failed"
  | "dead letter"
  | "refused";

export interface Ending {
  readonly kind: EndingKind;
  /** The words of whoever ended it. */
  readonly detail: string;
}

/** A push, as its activities name it. */
export interface PushId {
  readonly commit: string;
  readonly ref: string;
}

/** First words of a build's outcome -> how its push ended. */
const OUTCOMES: readonly (readonly [RegExp, EndingKind])[] = [
  [/^published /, "published"],
  [/^image only/, "image only"],
  [/^superseded/, "superseded"],
  [/^nothing changed/, "repeated"],
  [/^nothing to build/, "not wanted"],
];

/** How often a push ended, and how: a repeated delivery may end again. */
export function endingsOf(activities: readonly Happened[], { commit, ref }: PushId): Ending[] {
  return activities
    .filter((one) => one.commit === commit && one.ref === ref)
    .flatMap(({ stage, state, detail }): Ending[] => {
      if (stage === "building" && state === "succeeded") {
        const kind = OUTCOMES.find(([words]) => words.test(detail))?.[1];
        return kind ? [{ kind, detail }] : [];
      }
      if (stage === "building" && state === "failed") return [{ kind: "build failed", detail }];
      if (stage === "filtered" && state === "skipped") return [{ kind: "not wanted", detail }];
      if (state === "failed" && /BuildNotStarted|now a dead letter/.test(detail)) {
        return [{ kind: "dead letter", detail }];
      }
      return [];
    });
}

/**
 * Accounts for deliveries: each must have ended in a way that somebody can see, in AWS or in Backlog.
 * @returns those that nobody knows of
 */
export function lost(activities: readonly Happened[], deliveries: readonly Delivery[]): Delivery[] {
  return deliveries.filter(({ state, after, ref }) => {
    // Backlog shows what its hook answered.
    if (state === "refused" || state === "lost") return false;
    return state === "sending" || endingsOf(activities, { commit: after, ref }).length === 0;
  });
}
