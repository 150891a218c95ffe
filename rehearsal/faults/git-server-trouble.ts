import { cpSync } from "node:fs";
import type { FetchTrouble } from "../backlog/git-server";
import { generateKeyPair } from "../backlog/key-pair";
import type { Fault } from "./fault";
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

/** A build that fails because of some trouble, says so, and is well when it is started again after that. */
async function failsUntilMended(scene: Scene, says: string, trouble: () => unknown): Promise<void> {
  const push = await pushUnseen(scene, trouble);
  await scene.endsAs("build failed", push);
  await buildSays(scene, says);
  await scene.alarms(["build-failed"]);
  await scene.restore();
  await startBuild(scene, push);
  await scene.endsAs("image only", push, 2);
}

async function goDown(scene: Scene): Promise<void> {
  const { server, hostKey } = scene.cloud.backlog;
  await server.goDown();
  scene.restoring(() => server.listen(hostKey));
}

function troubleFetches(scene: Scene, trouble: FetchTrouble): void {
  const { server } = scene.cloud.backlog;
  server.troubleFetches(trouble);
  scene.restoring(() => server.troubleFetches(undefined));
}

/** Backlog's Git server is not as it should be when the build fetches. */
export const GIT_SERVER_TROUBLE: readonly Fault[] = [
  {
    id: "5",
    name: "the hook arrives before the commit can be fetched",
    guards: "the attempts of fetch-commit.sh",
    async play(scene) {
      const { gitFolder } = scene.cloud.backlog;
      const replica = `${gitFolder}.replica`;
      cpSync(gitFolder, replica, { recursive: true });
      troubleFetches(scene, { folder: replica });
      const push = await scene.push(scene.sideBranch());
      await buildSays(scene, "attempt 2: the commit is not there yet");
      await scene.restore();
      await scene.endsAs("image only", push);
      return "built as soon as the commit could be fetched";
    },
  },
  {
    id: "6a",
    name: "the Git server is down for a while",
    guards: "the attempts of fetch-commit.sh",
    async play(scene) {
      const push = await pushUnseen(scene, () => goDown(scene));
      await buildSays(scene, "attempt 2: the server cannot be read");
      await scene.restore();
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
      await failsUntilMended(scene, "refused the SSH key: register its public half", () => {
        backlog.server.removeKey(builderKey);
        scene.restoring(() => backlog.registerKey(builderKey));
      });
      return "the build failed at once and said so, alarm; built when the key was registered again";
    },
  },
  {
    id: "6c",
    name: "the Git server shows another host key",
    guards: "host key pinning",
    async play(scene) {
      const { server, hostKey } = scene.cloud.backlog;
      const says = "the server shows another host key than the one in backlog.knownHosts";
      await failsUntilMended(scene, says, async () => {
        await server.listen(generateKeyPair().private);
        scene.restoring(() => server.listen(hostKey));
      });
      return "nothing was fetched, the build failed and named the setting, alarm; built when the key was right again";
    },
  },
  {
    id: "6d",
    name: "the Git server is slow",
    guards: "no time limit shorter than a slow server needs",
    async play(scene) {
      const push = await pushUnseen(scene, () => troubleFetches(scene, { delayMs: 3000 }));
      await scene.endsAs("image only", push);
      return "built, some seconds later";
    },
  },
  {
    id: "6e",
    name: "the Git server closes in the middle",
    guards: "the attempts of fetch-commit.sh",
    async play(scene) {
      const push = await pushUnseen(scene, () => troubleFetches(scene, { cutAfterBytes: 300 }));
      await buildSays(scene, "attempt 2:");
      await scene.restore();
      await scene.endsAs("image only", push);
      return "built at a later attempt";
    },
  },
  {
    id: "6f",
    name: "the Git server is down for longer than the attempts",
    guards: "the alarm on failed builds",
    async play(scene) {
      scene.hurryFetches();
      await failsUntilMended(scene, "cannot be read, 8 attempts", () => goDown(scene));
      return "the build failed after 8 attempts and said why, alarm; built when started again";
    },
  },
];
