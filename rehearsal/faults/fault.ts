import type { Config } from "../../config/schema";
import type { Scene } from "./scene";

/** One thing that goes wrong, and what must come of it. */
export interface Fault {
  /** Number of its family and a letter: `3b`. */
  readonly id: string;
  readonly name: string;
  /** What of the product stands between this fault and a loss: without it, the fault's run fails. */
  readonly guards: string;
  /** The only `webhook.delivery` that has what this fault breaks; both without it. */
  readonly delivery?: Config["webhook"]["delivery"];
  /**
   * Injects the fault, waits for what comes of it, and checks that.
   * @returns what happened, in one line for the table
   * @throws Error when something happened that must not, or did not happen that must
   */
  play(scene: Scene): Promise<string>;
}

/** @throws Error with the sentence, unless the condition holds */
export function expect(condition: unknown, otherwise: string): asserts condition {
  if (!condition) throw new Error(otherwise);
}
