import { AwsError } from "../aws/local-aws";
import { deadLetter, replay } from "./dead-letters";
import { expect, type Fault } from "./fault";
import type { Scene } from "./scene";

const THROTTLED = new AwsError("ThrottlingException", "Rate exceeded");
const LIMIT = new AwsError(
  "AccountLimitExceededException",
  "Cannot have more than 10 builds in queue for the account",
);

/** How many times faster the waits are while half a day of retries runs out. */
const FAST = 6000;

/** Lets StartBuild answer with one error after the other, the last one for ever when `forever`. */
function refuseBuilds(scene: Scene, errors: readonly AwsError[], forever = false): () => number {
  let calls = 0;
  scene.restoring(
    scene.cloud.aws.intercept("codebuild", "StartBuild", (_request, next) => {
      const error = errors[forever ? Math.min(calls, errors.length - 1) : calls];
      calls += 1;
      if (error) throw error;
      return next();
    }),
  );
  return () => calls;
}

/** CodeBuild does not take a build. */
export const BUILD_NOT_STARTED: readonly Fault[] = [
  {
    id: "1a",
    name: "StartBuild is throttled, then all builds of the account are taken",
    guards: "the state machine's retry",
    delivery: "bus",
    async play(scene) {
      const calls = refuseBuilds(scene, [THROTTLED, THROTTLED, THROTTLED, LIMIT, LIMIT, LIMIT]);
      const push = await scene.push(scene.sideBranch());
      await scene.endsAs("image only", push);
      expect(calls() === 7, `StartBuild was expected to be called 7 times, got: ${calls()}`);
      expect(scene.buildsOf(push) === 1, `one build was expected, got: ${scene.buildsOf(push)}`);
      return "refused 6 times, built at the 7th attempt";
    },
  },
  {
    id: "1b",
    name: "StartBuild is refused for longer than the retries",
    guards: "the state machine's dead letters",
    delivery: "bus",
    async play(scene) {
      scene.hurry(FAST);
      const calls = refuseBuilds(scene, [LIMIT], true);
      const push = await scene.push(scene.sideBranch());
      await scene.endsAs("dead letter", push);
      const attempts = calls();
      await scene.alarms(["push-dead-letters", "build-not-started"]);

      const letter = await deadLetter(scene, "push-dead-letters");
      expect(letter.about.endsWith(push.commit.slice(0, 10)), `the dead letter is about ${letter.about}`);
      expect(letter.error.includes(LIMIT.message), `the dead letter does not say why: ${letter.error}`);

      await scene.restore();
      await replay(scene, letter);
      await scene.endsAs("image only", push, 2);
      await scene.calm(["push-dead-letters"]);
      return `dead letter after ${attempts} attempts, two alarms, built when started again`;
    },
  },
];
