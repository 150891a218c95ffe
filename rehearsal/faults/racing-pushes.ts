import { atRest } from "./account";
import { expect, type Fault } from "./fault";
import type { Scene } from "./scene";

/** Several pushes of the branch that goes live, at once. */
export const RACING_PUSHES: readonly Fault[] = [
  {
    id: "4a",
    name: "three pushes within seconds, the first one's build is slow",
    guards: "the branch is looked at before publishing",
    async play(scene) {
      scene.hurry(300);
      await atRest(scene);
      const { path, text } = scene.dockerfile;
      const first = await scene.push(scene.liveBranch, { [path]: `${text}\nRUN sleep 8\n` });
      const second = await scene.push(scene.liveBranch, { [path]: text });
      const third = await scene.push(scene.liveBranch);
      const { kind } = await scene.end(second);
      await scene.endsAs("published", third);
      await scene.endsAs("superseded", first);
      await scene.showsLive(third);
      await atRest(scene);
      const shown = scene
        .visits()
        .map(({ body }) => [first, second, third].findIndex(({ mark }) => body.includes(mark)));
      const known = shown.filter((index) => index >= 0);
      expect(!known.includes(0), "production showed the first push");
      expect(
        known.every((index, at) => at === 0 || index >= known[at - 1]!),
        "production showed an older push after a newer one",
      );
      expect((await scene.page()).includes(third.mark), "production does not show the newest push");
      scene.productionNeverFailed();
      return `the newest is live; the first ended as superseded, the second as ${kind}`;
    },
  },
  {
    id: "4b",
    name: "a newer push is published while an older one's build is about to publish",
    guards: "the artifact is replaced only if it is still the one seen",
    async play(scene) {
      scene.hurry(300);
      await atRest(scene);
      const older = await scene.commit();
      const newer = await scene.commit();
      const { reached, release } = holdFirstPublication(scene);
      const first = await scene.pushCommit(older, scene.liveBranch);
      await scene.holds("the older push is about to be published", async () => reached());
      const second = await scene.pushCommit(newer, scene.liveBranch);
      await scene.goesLive(second);
      release();
      await scene.endsAs("superseded", first);
      await atRest(scene);
      expect((await scene.page()).includes(second.mark), "production does not show the newer push any more");
      expect(
        !scene.visits().some(({ body }) => body.includes(first.mark)),
        "production showed the older push",
      );
      return "the older build saw that it was late and ended as superseded; the newer push is live";
    },
  },
];

/** Lets the first build that writes the artifact wait with it, after its look at the branch. */
function holdFirstPublication(scene: Scene): { reached: () => boolean; release: () => void } {
  let reached = false;
  let release = () => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  scene.restoring(() => release());
  scene.restoring(
    scene.cloud.aws.intercept("s3", "PutObject", async ({ parameters }, next) => {
      if (!reached && parameters.Key === "published/artifact.zip") {
        reached = true;
        await gate;
      }
      return next();
    }),
  );
  return { reached: () => reached, release: () => release() };
}
