import { readdirSync, readFileSync } from "node:fs";
import {
  BatchGetBuildsCommand,
  CodeBuildClient,
  ListBuildsForProjectCommand,
} from "@aws-sdk/client-codebuild";
import { expect, type Fault } from "./fault";
import { startBuild } from "./operator";
import type { Push, Scene } from "./scene";

/** Lets the build's fetch hang, so that there is time to cut it short. */
function stallFetches(scene: Scene): void {
  const { server } = scene.cloud.backlog;
  scene.restoring(() => server.troubleFetches(undefined));
}

async function pushAndStall(scene: Scene): Promise<Push> {
  const { server } = scene.cloud.backlog;
  stallFetches(scene);
  server.troubleFetches({ delayMs: 60_000 });
  return scene.push(scene.sideBranch());
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
  const ending = await scene.end(push, 2);
  expect(ending.kind === "image only", `after the retry: ${ending.detail}`);
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
          // Three seconds: the shortest time-out of a project is five minutes, and builds take real time here.
          request.parameters.timeoutInMinutesOverride = 0.05;
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
      await scene.until("the build has begun", () => scene.buildsOf(push) > 0 || undefined);
      await scene.pause(1.5);
      const build = await latestBuild(scene);
      const killed = killProcessesOf(build?.id ?? "");
      expect(killed > 0, "no process of the build was found");
      await retried(scene, push, "FAILED");
      return "the build failed, alarm; built when started again";
    },
  },
];

/** Kills every process whose environment names the build. */
function killProcessesOf(buildId: string): number {
  const mark = `CODEBUILD_BUILD_ID=${buildId}`;
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  let killed = 0;
  for (const pid of pids) {
    try {
      if (!readFileSync(`/proc/${pid}/environ`, "utf8").split("\0").includes(mark)) continue;
      process.kill(Number(pid), "SIGKILL");
      killed += 1;
    } catch {
      // It ended meanwhile, or is somebody else's.
    }
  }
  return killed;
}
