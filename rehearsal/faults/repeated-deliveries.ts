import { atRest, deploymentsOf, imagesOf, publications } from "./account";
import { expect, type Fault } from "./fault";
import type { Push, Scene } from "./scene";

/** How long CodeBuild knows an idempotency token. */
const TOKEN_MINUTES = 5;

/** How many times faster the waits are: a deployment keeps the old version for a moment only. */
const FAST = 300;

interface Counts {
  readonly publications: number;
  readonly deployments: number;
}

async function count(scene: Scene): Promise<Counts> {
  return { publications: await publications(scene), deployments: (await deploymentsOf(scene)).length };
}

function expectImages(scene: Scene, { commit }: Push, wanted: number): void {
  const short = commit.slice(0, 10);
  const found = imagesOf(scene).filter(({ tags }) => tags.has(short)).length;
  expect(found === wanted, `${wanted} image with the tag ${short} was expected, got: ${found}`);
}

async function expectMore(scene: Scene, before: Counts, more: number): Promise<void> {
  await atRest(scene);
  const now = await count(scene);
  for (const what of ["publications", "deployments"] as const) {
    const grown = now[what] - before[what];
    expect(grown === more, `${more} ${what} were expected, got: ${grown}`);
  }
}

/** The same push, or the same commit, more than once. */
export const REPEATED_DELIVERIES: readonly Fault[] = [
  {
    id: "3a",
    name: "the same delivery twice, and again when CodeBuild has forgotten its token",
    guards: "the idempotency token, the check for an existing tag, the check for a published artifact",
    async play(scene) {
      await atRest(scene);
      scene.hurry(FAST / 5);
      const before = await count(scene);
      const push = await scene.push(scene.liveBranch);
      await scene.repeat(push);
      await scene.endsAs("published", push);
      expect(scene.buildsOf(push) === 1, `one build was expected, got: ${scene.buildsOf(push)}`);
      await scene.showsLive(push);
      const forgotten = push.pushedAt + (TOKEN_MINUTES * 60_000) / (FAST / 5) + 1000;
      await scene.pause(Math.max(0, (forgotten - Date.now()) / 1000));
      await scene.repeat(push);
      await scene.endsAs("repeated", push, 2);
      expectImages(scene, push, 1);
      await expectMore(scene, before, 1);
      return "two builds for three deliveries; one image, one publication, one deployment";
    },
  },
  {
    id: "3b",
    name: "a commit that was built on another branch goes live",
    guards: "the branch is part of the token; images are taken up by their tag",
    async play(scene) {
      scene.hurry(FAST);
      await atRest(scene);
      const before = await count(scene);
      const side = await scene.push(scene.sideBranch());
      await scene.endsAs("image only", side);
      const live = await scene.pushCommit(side, scene.liveBranch);
      await scene.goesLive(live);
      expectImages(scene, live, 1);
      await expectMore(scene, before, 1);
      return "the same image, not built again, went live";
    },
  },
  {
    id: "3c",
    name: "A, then B, then A again within minutes",
    guards: "`before` is part of the token",
    async play(scene) {
      scene.hurry(FAST);
      await atRest(scene);
      const a = await scene.push(scene.liveBranch);
      await scene.goesLive(a);
      const b = await scene.push(scene.liveBranch);
      await scene.goesLive(b);
      await scene.pushCommit(a, scene.liveBranch);
      await scene.endsAs("published", a, 2);
      await scene.showsLive(a);
      expectImages(scene, a, 1);
      await atRest(scene);
      expect((await scene.page()).includes(a.mark), "production does not show A any more");
      return "A, B, A were live in turn; A's image was built once";
    },
  },
  {
    id: "3d",
    name: "A, B and A again before the first build ends",
    guards: "`before` is part of the token; the branch is looked at before publishing",
    async play(scene) {
      scene.hurry(FAST);
      await atRest(scene);
      scene.hurryFetches();
      const a = await scene.push(scene.liveBranch);
      const b = await scene.push(scene.liveBranch);
      await scene.pushCommit(a, scene.liveBranch);
      await scene.end(a, 2);
      // The branch shows what was there before B: that may also be a replica that lags, which gets its minute.
      await scene.endsAs("superseded", b);
      await scene.showsLive(a);
      await atRest(scene);
      expect((await scene.page()).includes(a.mark), "production does not show A any more");
      expectImages(scene, a, 1);
      return "A is live, B ended as superseded";
    },
  },
];
