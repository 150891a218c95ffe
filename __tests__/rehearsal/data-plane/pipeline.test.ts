import { strToU8, zipSync } from "fflate";
import { callJson } from "../../../rehearsal/aws/json-api";
import { AwsError } from "../../../rehearsal/aws/local-aws";
import { type Pipelines, startPipelines } from "../../../rehearsal/data-plane/pipeline";
import { roleFor, startPlayedAws, until } from "./played-aws";

const TASK_DEFINITION = {
  family: "app",
  executionRoleArn: roleFor("ecs-tasks"),
  containerDefinitions: [{ name: "app", image: "<IMAGE1_NAME>", essential: true }],
};

const action = (category: string, provider: string, more: object) => ({
  name: provider,
  actionTypeId: { category, owner: "AWS", provider, version: "1" },
  ...more,
});

const SOURCE = action("Source", "S3", {
  configuration: { S3Bucket: "source", S3ObjectKey: "app.zip" },
  outputArtifacts: [{ name: "Published" }],
});

const APPROVAL = action("Approval", "Manual", {});

const DEPLOY = action("Deploy", "CodeDeployToECS", {
  inputArtifacts: [{ name: "Published" }],
  configuration: {
    ApplicationName: "app",
    DeploymentGroupName: "group",
    TaskDefinitionTemplateArtifact: "Published",
    AppSpecTemplateArtifact: "Published",
    Image1ArtifactName: "Published",
    Image1ContainerName: "IMAGE1_NAME",
  },
});

