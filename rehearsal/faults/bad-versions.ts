import { CloudWatchClient, SetAlarmStateCommand } from "@aws-sdk/client-cloudwatch";
import { run, runOrFail } from "../machine/command";
import { atRest, deploymentsOf, executionsOf } from "./account";
import { expect, type Fault } from "./fault";
import type { Push, Scene } from "./scene";
import { watchTargets } from "./target-alarms";

/** A server that never opens its port, and ends when it is told to. */
const NEVER_READY = "trap 'exit 143' TERM INT\nwhile :; do sleep 1; done\n";

/** A server whose end does not end the container. */
const OUTLIVES_ITS_SERVER = [
  "trap 'exit 143' TERM INT",
  'httpd -f -p "$PORT" -u 65534:65534 -h /www &',
  "while :; do sleep 1; done",
  "",
].join("\n");

/** A good version first, so that there is something to keep. */
async function goLive(scene: Scene): Promise<Push> {
  await atRest(scene);
  const push = await scene.push(scene.liveBranch);
  await scene.goesLive(push);
  await atRest(scene);
  return push;
}

/** Waits until the deployment of a push was given up, and checks what AWS shows then. */
async function rolledBack(scene: Scene, old: Push): Promise<string> {
  await scene.alarms(["pipeline-failed"]);
  await scene.holds("a rollback has succeeded", async () => {
    const [newest] = await deploymentsOf(scene);
    return newest?.creator === "codeDeployRollback" && newest.status === "Succeeded";
  });
  const [, failed] = await deploymentsOf(scene);
  const [execution] = await executionsOf(scene);
  expect(execution?.status === "Failed", `the pipeline was expected to fail, got: ${execution?.status}`);
  await scene.showsLive(old);
  return failed?.errorInformation?.code ?? "";
}

/** The next good version goes live as if nothing had been. */
async function recovers(scene: Scene): Promise<void> {
  await scene.restore();
  scene.hurry(300);
  await goLive(scene);
}

/** The new version is not well. */
export const BAD_VERSIONS: readonly Fault[] = [
  {
    id: "8a",
    name: "the new version never becomes healthy",
    guards: "CodeDeploy's wait for healthy targets, and its rollback after a failure",
    async play(scene) {
      scene.hurry(600);
      const old = await goLive(scene);
      const { context } = scene.config.backlogDockerBuild.build;
      const bad = await scene.push(scene.liveBranch, { [`${context}/serve.sh`]: NEVER_READY });
      await scene.endsAs("published", bad);
      const code = await rolledBack(scene, old);
      expect(
        !scene.visits().some(({ body }) => body.includes(bad.mark)),
        "production showed the bad version",
      );
      scene.productionNeverFailed();
      await recovers(scene);
      return `${code}, rolled back; production kept the old version, pipeline failed, alarm; the next version went live`;
    },
  },
  {
    id: "8b",
    name: "one of the new version's servers dies after the shift",
    guards: "the alarm on unhealthy beside healthy targets, and the rollback by alarms",
    async play(scene) {
      scene.hurry(300);
      const old = await goLive(scene);
      // Slow enough for the checks of targets, which take their time, to count as they do on AWS.
      scene.hurry(20);
      const { context } = scene.config.backlogDockerBuild.build;
      const bad = await scene.push(scene.liveBranch, { [`${context}/serve.sh`]: OUTLIVES_ITS_SERVER });
      await scene.goesLive(bad);
      const watch = watchTargets(scene);
      scene.restoring(() => watch.stop());
      await killServer(scene);
      const code = await rolledBack(scene, old);
      expect(code === "ALARM_ACTIVE", `the alarm was expected to stop the deployment, got: ${code}`);
      const raised = watch.raised().join(", ");
      const since = scene.visits().findLast(({ status }) => status < 200 || status >= 400)?.at ?? 0;
      await recovers(scene);
      const failed = scene.visits().filter(({ at, status }) => at > since && (status < 200 || status >= 400));
      expect(failed.length === 0, `${failed.length} production requests failed after the rollback`);
      return `${raised} fired, rolled back; the old version is live again, pipeline failed, alarm`;
    },
  },
  {
    id: "8c",
    name: "an alarm fires in the bake time",
    guards: "the rollback by alarms",
    async play(scene) {
      scene.hurry(300);
      const old = await goLive(scene);
      scene.hurry(20);
      const bad = await scene.push(scene.liveBranch);
      await scene.goesLive(bad);
      await setAlarm(scene, "ALARM");
      scene.restoring(() => setAlarm(scene, "OK"));
      const code = await rolledBack(scene, old);
      expect(code === "ALARM_ACTIVE", `the alarm was expected to stop the deployment, got: ${code}`);
      scene.productionNeverFailed();
      await recovers(scene);
      return "rolled back; the old version is live again without a failed request, pipeline failed, alarm";
    },
  },
];

async function setAlarm(scene: Scene, StateValue: "ALARM" | "OK"): Promise<void> {
  await new CloudWatchClient(scene.cloud.aws.clientConfig()).send(
    new SetAlarmStateCommand({
      AlarmName: `${scene.prefix}-application-errors`,
      StateValue,
      StateReason: "rehearsed",
    }),
  );
}

/** Ends the server in the newest task; its container goes on. */
async function killServer(scene: Scene): Promise<void> {
  const { docker, env, label } = scene.engine;
  const options = { env: { ...process.env, ...env } };
  const { stdout } = await run(docker, ["ps", "--quiet", "--filter", `label=${label}`], options);
  const [newest] = stdout.split("\n");
  expect(newest, "no container runs");
  await runOrFail("killing a server", docker, ["exec", newest, "killall", "httpd"], options);
}
