import { CodePipelineClient, StartPipelineExecutionCommand } from "@aws-sdk/client-codepipeline";
import { DescribeServicesCommand, ECSClient } from "@aws-sdk/client-ecs";
import { DeleteRolePolicyCommand, IAMClient, PutRolePolicyCommand } from "@aws-sdk/client-iam";
import { atRest } from "./account";
import { deadLetter, replay } from "./dead-letters";
import { expect, type Fault } from "./fault";
import { buildSays, startBuild } from "./operator";
import type { Push, Scene } from "./scene";

const POLICY = "rehearsed-denial";

/** Takes an action away from a role. @returns what gives it back */
async function deny(scene: Scene, role: string, action: string): Promise<() => Promise<void>> {
  const iam = new IAMClient(scene.cloud.aws.clientConfig());
  const RoleName = `${scene.prefix}-${role}`;
  await iam.send(
    new PutRolePolicyCommand({
      RoleName,
      PolicyName: POLICY,
      PolicyDocument: JSON.stringify({
        Version: "2012-10-17",
        Statement: [{ Effect: "Deny", Action: action, Resource: "*" }],
      }),
    }),
  );
  let isDenied = true;
  const allow = async () => {
    if (isDenied) await iam.send(new DeleteRolePolicyCommand({ RoleName, PolicyName: POLICY }));
    isDenied = false;
  };
  scene.restoring(allow);
  return allow;
}

interface Denial {
  readonly id: string;
  readonly role: string;
  readonly action: string;
  readonly guards: string;
  readonly delivery?: NonNullable<Fault["delivery"]>;
  /** Pushes, sees what fails, gives the permission back, and sees the push come through. */
  play(scene: Scene, allow: () => Promise<void>): Promise<string>;
}

/** A build that fails, says why, and is well again when it is started again. */
function buildFails(words: string): Denial["play"] {
  return async (scene, allow) => {
    const push = await scene.push(scene.liveBranch);
    const ending = await scene.endsAs("build failed", push);
    if (!ending.detail.includes(words)) await buildSays(scene, words);
    await scene.alarms(["build-failed"]);
    await allow();
    await startBuild(scene, push);
    await scene.endsAs("published", push, 2);
    await scene.showsLive(push);
    await atRest(scene);
    return "the build failed and named it, alarm; live when started again";
  };
}

/** A pipeline that fails, says why (to who asks `said`), and is well again when it is started by hand. */
function pipelineFails(words: string, said: (scene: Scene) => Promise<string> = deployment): Denial["play"] {
  return async (scene, allow) => {
    const old = await scene.page();
    const push = await scene.push(scene.liveBranch);
    await scene.endsAs("published", push);
    await scene.alarms(["pipeline-failed"]);
    const text = await said(scene);
    expect(text.includes(words), `nothing names ${words}: ${text}`);
    expect((await scene.page()) === old, "production shows something else");
    await atRest(scene);
    await allow();
    await startPipeline(scene, push);
    scene.productionNeverFailed();
    return "the pipeline failed and AWS named it, alarm, the old version stayed; live when started by hand";
  };
}

/** What pipeline and deployment said. */
async function deployment(scene: Scene): Promise<string> {
  const happened = [...scene.happened("pipeline"), ...scene.happened("live")];
  return happened.map(({ detail }) => detail).join("\n");
}

async function serviceEvents(scene: Scene): Promise<string> {
  const { cluster_name: cluster = "", service_name: service = "" } = scene.outputs;
  const client = new ECSClient(scene.cloud.aws.clientConfig());
  const { services = [] } = await client.send(new DescribeServicesCommand({ cluster, services: [service] }));
  return (services[0]?.events ?? []).map(({ message }) => message).join("\n");
}

async function startPipeline(scene: Scene, push: Push): Promise<void> {
  const client = new CodePipelineClient(scene.cloud.aws.clientConfig());
  await client.send(new StartPipelineExecutionCommand({ name: scene.prefix }));
  await goesLive(scene, push);
}