describe("startPipelines", () => {
  let played: Awaited<ReturnType<typeof startPlayedAws>>;
  let pipelines: Pipelines;
  let events: string[];
  let stages: { name: string; actions: unknown[] }[];
  let executionMode: string;
  let versions: Map<string, Buffer>;
  let store: Map<string, Buffer>;
  // biome-ignore lint/suspicious/noExplicitAny: what the pipeline hands to the other services
  let registered: any[], created: any[];
  let deploymentStatus: () => object;

  beforeEach(async () => {
    played = await startPlayedAws();
    events = [];
    stages = [
      { name: "Source", actions: [SOURCE] },
      { name: "Deploy", actions: [DEPLOY] },
    ];
    executionMode = "SUPERSEDED";
    versions = new Map();
    store = new Map();
    registered = [];
    created = [];
    deploymentStatus = () => ({ status: "Succeeded" });
    playControlPlane();
    pipelines = startPipelines(played.aws, {
      emit: ({ detail }) => events.push(`${String(detail["execution-id"]).slice(0, 4)} ${detail.state}`),
      commitOf: async (image) => image.replace("registry/app:", "").padEnd(40, "0"),
    });
  });

  afterEach(async () => {
    pipelines.stop();
    await played.close();
  });

  function playControlPlane() {
    const { control } = played;
    control.set("codepipeline:GetPipeline", ({ name }) => {
      if (name !== "pipe") throw new AwsError("PipelineNotFoundException", `no pipeline ${name}`);
      const artifactStore = { type: "S3", location: "store" };
      const roleArn = roleFor("codepipeline");
      return { pipeline: { name, roleArn, version: 1, executionMode, artifactStore, stages }, metadata: {} };
    });
    control.set("s3:GetBucketLocation", () => s3("<LocationConstraint>r</LocationConstraint>"));
    control.set("s3:GetBucketAcl", () => s3("<AccessControlPolicy></AccessControlPolicy>"));
    control.set("s3:GetBucketVersioning", () =>
      s3("<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"),
    );
    control.set("s3:GetObjectTagging", () => s3("<Tagging><TagSet></TagSet></Tagging>"));
    control.set("s3:HeadObject", ({ VersionId }) => {
      const version = VersionId ?? [...versions.keys()].at(-1);
      if (!version || !versions.has(version)) return s3("", 404);
      return { ...s3(""), headers: { "x-amz-version-id": version } };
    });
    control.set("s3:GetObject", ({ Bucket, Key, VersionId }) => {
      const body = Bucket === "source" ? versions.get(VersionId) : store.get(Key);
      return { status: 200, headers: { "content-type": "application/zip" }, body };
    });
    control.set("s3:PutObject", ({ Bucket, Key }, _caller, body) => {
      expect(Bucket).toBe("store");
      store.set(Key, body);
      return s3("");
    });
    control.set("ecs:RegisterTaskDefinition", (definition) => {
      registered.push(definition);
      return { taskDefinition: { taskDefinitionArn: `arn:task-definition/app:${registered.length}` } };
    });
    control.set("codedeploy:GetDeploymentGroup", () => ({
      deploymentGroupInfo: { deploymentConfigName: "CodeDeployDefault.ECSAllAtOnce" },
    }));
    for (const name of [
      "GetApplication",
      "GetDeploymentConfig",
      "RegisterApplicationRevision",
      "GetApplicationRevision",
    ]) {
      control.set(`codedeploy:${name}`, () => ({}));
    }
    control.set("codedeploy:CreateDeployment", (parameters) => {
      created.push(parameters);
      return { deploymentId: `d-${created.length}` };
    });
    control.set("codedeploy:GetDeployment", () => ({
      deploymentInfo: { applicationName: "app", deploymentGroupName: "group", ...deploymentStatus() },
    }));
    control.set("codepipeline:CreatePipeline", (parameters) => parameters);
  }

  const s3 = (xml: string, status = 200) => ({
    status,
    headers: { "content-type": "application/xml" },
    body: Buffer.from(xml),
  });

  /** Puts a new version of the source object into its bucket. */
  function publish(version: string, files: Record<string, string> = {}) {
    const all = {
      "imageDetail.json": JSON.stringify({ ImageURI: `registry/app:${version}` }),
      "taskdef.json": JSON.stringify(TASK_DEFINITION),
      "appspec.yaml": "TaskDefinition: <TASK_DEFINITION>",
      ...files,
    };
    const entries = Object.entries(all).map(([name, text]) => [name, strToU8(text)]);
    versions.set(version, Buffer.from(zipSync(Object.fromEntries(entries))));
  }

  const call = (operation: string, parameters: object) =>
    callJson(played.aws, played.aws.administrator, "codepipeline", operation, parameters);
  const start = async (more: object = {}): Promise<string> =>
    (await call("StartPipelineExecution", { name: "pipe", ...more })).pipelineExecutionId;
  const show = async (pipelineExecutionId: string) =>
    (await call("GetPipelineExecution", { pipelineName: "pipe", pipelineExecutionId })).pipelineExecution;
  const settled = (id: string) =>
    until(async () => {
      const execution = await show(id);
      return execution.status !== "InProgress" && execution;
    });
  const stateOf = async (stageName: string) =>
    (await call("GetPipelineState", { name: "pipe" })).stageStates.find(
      (state: { stageName: string }) => state.stageName === stageName,
    );

  it("deploys the latest version with the filled-in files", async () => {
    publish("v1");
    publish("v2");
    const id = await start();
    expect(await settled(id)).toMatchObject({
      status: "Succeeded",
      artifactRevisions: [{ name: "S3", revisionId: "v2" }],
    });
    expect(registered).toEqual([
      {
        ...TASK_DEFINITION,
        containerDefinitions: [{ name: "app", image: "registry/app:v2", essential: true }],
      },
    ]);
    expect(created[0].revision.appSpecContent.content).toBe("TaskDefinition: arn:task-definition/app:1");
    expect([...store.keys()]).toEqual([expect.stringMatching(/^pipe\/Published\/\w{7}$/)]);
    expect(events).toEqual([`${id.slice(0, 4)} STARTED`, `${id.slice(0, 4)} SUCCEEDED`]);
    expect(played.activities.at(-1)).toMatchObject({
      stage: "pipeline",
      state: "succeeded",
      commit: "v2".padEnd(40, "0"),
    });
  });

  it("takes the version that an execution was started for", async () => {
    publish("v1");
    publish("v2");
    const revision = { actionName: "S3", revisionType: "S3_OBJECT_VERSION_ID", revisionValue: "v1" };
    await settled(await start({ sourceRevisions: [revision] }));
    expect(registered[0].containerDefinitions[0].image).toBe("registry/app:v1");
  });

  it("lets the newest of the waiting executions into a stage, and supersedes the others", async () => {
    let isDone = false;
    deploymentStatus = () => ({ status: isDone ? "Succeeded" : "InProgress" });
    publish("v1");
    const first = await start();
    await until(() => created.length === 1);
    const second = await start();
    await until(async () => (await stateOf("Deploy")).inboundExecution?.pipelineExecutionId === second);
    publish("v3");
    const third = await start();
    expect((await settled(second)).status).toBe("Superseded");
    expect((await show(third)).status).toBe("InProgress");
    isDone = true;
    expect((await settled(first)).status).toBe("Succeeded");
    expect((await settled(third)).status).toBe("Succeeded");
    expect(created).toHaveLength(2);
    expect(registered[1].containerDefinitions[0].image).toBe("registry/app:v3");
    const { pipelineExecutionSummaries } = await call("ListPipelineExecutions", { pipelineName: "pipe" });
    expect(pipelineExecutionSummaries.map((one: { status: string }) => one.status)).toEqual([
      "Succeeded",
      "Superseded",
      "Succeeded",
    ]);
  });

  it("keeps all waiting executions in mode QUEUED", async () => {
    executionMode = "QUEUED";
    publish("v1");
    const ids = [await start(), await start(), await start()];
    for (const id of ids) expect((await settled(id)).status).toBe("Succeeded");
    expect(created).toHaveLength(3);
  });

  it("waits for an approval, and takes it only with its token", async () => {
    stages.splice(1, 0, { name: "Approve", actions: [APPROVAL] });
    publish("v1");
    const id = await start();
    const token = await until(async () => (await stateOf("Approve")).actionStates[0].latestExecution?.token);
    expect(created).toHaveLength(0);
    const approve = (given: string) =>
      call("PutApprovalResult", {
        pipelineName: "pipe",
        stageName: "Approve",
        actionName: "Manual",
        token: given,
        result: { status: "Approved", summary: "fine" },
      });
    await expect(approve("wrong")).rejects.toMatchObject({ code: "InvalidApprovalTokenException" });
    await approve(token);
    expect((await settled(id)).status).toBe("Succeeded");
    await expect(approve(token)).rejects.toMatchObject({ code: "ApprovalAlreadyCompletedException" });
    expect(played.lines()).toContain("pipeline waiting");
  });

  it("runs a new pipeline once by itself, which finds nothing to deploy", async () => {
    await call("CreatePipeline", { pipeline: { name: "pipe" } });
    await until(() => played.lines().includes("pipeline skipped"));
    expect(events.map((event) => event.slice(5))).toEqual(["STARTED", "FAILED"]);
    expect(played.lines()).not.toContain("pipeline failed");
  });

  it("answers the same execution for the same token", async () => {
    publish("v1");
    const id = await start({ clientRequestToken: "t" });
    expect(await start({ clientRequestToken: "t" })).toBe(id);
    await settled(id);
  });

  test.each([
    ["no object", {}, "could not be found"],
    [
      "a field that ECS does not know",
      { "taskdef.json": '{"family":"a","colour":1}' },
      "unknown parameter: colour",
    ],
    [
      "a field of a container that ECS does not know",
      { "taskdef.json": '{"containerDefinitions":[{"name":"a","image":"b","port":1}]}' },
      "containerDefinitions[0]: unknown parameter: port",
    ],
    [
      "an image that nobody filled in",
      { "taskdef.json": '{"containerDefinitions":[{"image":"<X>"}]}' },
      "<X>",
    ],
    ["no image", { "imageDetail.json": '{"image":"a"}' }, "ImageURI"],
    ["a broken file", { "taskdef.json": "{" }, "not JSON"],
  ])("fails with %s", async (what, files, message) => {
    if (what !== "no object") publish("v1", files);
    const { status, statusSummary } = await settled(await start());
    expect(status).toBe("Failed");
    expect(statusSummary).toContain(message);
    expect(created).toHaveLength(0);
  });

  it("fails with an artifact that is no zip, and with one that lacks a file", async () => {
    versions.set("v1", Buffer.from("text"));
    expect((await settled(await start())).statusSummary).toContain("not a zip file");
    versions.set("v2", Buffer.from(zipSync({ other: strToU8("") })));
    expect((await settled(await start())).statusSummary).toContain("Did not find the file imageDetail.json");
  });

  it("fails with the deployment, and frees the stage", async () => {
    publish("v1");
    deploymentStatus = () => ({ status: "Failed", errorInformation: { code: "TIMEOUT", message: "late" } });
    expect((await settled(await start())).statusSummary).toContain("TIMEOUT: late");
    deploymentStatus = () => ({ status: "Succeeded" });
    expect((await settled(await start())).status).toBe("Succeeded");
  });

  test.each([
    "s3:GetBucketVersioning",
    "s3:GetObjectVersion",
    "s3:PutObject",
    "ecs:RegisterTaskDefinition",
    "iam:PassRole",
    "codedeploy:GetApplication",
    "codedeploy:GetDeploymentConfig",
    "codedeploy:RegisterApplicationRevision",
    "codedeploy:GetApplicationRevision",
    "codedeploy:CreateDeployment",
    "codedeploy:GetDeployment",
  ])("fails when the pipeline's role lacks %s", async (denied) => {
    publish("v1");
    played.denied.add(denied);
    const { status, statusSummary } = await settled(await start());
    expect(status).toBe("Failed");
    expect(statusSummary).toContain(denied);
  });

  it("names the bucket when the pipeline's role may not even look at the object", async () => {
    publish("v1");
    // The answer to a HEAD has no body that could say more.
    played.denied.add("s3:GetObject");
    expect((await settled(await start())).statusSummary).toContain(
      "doesn't have the permissions required to access the Amazon S3 bucket named source",
    );
  });

  it("refuses a pipeline and an action that it does not know", async () => {
    await expect(call("StartPipelineExecution", { name: "other" })).rejects.toMatchObject({
      code: "PipelineNotFoundException",
    });
    stages = [{ name: "Source", actions: [action("Source", "CodeCommit", {})] }, stages[1]!];
    expect((await settled(await start())).statusSummary).toContain("Source/AWS/CodeCommit");
  });
});
