import { DeadLetters } from "../page/dead-letters";
import type { DeadLetter } from "../page/state";
import { expect } from "./fault";
import type { Scene } from "./scene";

/** The one message of a dead-letter queue: `push-dead-letters` or `artifact-dead-letters`. */
export async function deadLetter(scene: Scene, queue: string): Promise<DeadLetter> {
  const letters = new DeadLetters(scene.cloud.aws, scene.prefix);
  const waiting = (await letters.list()).filter((one) => one.queue === `${scene.prefix}-${queue}`);
  letters.close();
  const [letter, ...others] = waiting;
  expect(letter && others.length === 0, `one dead letter was expected, got: ${waiting.length}`);
  return letter;
}

/** What the README tells people to do with a dead letter, as the page's button does it. */
export async function replay(scene: Scene, letter: DeadLetter): Promise<void> {
  const letters = new DeadLetters(scene.cloud.aws, scene.prefix);
  await letters.replay(letter);
  letters.close();
}
