import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { startLocalAws } from "../../../rehearsal/aws/endpoint";
import { callJson } from "../../../rehearsal/aws/json-api";
import { type Activity, AwsError } from "../../../rehearsal/aws/local-aws";
import { playStateMachines } from "../../../rehearsal/data-plane/state-machine";

const ACCOUNT = "123456789012";
const MACHINE = `arn:aws:states:eu-west-1:${ACCOUNT}:stateMachine:start`;
const definition = {
  StartAt: "StartBuild",
  States: {
    StartBuild: {
      Type: "Task",
      Resource: "arn:aws:states:::codebuild:startBuild",
      Parameters: {
        ProjectName: "p",
        EnvironmentVariablesOverride: [{ Name: "GIT_REF", Type: "PLAINTEXT", "Value.$": "$.ref" }],
      },
      Retry: [
        { ErrorEquals: ["CodeBuild.AccountLimitExceededException"], IntervalSeconds: 20, MaxAttempts: 2 },
      ],
      Catch: [{ ErrorEquals: ["States.ALL"], ResultPath: "$.error", Next: "DeadLetter" }],
      End: true,
    },
    DeadLetter: {
      Type: "Task",
      Resource: "arn:aws:states:::sqs:sendMessage",
      Parameters: { QueueUrl: `http://127.0.0.1:1/${ACCOUNT}/dead`, "MessageBody.$": "$" },
      Next: "Failed",
    },
    Failed: { Type: "Fail", Error: "NotStarted" },
  },
};

