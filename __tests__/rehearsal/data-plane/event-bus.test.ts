import { startLocalAws } from "../../../rehearsal/aws/endpoint";
import type { PolicyDocument } from "../../../rehearsal/aws/iam";
import { callJson } from "../../../rehearsal/aws/json-api";
import { type Activity, AwsError } from "../../../rehearsal/aws/local-aws";
import { type EventBus, playEventBus } from "../../../rehearsal/data-plane/event-bus";

const ACCOUNT = "123456789012";
const RULE = `arn:aws:events:eu-west-1:${ACCOUNT}:rule/push/build`;
const MACHINE = `arn:aws:states:eu-west-1:${ACCOUNT}:stateMachine:start`;
const DEAD = `arn:aws:sqs:eu-west-1:${ACCOUNT}:dead`;

const events: PolicyDocument = {
  Statement: {
    Effect: "Allow",
    Action: ["sts:AssumeRole", "sqs:SendMessage"],
    Principal: { Service: "events.amazonaws.com" },
    Condition: { ArnEquals: { "aws:SourceArn": RULE } },
  },
};

describe("playEventBus", () => {
  let aws: Awaited<ReturnType<typeof startLocalAws>>;
  let bus: EventBus;
  let activities: Activity[];
  let starts: { input: string }[];
  let pipelines: unknown[];
  // biome-ignore lint/suspicious/noExplicitAny: messages as SQS takes them
  let letters: any[];
  let errors: AwsError[];
  let archives: { ArchiveName: string; EventPattern?: string }[];
  let mayStart: boolean;
  let mayWrite: boolean;
  let retryPolicy: object;

  beforeEach(async () => {
    activities = [];
    starts = [];
    pipelines = [];
    letters = [];
    errors = [];
    archives = [];
    mayStart = true;
    mayWrite = true;
    retryPolicy = {};
    aws = await startLocalAws({
      // Nothing listens there: every call of these tests is played.
      motoUrl: "http://127.0.0.1:1",
      region: "eu-west-1",
      accountId: ACCOUNT,
      timeScale: 100_000,
      onActivity: (activity) => activities.push(activity),
      policies: {
        trustPolicy: async () => events,
        rolePolicies: async () =>
          mayStart ? [{ Statement: { Effect: "Allow", Action: "*", Resource: "*" } }] : [],
        resourcePolicy: async (arn) => (arn === DEAD && mayWrite ? events : undefined),
      },
    });
    aws.handle("events", "ListRules", async ({ parameters: { EventBusName } }) => ({
      Rules: [
        {
          Name: "build",
          Arn: RULE,
          State: "ENABLED",
          EventPattern: JSON.stringify(
            EventBusName === "push"
              ? { source: ["backlog.git"], detail: { ref: ["refs/heads/main"] } }
              : { source: ["aws.s3"] },
          ),
        },
        { Name: "off", Arn: `${RULE}-off`, State: "DISABLED", EventPattern: '{"source":["backlog.git"]}' },
        {
          Name: "Events-Archive-a",
          Arn: `${RULE}-archive`,
          State: "ENABLED",
          ManagedBy: "prod.vhs.events.aws.internal",
          EventPattern: '{"replay-name":[{"exists":false}]}',
        },
      ],
    }));
    aws.handle("events", "ListTargetsByRule", async ({ parameters: { EventBusName } }) => ({
      Targets: [
        EventBusName === "push"
          ? {
              Id: "start",
              Arn: MACHINE,
              RoleArn: `arn:aws:iam::${ACCOUNT}:role/rule`,
              InputTransformer: {
                InputPathsMap: { ref: "$.detail.ref" },
                InputTemplate: '{"ref": <ref>}',
              },
              DeadLetterConfig: { Arn: DEAD },
              RetryPolicy: retryPolicy,
            }
          : {
              Id: "pipeline",
              Arn: `arn:aws:codepipeline:eu-west-1:${ACCOUNT}:deploy`,
              RoleArn: `arn:aws:iam::${ACCOUNT}:role/rule`,
            },
      ],
    }));
    aws.handle("events", "ListArchives", async () => ({ Archives: archives }));
    aws.handle(
      "events",
      "DescribeArchive",
      async ({ parameters: { ArchiveName } }) => archives.find((a) => a.ArchiveName === ArchiveName)!,
    );
    aws.handle("states", "StartExecution", async ({ parameters }) => {
      const error = errors.shift();
      if (error) throw error;
      starts.push(parameters);
      return { executionArn: "arn:execution" };
    });
    aws.handle("codepipeline", "StartPipelineExecution", async ({ parameters }) => {
      pipelines.push(parameters);
      return {};
    });
    aws.handle("sqs", "SendMessage", async ({ parameters }) => {
      letters.push(parameters);
      return {};
    });
    bus = playEventBus(aws);
  });
  afterEach(() => aws.close());

  const push = (ref = "refs/heads/main") => ({
    Source: "backlog.git",
    DetailType: "Backlog Git Push",
    Detail: JSON.stringify({ ref, after: "a".repeat(40) }),
    EventBusName: "push",
  });
  const put = (...Entries: object[]) => callJson(aws, aws.administrator, "events", "PutEvents", { Entries });

  async function until(holds: () => boolean): Promise<void> {
    for (let tries = 0; !holds(); tries += 1) {
      if (tries > 400) throw new Error("it did not come to that within two seconds");
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  test("hands a matching event to the rule's target as the target's role, transformed", async () => {
    await expect(put(push())).resolves.toEqual({
      FailedEntryCount: 0,
      Entries: [{ EventId: expect.any(String) }],
    });
    await until(() => starts.length > 0);
    expect(starts).toEqual([{ stateMachineArn: MACHINE, input: '{"ref": "refs/heads/main"}' }]);
    expect(activities).toEqual([
      expect.objectContaining({ stage: "filtered", state: "succeeded", detail: "taken by rule build" }),
    ]);
  });

  test("says of a push that no rule takes it", async () => {
    await put(push("refs/heads/other"));
    await until(() => activities.length > 0);
    expect(activities[0]).toMatchObject({ stage: "filtered", state: "skipped", ref: "refs/heads/other" });
    expect(starts).toEqual([]);
  });

  test("answers for each entry, and takes the good ones", async () => {
    const answer = await put({ ...push(), Detail: "{" }, push());
    expect(answer).toEqual({
      FailedEntryCount: 1,
      Entries: [
        { ErrorCode: "MalformedDetail", ErrorMessage: "Detail is malformed." },
        { EventId: expect.any(String) },
      ],
    });
    await until(() => starts.length === 1);
  });

  test("retries 5xx and 429", async () => {
    errors = [new AwsError("Internal", "x", 500), new AwsError("TooMany", "x", 429)];
    await put(push());
    await until(() => starts.length > 0);
    expect(letters).toEqual([]);
  });

  test("does not retry another 4xx, and makes a dead letter of the event", async () => {
    errors = [new AwsError("ExecutionLimitExceeded", "too many", 400)];
    await put(push());
    await until(() => letters.length > 0);
    expect(starts).toEqual([]);
    expect(JSON.parse(letters[0].MessageBody)).toMatchObject({
      source: "backlog.git",
      detail: { ref: "refs/heads/main" },
    });
    const attributes = letters[0].MessageAttributes;
    expect(
      Object.fromEntries(Object.keys(attributes).map((name) => [name, attributes[name].StringValue])),
    ).toEqual({
      RULE_ARN: RULE,
      TARGET_ARN: MACHINE,
      ERROR_CODE: "SDK_CLIENT_ERROR",
      ERROR_MESSAGE: "too many",
      RETRY_ATTEMPTS: "0",
    });
    await until(() => activities.some(({ state }) => state === "failed"));
    expect(activities.at(-1)).toMatchObject({
      stage: "queued",
      detail: expect.stringContaining(`now a dead letter in ${DEAD}`),
    });
  });

  test("gives up when the attempts of the retry policy are used up", async () => {
    retryPolicy = { MaximumRetryAttempts: 2 };
    errors = Array(9).fill(new AwsError("Internal", "x", 500));
    await put(push());
    await until(() => letters.length > 0);
    expect(errors).toHaveLength(6);
    expect(letters[0].MessageAttributes).toMatchObject({
      EXHAUSTED_RETRY_CONDITION: { StringValue: "MaximumRetryAttempts" },
      RETRY_ATTEMPTS: { StringValue: "2" },
    });
  });

  test("shows a missing permission of the target's role", async () => {
    mayStart = false;
    await put(push());
    await until(() => letters.length > 0);
    expect(letters[0].MessageAttributes.ERROR_CODE.StringValue).toBe("NO_PERMISSIONS");
    expect(letters[0].MessageAttributes.ERROR_MESSAGE.StringValue).toContain(
      "is not authorized to perform: states:StartExecution",
    );
  });

  test("shows a dead-letter queue that does not let the rule in", async () => {
    mayStart = false;
    mayWrite = false;
    await put(push());
    await until(() => activities.some(({ state }) => state === "failed"));
    expect(activities.at(-1)!.detail).toBe(
      `User: events.amazonaws.com is not authorized to perform: sqs:SendMessage on resource: ${DEAD}`,
    );
    expect(letters).toEqual([]);
  });

  test("starts a pipeline by its name from a service's own event", async () => {
    bus.emit({
      source: "aws.s3",
      "detail-type": "Object Created",
      resources: [],
      detail: { bucket: { name: "b" } },
    });
    await until(() => pipelines.length > 0);
    expect(pipelines).toEqual([{ name: "deploy" }]);
  });

  test("keeps events in the bus's archives, and replays them to the rules", async () => {
    archives = [
      { ArchiveName: "all" },
      { ArchiveName: "tags", EventPattern: '{"detail":{"ref":[{"prefix":"refs/tags/"}]}}' },
    ];
    await put(push());
    await until(() => starts.length === 1);
    const replay = (archive: string) =>
      callJson(aws, aws.administrator, "events", "StartReplay", {
        ReplayName: `again-${archive}`,
        EventSourceArn: `arn:aws:events:eu-west-1:${ACCOUNT}:archive/${archive}`,
        EventStartTime: 0,
        EventEndTime: Date.now() / 1000 + 60,
        Destination: { Arn: `arn:aws:events:eu-west-1:${ACCOUNT}:event-bus/push` },
      });
    await replay("tags");
    await replay("all");
    await until(() => starts.length === 2);
    await expect(replay("all")).rejects.toMatchObject({ code: "ResourceAlreadyExistsException" });
  });

  test("refuses, when it is deployed, a rule whose pattern it could not evaluate", async () => {
    const EventPattern = '{"detail":{"n":[{"numeric":[">",1]}]}}';
    await expect(
      callJson(aws, aws.administrator, "events", "PutRule", { Name: "x", EventPattern }),
    ).rejects.toMatchObject({
      code: "InvalidEventPatternException",
      message: expect.stringContaining("numeric"),
    });
  });
});
