import { ListExecutionsCommand, SFNClient } from "@aws-sdk/client-sfn";
import type { Delivery, RefUpdate } from "../backlog/webhook";
import { atRest, imagesOf } from "./account";
import { endingsOf, lost } from "./ending";
import { expect, type Fault } from "./fault";
import type { Push, Scene } from "./scene";

const REPEATS = 5;
const SECONDS = 10;

/** Slow enough that the webhook's rate limit, which counts real seconds, leaves Backlog's retries a chance as on AWS. */
const SLOW = 8;

/** How fast the waits are when nothing is left but the deployment. */
const FAST = 300;

/** How long the builds may take, in seconds of this machine. */
const BUILD_SECONDS = 420;

/** Many pushes at once. */
export const BURST: readonly Fault[] = [
  {
    id: "12",
    name: "1,000 deliveries for 200 commits on 5 branches within 10 seconds",
    guards:
      "503 for what the webhook cannot take, the state machine's retry, the token, the order of publishing",
    async play(scene) {
      await atRest(scene);
      scene.hurry(SLOW);
      const branches: readonly (readonly [string, number])[] = [
        [scene.liveBranch, 30],
        [scene.sideBranch(), 20],
        ["other/1", 50],
        ["other/2", 50],
        ["other/3", 50],
      ];
      const release = scene.cloud.backlog.holdHooks();
      scene.restoring(release);
      const newest: Push[] = [];
      const updates: RefUpdate[] = [];
      for (const [branch, commits] of branches) {
        const { updates: made, last } = await commitsOf(scene, branch, commits);
        newest.push(last);
        for (let repeat = 0; repeat < REPEATS; repeat += 1) updates.push(...made);
      }
      release();
      const deliveries = await deliverAll(scene, shuffled(updates));
      await scene.holds(
        "every delivery has come to an end",
        () => haveEnded(scene, deliveries),
        BUILD_SECONDS,
      );

      scene.hurry(FAST);
      const [live, side] = newest;
      const again = [live!, side!].filter((push) => !wasTaken(scene, push));
      expect(
        again.length === 0 || scene.config.webhook.delivery === "direct",
        `the newest push of ${again[0]?.branch} was given up`,
      );
      // Who finds the push missing does it again.
      for (const push of again) await scene.repeat(push);
      await scene.showsLive(live!);
      await atRest(scene);
      expect((await scene.page()).includes(live!.mark), "production does not show the newest push any more");
      await scene.holds("the newest commit of the other wanted branch has an image", async () =>
        imagesOf(scene).some(({ tags }) => tags.has(side!.commit.slice(0, 10))),
      );
      scene.productionNeverFailed();
      const builds = scene.happened("building").filter(({ state }) => state === "started").length;
      return `${account(scene, deliveries)}; ${builds} builds; the newest of each wanted branch is built${again.length > 0 ? `, ${again.length} of them when pushed again` : ""}`;
    },
  },
];

/** Commits of a branch, of which only the last one is pushed: nothing but the deliveries tells of the others. */
async function commitsOf(
  scene: Scene,
  branch: string,
  commits: number,
): Promise<{ updates: RefUpdate[]; last: Push }> {
  const ref = `refs/heads/${branch}`;
  const updates: RefUpdate[] = [];
  let before = await scene.application.head();
  let newest = await scene.commit();
  updates.push({ before, after: newest.commit, ref });
  while (updates.length < commits) {
    before = newest.commit;
    newest = await scene.commit();
    updates.push({ before, after: newest.commit, ref });
  }
  return { updates, last: await scene.pushCommit(newest, branch) };
}

function deliverAll(scene: Scene, updates: readonly RefUpdate[]): Promise<Delivery[]> {
  return Promise.all(
    updates.map(async (update, index) => {
      await scene.pause((index / updates.length) * SECONDS);
      return scene.cloud.backlog.notify(update);
    }),
  );
}

/** Whether nothing is under way any more: no delivery, no state machine, no build. */
async function haveEnded(scene: Scene, deliveries: readonly Delivery[]): Promise<boolean> {
  // Asked for less often than things change: it looks through everything that happened.
  await scene.pause(2);
  if (lost(scene.everything(), deliveries).length > 0) return false;
  const builds = scene.happened("building");
  const began = builds.filter(({ state }) => state === "started").length;
  const ended = builds.filter(({ state }) => state === "succeeded" || state === "failed").length;
  return began === ended && !(await isAnyExecutionRunning(scene));
}

async function isAnyExecutionRunning(scene: Scene): Promise<boolean> {
  if (scene.config.webhook.delivery !== "bus") return false;
  const { aws } = scene.cloud;
  const stateMachineArn = `arn:aws:states:${aws.region}:${aws.accountId}:stateMachine:${scene.prefix}-start-build`;
  const { executions = [] } = await new SFNClient(aws.clientConfig()).send(
    new ListExecutionsCommand({ stateMachineArn, statusFilter: "RUNNING" }),
  );
  return executions.length > 0;
}

/** Whether one of a push's deliveries came through. */
function wasTaken(scene: Scene, { commit, ref }: Push): boolean {
  return scene.cloud.backlog.deliveries.some(
    ({ after, ref: of, state }) => after === commit && of === ref && state === "accepted",
  );
}

/** How many deliveries ended in which way. */
function account(scene: Scene, deliveries: readonly Delivery[]): string {
  const kinds = new Map<string, number>();
  for (const { after, ref, state } of deliveries) {
    const kind =
      state === "accepted"
        ? (endingsOf(scene.everything(), { commit: after, ref })[0]?.kind ?? "unknown")
        : "given up by Backlog";
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  return [...kinds].map(([kind, count]) => `${count} ${kind}`).join(", ");
}

function shuffled<T>(list: readonly T[]): T[] {
  return list
    .map((item) => ({ item, place: Math.random() }))
    .sort((a, b) => a.place - b.place)
    .map(({ item }) => item);
}
