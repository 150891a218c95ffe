import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { callJson } from "../../../rehearsal/aws/json-api";
import { type BuildRunner, startBuildRunner } from "../../../rehearsal/data-plane/build-runner";
import { roleFor, startPlayedAws, until } from "./played-aws";

const KEY = "-----BEGIN KEY-----\nsecret-line-one\n-----END KEY-----";

describe("startBuildRunner", () => {
  let played: Awaited<ReturnType<typeof startPlayedAws>>;
  let runner: BuildRunner;
  let workspace: string;
  let commands: string[];
  // biome-ignore lint/suspicious/noExplicitAny: a project as the API has it
  let project: any;
  let logged: string[];
  let events: string[];

  beforeEach(async () => {
    played = await startPlayedAws();
    workspace = await mkdtemp(join(tmpdir(), "build-runner-"));
    commands = ["echo hello"];
    logged = [];
    events = [];
    project = {
      name: "app",
      serviceRole: roleFor("codebuild"),
      source: { type: "NO_SOURCE" },
      artifacts: { type: "NO_ARTIFACTS" },
      environment: {
        privilegedMode: true,
        environmentVariables: [
          { name: "GIT_COMMIT", value: "a".repeat(40) },
          { name: "COLOUR", value: "blue" },
          { name: "GIT_SSH_KEY", value: "info:ssh_key", type: "SECRETS_MANAGER" },
        ],
      },
      logsConfig: { cloudWatchLogs: { status: "ENABLED", groupName: "/build" } },
    };
    played.control.set("codebuild:BatchGetProjects", ({ names }) => ({
      projects: names.includes("app")
        ? [{ ...project, source: { ...project.source, buildspec: project.source.buildspec ?? spec() } }]
        : [],
    }));
    played.control.set("logs:CreateLogStream", () => ({}));
    played.control.set("logs:PutLogEvents", ({ logEvents }) => {
      logged.push(...logEvents.map(({ message }: { message: string }) => message));
      return {};
    });
    played.control.set("secretsmanager:DescribeSecret", () => ({
      ARN: "arn:aws:secretsmanager:r:a:secret:x",
    }));
    played.control.set("secretsmanager:GetSecretValue", () => ({
      SecretString: JSON.stringify({ ssh_key: KEY }),
    }));
    runner = startBuildRunner(played.aws, {
      workspace,
      path: process.env.PATH!,
      env: { DOCKER_HOST: "unix:///engine.sock" },
      concurrency: 1,
      timeLimitScale: 1_000,
      emit: ({ detail }) => events.push(String(detail["build-status"])),
    });
  });

  afterEach(async () => {
    await runner.stop();
    await played.close();
    await rm(workspace, { recursive: true });
  });

  const spec = () =>
    JSON.stringify({ version: "0.2", env: { shell: "bash" }, phases: { build: { commands } } });
  const call = (operation: string, parameters: object) =>
    callJson(played.aws, played.aws.administrator, "codebuild", operation, parameters);
  const start = async (parameters: object = {}): Promise<string> =>
    (await call("StartBuild", { projectName: "app", ...parameters })).build.id;
  const show = async (id: string) => (await call("BatchGetBuilds", { ids: [id] })).builds[0];
  const ended = (id: string) =>
    until(async () => {
      const build = await show(id);
      return build.buildComplete && build;
    });
  const log = async (id: string) => readFile(runner.logFile(id)!, "utf8");

  it("runs a build in the project's environment, with overrides once and nothing of this machine", async () => {
    process.env.OF_THIS_MACHINE = "seen";
    commands = ["env", `echo "$GIT_SSH_KEY"`, "echo outcome: image pushed"];
    const id = await start({ environmentVariablesOverride: [{ name: "COLOUR", value: "green" }] });
    delete process.env.OF_THIS_MACHINE;
    expect(await ended(id)).toMatchObject({ buildStatus: "SUCCEEDED", buildNumber: 1 });
    const text = await log(id);
    expect(text).toContain("COLOUR=green");
    expect(text).not.toContain("blue");
    expect(text).not.toContain("OF_THIS_MACHINE");
    expect(text).toContain(`CODEBUILD_BUILD_ID=${id}`);
    expect(text).toContain("DOCKER_HOST=unix:///engine.sock");
    expect(text).toContain(`AWS_ENDPOINT_URL=${played.aws.endpoint}`);
    expect(text).not.toContain("secret-line-one");
    expect(text).toContain("GIT_SSH_KEY=***");
    expect(logged.join("")).toContain("COLOUR=green");
    expect(logged.join("")).not.toContain("secret-line-one");
    expect(events).toEqual(["IN_PROGRESS", "SUCCEEDED"]);
    expect(played.activities.at(-1)).toMatchObject({
      stage: "building",
      state: "succeeded",
      commit: "a".repeat(40),
      detail: "image pushed",
    });
  });

  it("gives no docker daemon to a build without privileged mode", async () => {
    project.environment.privilegedMode = false;
    commands = ["echo $DOCKER_HOST"];
    const id = await start();
    await ended(id);
    expect(await log(id)).toContain("no-docker-without-privileged-mode");
  });

  it("answers the same build for the same token, and refuses the token with other parameters", async () => {
    const first = await start({ idempotencyToken: "t" });
    expect(await start({ idempotencyToken: "t" })).toBe(first);
    await expect(
      start({ idempotencyToken: "t", environmentVariablesOverride: [{ name: "A", value: "b" }] }),
    ).rejects.toMatchObject({ code: "InvalidInputException", status: 400 });
    expect(await start({ idempotencyToken: "u" })).not.toBe(first);
  });

  it("forgets a token after five minutes", async () => {
    const first = await start({ idempotencyToken: "t" });
    await until(async () => (await start({ idempotencyToken: "t" })) !== first);
  });

  it("queues what is too much, in order, and refuses more than five times as many", async () => {
    commands = ["sleep 0.2; echo outcome: $GIT_REF"];
    const ids: string[] = [];
    for (let n = 0; n < 6; n += 1) {
      ids.push(await start({ environmentVariablesOverride: [{ name: "GIT_REF", value: `r${n}` }] }));
    }
    await expect(start()).rejects.toMatchObject({ code: "AccountLimitExceededException", status: 400 });
    expect((await show(ids[1]!)).currentPhase).toBe("QUEUED");
    await ended(ids[5]!);
    const done = played.activities.filter(
      ({ stage, state }) => stage === "building" && state === "succeeded",
    );
    expect(done.map(({ ref }) => ref)).toEqual(["r0", "r1", "r2", "r3", "r4", "r5"]);
    expect(played.lines()).toContain("queued waiting");
  });

  it("ends a build that runs too long, and one that waits too long", async () => {
    commands = ["sleep 60"];
    const running = await start({ timeoutInMinutesOverride: 30 });
    const waiting = await start({ queuedTimeoutInMinutesOverride: 5 });
    expect((await ended(waiting)).buildStatus).toBe("TIMED_OUT");
    expect((await show(running)).buildStatus).toBe("IN_PROGRESS");
    expect((await ended(running)).buildStatus).toBe("TIMED_OUT");
  });

  it("gives real work its real time, however fast the rehearsal's waits are", async () => {
    await runner.stop();
    runner = startBuildRunner(played.aws, {
      workspace,
      path: process.env.PATH!,
      env: {},
      concurrency: 1,
      emit: () => {},
    });
    // Five minutes would be 0.3 s.
    commands = ["sleep 0.6"];
    const running = await start({ timeoutInMinutesOverride: 5 });
    expect((await ended(running)).buildStatus).toBe("SUCCEEDED");
  });

  it("stops a running and a queued build", async () => {
    commands = ["sleep 60"];
    const [running, waiting] = [await start(), await start()];
    await call("StopBuild", { id: waiting });
    await call("StopBuild", { id: running });
    expect((await ended(running)).buildStatus).toBe("STOPPED");
    expect((await ended(waiting)).buildStatus).toBe("STOPPED");
  });

  test.each([
    ["secretsmanager:GetSecretValue", "GIT_SSH_KEY"],
    ["logs:CreateLogStream", "log streams for build"],
    ["logs:PutLogEvents", "log streams for build"],
  ])("fails a build whose role may not %s, before its first command", async (action, message) => {
    played.denied.add(action);
    const id = await start();
    expect((await ended(id)).buildStatus).toBe("FAILED");
    expect(await log(id)).not.toContain("hello");
    expect(played.activities.at(-1)?.detail).toContain(message);
  });

  it("fails a build in a VPC whose role may not make network interfaces", async () => {
    project.vpcConfig = { vpcId: "vpc-1", subnets: ["subnet-1"], securityGroupIds: ["sg-1"] };
    expect((await ended(await start())).buildStatus).toBe("SUCCEEDED");
    played.denied.add("ec2:CreateNetworkInterfacePermission");
    expect((await ended(await start())).buildStatus).toBe("FAILED");
    expect(played.activities.at(-1)?.detail).toContain("ec2:CreateNetworkInterfacePermission");
  });

  it("fails a build whose specification CodeBuild would not take", async () => {
    project.source.buildspec = "version: 0.2\nphases: { bild: {} }";
    const build = await ended(await start());
    expect(build.buildStatus).toBe("FAILED");
    expect(played.activities.at(-1)?.detail).toContain("phases.bild");
  });

  test.each([
    [{ projectName: "other" }, "ResourceNotFoundException"],
    [{ buildspecOverride: "x".repeat(25_601) }, "InvalidInputException"],
    [{ environmentVariablesOverride: [{ name: "A", value: "x".repeat(4_097) }] }, "InvalidInputException"],
    [{ environmentVariablesOverride: [{ name: "A" }] }, "InvalidInputException"],
    [{ sourceTypeOverride: "GITHUB" }, "InvalidInputException"],
  ])("refuses to start with %j", async (parameters, code) => {
    await expect(start(parameters)).rejects.toMatchObject({ code });
  });

  it("refuses a project whose specification is too long", async () => {
    const source = { type: "NO_SOURCE", buildspec: "x".repeat(25_601) };
    await expect(call("CreateProject", { name: "app", source })).rejects.toMatchObject({
      code: "InvalidInputException",
    });
    expect(played.calls).toEqual([]);
  });

  it("refuses sources that it does not play", async () => {
    project.source = { type: "GITHUB" };
    await expect(start()).rejects.toThrow("NO_SOURCE");
  });
});
