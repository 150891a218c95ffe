import { readdirSync, readFileSync, rmSync } from "node:fs";
import {
  BatchGetBuildsCommand,
  CodeBuildClient,
  ListBuildsForProjectCommand,
} from "@aws-sdk/client-codebuild";
import { expect, type Fault } from "./fault";
import { startBuild } from "./operator";
import type { Push, Scene } from "./scene";

/** Pushes, and lets the build's fetch hang, so that there is time to cut it short. */
async function pushAndStall(scene: Scene): Promise<Push> {
  const { server } = scene.cloud.backlog;
  scene.restoring(() => server.troubleFetches(undefined));
  server.troubleFetches({ delayMs: 60_000 });
  const push = await scene.push(scene.sideBranch());
  await scene.holds("the build's fetch hangs", async () => agentFolders(await buildId(scene)).length > 0);
  // On AWS the container goes with it; here an agent that is killed leaves its folder, always in /tmp.
  const folders = agentFolders(await buildId(scene));
  scene.restoring(() => {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  });
  return push;
}

async function buildId(scene: Scene): Promise<string> {
  return (await latestBuild(scene))?.id ?? "";
}

async function latestBuild(scene: Scene) {
  const client = new CodeBuildClient(scene.cloud.aws.clientConfig());
  const { ids = [] } = await client.send(
    new ListBuildsForProjectCommand({ projectName: `${scene.prefix}-image-build` }),
  );
  const { builds = [] } = await client.send(new BatchGetBuildsCommand({ ids: ids.slice(0, 1) }));
  return builds[0];
}

async function retried(scene: Scene, push: Push, status: string): Promise<void> {
  await scene.endsAs("build failed", push);
  const build = await latestBuild(scene);
  expect(build?.buildStatus === status, `a build that is ${status} was expected, got: ${build?.buildStatus}`);
  await scene.alarms(["build-failed"]);
  await scene.restore();
  await startBuild(scene, push);
  await scene.endsAs("image only", push, 2);
}

/** A build does not come to its own end. */
export const BUILD_CUT_SHORT: readonly Fault[] = [
  {
    id: "9a",
    name: "the build runs into its time-out",
    guards: "the project's time-out and the alarm on failed builds",
    async play(scene) {
      scene.restoring(
        scene.cloud.aws.intercept("codebuild", "StartBuild", (request, next) => {
          // Six seconds: the shortest time-out of a project is five minutes, and builds take real time here.
          request.parameters.timeoutInMinutesOverride = 0.1;
          return next();
        }),
      );
      const push = await pushAndStall(scene);
      await retried(scene, push, "TIMED_OUT");
      return "TIMED_OUT, alarm; built when started again";
    },
  },
  {
    id: "9b",
    name: "the builder is killed",
    guards: "a build that ends without an outcome is a failed one",
    async play(scene) {
      const push = await pushAndStall(scene);
      const processes = processesOf(await buildId(scene));
      expect(processes.length > 0, "no process of the build was found");
      for (const { pid } of processes) killIfThere(pid);
      await retried(scene, push, "FAILED");
      return "the build failed, alarm; built when started again";
    },
  },
];

/** Every process whose environment names the build. */
function processesOf(id: string): { pid: number; environment: string[] }[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const environment = environmentOf(name);
      return environment.includes(`CODEBUILD_BUILD_ID=${id}`) ? [{ pid: Number(name), environment }] : [];
    });
}

/** Empty for a process that ended meanwhile, or is somebody else's. */
function environmentOf(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
  } catch {
    return [];
  }
}

/** Folders of the ssh-agents that a build has started. */
function agentFolders(id: string): string[] {
  const sockets = processesOf(id).flatMap(({ environment }) =>
    environment.flatMap((line) => /^SSH_AUTH_SOCK=(\/tmp\/ssh-\w+)\/agent\.\d+$/.exec(line)?.[1] ?? []),
  );
  return [...new Set(sockets)];
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended with one of the others.
  }
}
