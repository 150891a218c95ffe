import { AwsError, type AwsResponse } from "../aws/local-aws";
import { atRest, deploymentsOf } from "./account";
import { deadLetter, replay } from "./dead-letters";
import { expect, type Fault } from "./fault";

const PIPELINE = ["codepipeline", "StartPipelineExecution"] as const;

/** S3's event of a published artifact goes astray. */
export const ARTIFACT_EVENTS: readonly Fault[] = [
  {
    id: "10a",
    name: "the artifact's event is delivered twice",
    guards: "the pipeline takes the newest artifact, whatever starts it",
    async play(scene) {
      scene.hurry(300);
      await atRest(scene);
      scene.restoring(
        scene.cloud.aws.intercept(...PIPELINE, async (_request, next) => {
          await next();
          return next();
        }),
      );
      const push = await scene.push(scene.liveBranch);
      await scene.goesLive(push);
      await atRest(scene);
      expect((await scene.page()).includes(push.mark), "production does not show the push any more");
      scene.productionNeverFailed();
      return "two executions, the same version is live";
    },
  },
  {
    id: "10b",
    name: "the artifact's event does not get through for some minutes",
    guards: "the retries of the rule's target",
    async play(scene) {
      scene.hurry(300);
      await atRest(scene);
      let refused = 0;
      scene.restoring(
        scene.cloud.aws.intercept(...PIPELINE, (_request, next) => {
          if (refused === 6) return next();
          refused += 1;
          throw new AwsError("InternalFailure", "The request processing has failed", 500);
        }),
      );
      const push = await scene.push(scene.liveBranch);
      await scene.goesLive(push);
      expect(refused === 6, `6 refusals were expected, got: ${refused}`);
      await atRest(scene);
      return "live after 7 attempts";
    },
  },
  {
    id: "10c",
    name: "the artifact's event cannot start the pipeline at all",
    guards: "the dead letters of the rule's target",
    async play(scene) {
      scene.hurry(300);
      await atRest(scene);
      const undo = scene.cloud.aws.intercept(...PIPELINE, () => {
        throw new AwsError("AccessDeniedException", "not allowed (rehearsed)");
      });
      scene.restoring(undo);
      const push = await scene.push(scene.liveBranch);
      await scene.endsAs("published", push);
      await scene.alarms(["artifact-dead-letters"]);
      const letter = await deadLetter(scene, "artifact-dead-letters");
      expect(letter.about === "the published artifact", `the dead letter is about ${letter.about}`);
      undo();
      await replay(scene, letter);
      await scene.showsLive(push);
      await scene.calm(["artifact-dead-letters"]);
      await atRest(scene);
      return "dead letter, alarm; live when the pipeline was started by hand";
    },
  },
  {
    id: "10d",
    name: "the event of an older artifact arrives after a newer one's",
    guards: "no version of the artifact is handed over: the pipeline takes the newest",
    async play(scene) {
      scene.hurry(300);
      await atRest(scene);
      let deliverFirst: (() => Promise<AwsResponse>) | undefined;
      let letGo = () => {};
      const gate = new Promise<void>((resolve) => {
        letGo = resolve;
      });
      scene.restoring(() => letGo());
      scene.restoring(
        scene.cloud.aws.intercept(...PIPELINE, async (_request, next) => {
          if (deliverFirst) return next();
          deliverFirst = next;
          await gate;
          return next();
        }),
      );
      const older = await scene.push(scene.liveBranch);
      await scene.endsAs("published", older);
      await scene.holds("the older event is on its way", async () => deliverFirst !== undefined);
      const newer = await scene.push(scene.liveBranch);
      await scene.goesLive(newer);
      await atRest(scene);
      const deployments = (await deploymentsOf(scene)).length;
      letGo();
      await scene.holds(
        "the late event deploys",
        async () => (await deploymentsOf(scene)).length > deployments,
      );
      await atRest(scene);
      expect((await scene.page()).includes(newer.mark), "production does not show the newer push any more");
      expect(
        !scene.visits().some(({ body }) => body.includes(older.mark)),
        "production showed the older push",
      );
      return "the late event deployed the newest artifact once more; the older was never shown";
    },
  },
];
