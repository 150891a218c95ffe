import { atRest } from "./account";
import { expect, type Fault } from "./fault";

/** Several pushes of the branch that goes live, at once. */
export const RACING_PUSHES: readonly Fault[] = [
  {
    id: "4",
    name: "three pushes within seconds, the first one's build is slow",
    guards:
      "the branch is looked at before publishing, and the artifact replaced only if it is still the one seen",
    async play(scene) {
      scene.hurry(300);
      await atRest(scene);
      const { path, text } = scene.dockerfile;
      const first = await scene.push(scene.liveBranch, { [path]: `${text}\nRUN sleep 8\n` });
      const second = await scene.push(scene.liveBranch, { [path]: text });
      const third = await scene.push(scene.liveBranch);
      const endings = [await scene.end(first), await scene.end(second), await scene.end(third)];
      expect(
        endings[0]!.kind === "superseded",
        `the first was expected to be superseded: ${endings[0]!.detail}`,
      );
      expect(
        endings[2]!.kind === "published",
        `the third was expected to be published: ${endings[2]!.detail}`,
      );
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
      return `the newest is live; the first ended as superseded, the second as ${endings[1]!.kind}`;
    },
  },
];