async function goesLive(scene: Scene, push: Push): Promise<void> {
  await scene.showsLive(push);
  await atRest(scene);
}

const DENIALS: readonly Denial[] = [
  {
    id: "14a",
    role: "webhook",
    action: "events:PutEvents",
    delivery: "bus",
    guards: "the mapping of errors to 503",
    async play(scene, allow) {
      const push = await scene.push(scene.sideBranch());
      await scene.alarms(["webhook-5xx"]);
      await allow();
      await scene.endsAs("image only", push);
      return "Backlog got 503, alarm; built when Backlog sent it again";
    },
  },
  {
    id: "14b",
    role: "push-rule",
    action: "states:StartExecution",
    delivery: "bus",
    guards: "the dead letters of the rule's target",
    async play(scene, allow) {
      const push = await scene.push(scene.sideBranch());
      await scene.endsAs("dead letter", push);
      await scene.alarms(["push-dead-letters"]);
      const letter = await deadLetter(scene, "push-dead-letters");
      await allow();
      await replay(scene, letter);
      await scene.endsAs("image only", push, 2);
      return "dead letter, alarm; built when started again";
    },
  },
  {
    id: "14c",
    role: "start-build",
    action: "codebuild:StartBuild",
    delivery: "bus",
    guards: "the state machine's retry",
    async play(scene, allow) {
      const push = await scene.push(scene.sideBranch());
      const isNamed = () =>
        scene
          .activities(push)
          .find(({ stage, detail }) => stage === "queued" && detail.includes("codebuild:StartBuild"));
      await scene.until("the state machine names the missing permission", isNamed);
      await allow();
      await scene.endsAs("image only", push);
      return "the execution named it and tried again; built";
    },
  },
  {
    id: "14d",
    role: "image-build",
    action: "secretsmanager:GetSecretValue",
    guards: "the alarm on failed builds",
    play: buildFails("secretsmanager:GetSecretValue"),
  },
  {
    id: "14e",
    role: "image-build",
    action: "ecr:PutImage",
    guards: "the alarm on failed builds",
    play: buildFails("ecr:PutImage"),
  },
  {
    id: "14f",
    role: "image-build",
    action: "s3:PutObject",
    guards: "the alarm on failed builds",
    play: buildFails("the artifact cannot be written"),
  },
  {
    id: "14g",
    role: "artifact-rule",
    action: "codepipeline:StartPipelineExecution",
    guards: "the dead letters of the rule's target",
    async play(scene, allow) {
      const push = await scene.push(scene.liveBranch);
      await scene.endsAs("published", push);
      await scene.alarms(["artifact-dead-letters"]);
      const letter = await deadLetter(scene, "artifact-dead-letters");
      await allow();
      await replay(scene, letter);
      await goesLive(scene, push);
      return "dead letter, alarm; live when the pipeline was started by hand";
    },
  },
  {
    id: "14h",
    role: "pipeline",
    action: "codedeploy:CreateDeployment",
    guards: "the alarm on failed pipelines",
    play: pipelineFails("codedeploy:CreateDeployment"),
  },
  {
    id: "14i",
    role: "deployment",
    action: "ecs:CreateTaskSet",
    guards: "the alarm on failed pipelines",
    play: pipelineFails("ecs:CreateTaskSet"),
  },
  {
    id: "14j",
    role: "task-execution",
    action: "ecr:BatchGetImage",
    guards: "CodeDeploy's wait for healthy targets, and its rollback after a failure",
    play(scene, allow) {
      // CodeDeploy waits an hour for the new tasks.
      scene.hurry(600);
      return pipelineFails("ecr:BatchGetImage", serviceEvents)(scene, allow);
    },
  },
];

/** A role lacks a permission; the application's own role has none that could be taken. */
export const MISSING_PERMISSIONS: readonly Fault[] = DENIALS.map(({ role, action, play, ...denial }) => ({
  ...denial,
  name: `the role ${role} may not ${action}`,
  async play(scene) {
    scene.hurry(scene.timeScale * 4);
    await atRest(scene);
    return play(scene, await deny(scene, role, action));
  },
}));