describe("playStateMachines", () => {
  let moto: Server;
  let aws: Awaited<ReturnType<typeof startLocalAws>>;
  let activities: Activity[];
  let builds: unknown[];
  let letters: { MessageBody: string }[];
  /** Errors that StartBuild answers before it works. */
  let errors: AwsError[];
  /** Whether the role's policy allows StartBuild. */
  let mayBuild: boolean;

  beforeEach(async () => {
    activities = [];
    builds = [];
    letters = [];
    errors = [];
    mayBuild = true;
    moto = createServer((_request, response) => response.writeHead(500).end());
    await new Promise<void>((resolve) => moto.listen(0, "127.0.0.1", resolve));
    aws = await startLocalAws({
      motoUrl: `http://127.0.0.1:${(moto.address() as AddressInfo).port}`,
      region: "eu-west-1",
      accountId: ACCOUNT,
      timeScale: 10_000,
      onActivity: (activity) => activities.push(activity),
      policies: {
        trustPolicy: async () => ({
          Statement: {
            Effect: "Allow",
            Action: "sts:AssumeRole",
            Principal: { Service: "states.amazonaws.com" },
            Condition: { ArnEquals: { "aws:SourceArn": MACHINE } },
          },
        }),
        rolePolicies: async () => [
          {
            Statement: {
              Effect: "Allow",
              Action: ["sqs:SendMessage", ...(mayBuild ? ["codebuild:StartBuild"] : [])],
              Resource: "*",
            },
          },
        ],
        resourcePolicy: async () => undefined,
      },
    });
    aws.handle("states", "DescribeStateMachine", async () => ({
      name: "start",
      roleArn: `arn:aws:iam::${ACCOUNT}:role/start`,
      definition: JSON.stringify(definition),
    }));
    aws.handle("codebuild", "StartBuild", async ({ parameters }) => {
      builds.push(parameters);
      const error = errors.shift();
      if (error) throw error;
      return { build: { id: "p:1", arn: "arn:build" } };
    });
    aws.handle("sqs", "SendMessage", async ({ parameters }) => {
      letters.push(parameters);
      return { MessageId: "1" };
    });
    playStateMachines(aws);
  });
  afterEach(async () => {
    await aws.close();
    await new Promise((resolve) => moto.close(resolve));
  });

  const push = { ref: "refs/heads/main", before: "0".repeat(40), after: "a".repeat(40) };
  const call = (operation: string, parameters: object) =>
    callJson(aws, aws.administrator, "states", operation, parameters);

  async function execute(input: object = push): Promise<{ status: string; output?: string; error?: string }> {
    const { executionArn } = await call("StartExecution", {
      stateMachineArn: MACHINE,
      input: JSON.stringify(input),
    });
    for (;;) {
      const execution = await call("DescribeExecution", { executionArn });
      if (execution.status !== "RUNNING") return execution;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  test("starts the build as the machine's role, and answers in PascalCase", async () => {
    const execution = await execute();
    expect(builds).toEqual([
      {
        projectName: "p",
        environmentVariablesOverride: [{ name: "GIT_REF", type: "PLAINTEXT", value: "refs/heads/main" }],
      },
    ]);
    expect(execution.status).toBe("SUCCEEDED");
    expect(JSON.parse(execution.output!)).toEqual({ Build: { Id: "p:1", Arn: "arn:build" } });
    expect(activities.map(({ stage, state, commit }) => [stage, state, commit])).toEqual([
      ["queued", "started", push.after],
      ["queued", "succeeded", push.after],
    ]);
  });

  test("retries the account's limit, and says so", async () => {
    errors = [new AwsError("AccountLimitExceededException", "too many")];
    expect((await execute()).status).toBe("SUCCEEDED");
    expect(builds).toHaveLength(2);
    expect(activities[1]).toMatchObject({
      state: "waiting",
      detail: expect.stringMatching(/^StartBuild: too many .*; retry 1 in 20 s$/),
    });
  });

  test("sends a dead letter with input and error when the retries are used up", async () => {
    errors = Array(3).fill(new AwsError("AccountLimitExceededException", "too many"));
    expect(await execute()).toMatchObject({ status: "FAILED", error: "NotStarted" });
    expect(letters.map(({ MessageBody }) => JSON.parse(MessageBody))).toEqual([
      {
        ...push,
        error: {
          Error: "CodeBuild.AccountLimitExceededException",
          Cause: expect.stringContaining("too many"),
        },
      },
    ]);
    expect(activities.at(-1)).toMatchObject({ stage: "queued", state: "failed" });
  });

  test("shows a missing permission of the machine's role", async () => {
    mayBuild = false;
    await execute();
    expect(builds).toEqual([]);
    expect(JSON.parse(letters[0]!.MessageBody).error).toEqual({
      Error: "CodeBuild.AWSCodeBuildException",
      Cause: expect.stringContaining("is not authorized to perform: codebuild:StartBuild"),
    });
  });

  test("answers a repeated start of the same name and input once, and refuses another input", async () => {
    errors = [new AwsError("AccountLimitExceededException", "too many")];
    const start = (input: object) =>
      call("StartExecution", { stateMachineArn: MACHINE, name: "n", input: JSON.stringify(input) });
    const first = await start(push);
    await expect(start(push)).resolves.toEqual(first);
    await expect(start({ ...push, ref: "x" })).rejects.toMatchObject({ code: "ExecutionAlreadyExists" });
  });

  test("refuses input that is no JSON", async () => {
    await expect(call("StartExecution", { stateMachineArn: MACHINE, input: "{" })).rejects.toMatchObject({
      code: "InvalidExecutionInput",
    });
  });

  test("lists executions, newest first", async () => {
    await execute();
    errors = Array(3).fill(new AwsError("AccountLimitExceededException", "too many"));
    await execute();
    const { executions } = await call("ListExecutions", { stateMachineArn: MACHINE });
    expect(executions.map(({ status }: { status: string }) => status)).toEqual(["FAILED", "SUCCEEDED"]);
    const failed = await call("ListExecutions", { stateMachineArn: MACHINE, statusFilter: "FAILED" });
    expect(failed.executions).toHaveLength(1);
  });

  test("refuses, when Terraform asks, a definition that it could not run", async () => {
    const validate = (text: string) => call("ValidateStateMachineDefinition", { definition: text });
    await expect(validate(JSON.stringify(definition))).resolves.toMatchObject({
      result: "OK",
      diagnostics: [],
    });
    const other = JSON.stringify(definition).replace("codebuild:startBuild", "lambda:invoke");
    await expect(validate(other)).resolves.toMatchObject({
      result: "FAIL",
      diagnostics: [
        { message: "StartBuild: resource is not played by the rehearsal: arn:aws:states:::lambda:invoke" },
      ],
    });
    await expect(validate("{")).resolves.toMatchObject({ result: "FAIL" });
  });
});
