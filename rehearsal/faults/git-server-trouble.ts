import { cpSync } from "node:fs";
import { generateKeyPair } from "../backlog/key-pair";
import { expect, type Fault } from "./fault";
import { buildSays, startBuild } from "./operator";
import type { Push, Scene } from "./scene";

/** Pushes with the webhook kept back, so that trouble meets the build and not the push. */
async function pushUnseen(scene: Scene, trouble: () => unknown): Promise<Push> {
  const release = scene.cloud.backlog.holdHooks();
  scene.restoring(release);
  const push = await scene.push(scene.sideBranch());
  await trouble();
  release();
  return push;
}

/** Lets the operator mend it, and the build run again, as CodeBuild's console has it. */
async function mendAndRetry(scene: Scene, push: Push): Promise<void> {
  await scene.restore();
  await startBuild(scene, push);
  const ending = await scene.end(push, 2);
  expect(ending.kind === "image only", `after the retry: ${ending.detail}`);
}

/** Backlog's Git server is not as it should be when the build fetches. */
export const GIT_SERVER_TROUBLE: readonly Fault[] = [
  {
    id: "5",
    name: "the hook arrives before the commit can be fetched",
    guards: "the attempts of fetch-commit.sh",
    async play(scene) {
      const { backlog } = scene.cloud;
      const replica = `${backlog.gitFolder}.replica`;
      cpSync(backlog.gitFolder, replica, { recursive: true });
      backlog.server.troubleFetches({ folder: replica });
      scene.restoring(() => backlog.server.troubleFetches(undefined));
      const push = await scene.push(scene.sideBranch());
      await buildSays(scene, "attempt 2: the commit is not there yet");
      backlog.server.troubleFetches(undefined);
      await scene.endsAs("image only", push);
      return "built as soon as the commit could be fetched";
    },
  },
  {
    id: "6a",
    name: "the Git server is down for a while",
    guards: "the attempts of fetch-commit.sh",
    async play(scene) {
      const { server, hostKey } = scene.cloud.backlog;
      const push = await pushUnseen(scene, async () => {
        await server.goDown();
        scene.restoring(() => server.listen(hostKey));
      });
      await buildSays(scene, "attempt 2: the server cannot be read");
      await server.listen(hostKey);
      await scene.endsAs("image only", push);
      return "built as soon as the server was back";
    },
  },
  {
    id: "6b",
    name: "the Git server refuses the key",
    guards: "the answer to a refused key: no retries, and words that say what to do",
    async play(scene) {
      const { backlog, builderKey } = scene.cloud;
      const push = await pushUnseen(scene, () => {
        backlog.server.removeKey(builderKey);
        scene.restoring(() => backlog.registerKey(builderKey));
      });
      await scene.endsAs("build failed", push);
      await buildSays(scene, "refused the SSH key: register its public half");
      await scene.alarms(["build-failed"]);
      await mendAndRetry(scene, push);
      return "the build failed at once and said so, alarm; built when the key was registered again";
    },
  },
  {
    id: "6c",
    name: "the Git server shows another host key",
    guards: "host key pinning",
    async play(scene) {
      const { server, hostKey } = scene.cloud.backlog;
      const push = await pushUnseen(scene, async () => {
        await server.listen(generateKeyPair().private);
        scene.restoring(() => server.listen(hostKey));
      });
      await scene.endsAs("build failed", push);
      await buildSays(scene, "the server shows another host key than the one in backlog.knownHosts");
      await scene.alarms(["build-failed"]);
      await mendAndRetry(scene, push);
      return "nothing was fetched, the build failed and named the setting, alarm; built when the key was right again";
    },
  },
  {
    id: "6d",
    name: "the Git server is slow",
    guards: "no time limit shorter than a slow server needs",
    async play(scene) {
      const push = await pushUnseen(scene, () => {
        scene.cloud.backlog.server.troubleFetches({ delayMs: 3000 });
        scene.restoring(() => scene.cloud.backlog.server.troubleFetches(undefined));
      });
      await scene.endsAs("image only", push);
      return "built, some seconds later";
    },
  },
  {
    id: "6e",
    name: "the Git server closes in the middle",
    guards: "the attempts of fetch-commit.sh",
    async play(scene) {
      const push = await pushUnseen(scene, () => {
        scene.cloud.backlog.server.troubleFetches({ cutAfterBytes: 300 });
        scene.restoring(() => scene.cloud.backlog.server.troubleFetches(undefined));
      });
      await buildSays(scene, "attempt 2:");
      scene.cloud.backlog.server.troubleFetches(undefined);
      await scene.endsAs("image only", push);
      return "built at a later attempt";
    },
  },
  {
    id: "6f",
    name: "the Git server is down for longer than the attempts",
    guards: "the alarm on failed builds",
    async play(scene) {
      const { server, hostKey } = scene.cloud.backlog;
      scene.hurryFetches();
      const push = await pushUnseen(scene, async () => {
        await server.goDown();
        scene.restoring(() => server.listen(hostKey));
      });
      await scene.endsAs("build failed", push);
      await buildSays(scene, "cannot be read, 8 attempts");
      await scene.alarms(["build-failed"]);
      await mendAndRetry(scene, push);
      return "the build failed after 8 attempts and said why, alarm; built when started again";
    },
  },
];
