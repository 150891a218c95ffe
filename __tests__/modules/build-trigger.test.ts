import { EVENT_PATTERN_MAX_LENGTH } from "../../modules/build-trigger";
import { checkPattern } from "../../rehearsal/data-plane/event-pattern";
import { type Definition, runStates, StateError } from "../../rehearsal/data-plane/states-language";
import { BEFORE, COMMIT, isBuilt, machineInput, pushEvent, ZEROS } from "../support/build-events";
import { type Json, readable, synthesise } from "../support/stack";

const stack = synthesise({
  backlogDockerBuild: { branch: "release/1.x", buildOnlyBranches: ["feature/*", "a.b", "fix-*-now"] },
});

describe("BuildTrigger's rule", () => {
  test("is one that EventBridge takes", () => {
    const { event_pattern } = stack.one("aws_cloudwatch_event_rule", "trigger/rule");
    expect(() => checkPattern(JSON.parse(event_pattern))).not.toThrow();
  });

  test.each([
    ["refs/heads/release/1.x", true],
    ["refs/heads/release/1.x/more", false],
    ["refs/heads/release/1yx", false],
    ["refs/heads/feature/x", true],
    ["refs/heads/feature/x/y", true],
    ["refs/heads/feature/", true],
    ["refs/heads/features", false],
    ["refs/heads/my/feature/x", false],
    ["refs/heads/a.b", true],
    ["refs/heads/acb", false],
    ["refs/heads/fix-it-now", true],
    ["refs/heads/fix-now", false],
    ["refs/heads/main", false],
    ["refs/tags/release/1.x", false],
    ["refs/tags/feature/x", false],
    ["refs/pull/1/head", false],
  ])("takes a push of %s: %s", (ref, expected) => {
    expect(isBuilt(stack, pushEvent({ ref }))).toBe(expected);
  });

  test.each([
    ["a new branch", { before: ZEROS }, true],
    ["a deleted branch", { after: ZEROS }, false],
    ["another repository", { repository: "other" }, false],
    ["another project", { project: "OTHER" }, false],
    ["another space", { space: "other" }, false],
  ])("takes %s: %j %s", (_, detail, expected) => {
    expect(isBuilt(stack, pushEvent({ ref: "refs/heads/release/1.x", ...detail }))).toBe(expected);
  });

  test.each([
    ["source", "aws.s3"],
    ["detail-type", "Object Created"],
  ])("takes no event with another %s", (field, value) => {
    expect(isBuilt(stack, { ...pushEvent({ ref: "refs/heads/a.b" }), [field]: value })).toBe(false);
  });

  test("keeps to the length that EventBridge takes, and says so before anything is deployed", () => {
    const withBranches = (count: number) =>
      synthesise({
        backlogDockerBuild: {
          buildOnlyBranches: Array.from({ length: count }, (_, index) => `${"b".repeat(160)}${index}*`),
        },
      });
    const { event_pattern } = withBranches(9).one("aws_cloudwatch_event_rule", "trigger/rule");
    expect(event_pattern.length).toBeLessThanOrEqual(EVENT_PATTERN_MAX_LENGTH);
    expect(() => withBranches(10)).toThrow(
      /^the event pattern of the branches to build must have at most 2048 characters \(EventBridge's limit\), got: \d+;/,
    );
  });

  test("hands over ref, before and after, and puts away what Step Functions does not take for a day", () => {
    expect(machineInput(stack, pushEvent({ ref: "refs/heads/機能" }))).toEqual({
      ref: "refs/heads/機能",
      before: BEFORE,
      after: COMMIT,
    });
    const target = stack.one("aws_cloudwatch_event_target", "trigger/target");
    expect(target.retry_policy).toEqual({
      maximum_event_age_in_seconds: 86_400,
      maximum_retry_attempts: 185,
    });
    expect(readable(target.dead_letter_config.arn)).toBe("<aws_sqs_queue.trigger_dead_letters.arn>");
  });
});

describe("BuildTrigger's state machine", () => {
  const definition: Definition = JSON.parse(stack.one("aws_sfn_state_machine").definition);
  const input = { ref: "refs/heads/main", before: BEFORE, after: COMMIT };

  async function run(of: object, answer: (resource: string, attempt: number) => unknown) {
    const tasks: { resource: string; parameters: Json }[] = [];
    let waited = 0;
    let failure: unknown;
    await runStates(definition, of, {
      task: async (resource, parameters) => {
        tasks.push({ resource: resource.replace(/^.*:::/, ""), parameters });
        const result = answer(tasks.at(-1)!.resource, tasks.length);
        if (result instanceof Error) throw result;
        return result;
      },
      wait: async (seconds) => {
        waited += seconds;
      },
      // The longest wait each time.
      random: () => 1 - Number.EPSILON,
    }).catch((error: unknown) => {
      failure = error;
    });
    return { tasks, waited, failure };
  }
  const limit = () => new StateError("CodeBuild.AccountLimitExceededException", "1 build is the limit");

  test("starts the build of the pushed commit", async () => {
    const { tasks, failure } = await run(input, () => ({ Build: {} }));
    expect(failure).toBeUndefined();
    expect(tasks).toEqual([
      {
        resource: "codebuild:startBuild",
        parameters: {
          ProjectName: "${aws_codebuild_project.build.name}",
          IdempotencyToken: expect.stringMatching(/^[0-9a-f]{64}$/),
          EnvironmentVariablesOverride: [
            { Name: "GIT_REF", Type: "PLAINTEXT", Value: "refs/heads/main" },
            { Name: "GIT_COMMIT", Type: "PLAINTEXT", Value: COMMIT },
            { Name: "GIT_BEFORE", Type: "PLAINTEXT", Value: BEFORE },
          ],
        },
      },
    ]);
  });

  test("makes the token of ref, before and after: another push has another, the same one the same", async () => {
    const token = async (changes: object) => {
      const { tasks } = await run({ ...input, ...changes }, () => ({}));
      return tasks[0]!.parameters.IdempotencyToken;
    };
    const tokens = [
      await token({}),
      await token({ ref: "refs/heads/other" }),
      await token({ before: ZEROS }),
      await token({ after: ZEROS }),
    ];
    expect(new Set(tokens).size).toBe(4);
    expect(await token({})).toBe(tokens[0]);
  });

  test("waits for a free place among the account's builds", async () => {
    const { tasks, failure } = await run(input, (_, attempt) => (attempt < 20 ? limit() : {}));
    expect(failure).toBeUndefined();
    expect(tasks).toHaveLength(20);
    expect(new Set(tasks.map(({ parameters }) => JSON.stringify(parameters))).size).toBe(1);
  });

  test("gives up after about half a day: the push and the reason become a dead letter, the execution fails", async () => {
    const { tasks, waited, failure } = await run(input, (resource) =>
      resource === "codebuild:startBuild" ? limit() : {},
    );
    expect(waited / 3600).toBeGreaterThan(11);
    expect(waited / 3600).toBeLessThan(24);
    expect(tasks.at(-1)).toEqual({
      resource: "sqs:sendMessage",
      parameters: {
        QueueUrl: expect.stringMatching(/^\$\{aws_sqs_queue\.trigger_dead_letters_\w+\.url\}$/),
        MessageBody: {
          ...input,
          error: { Error: "CodeBuild.AccountLimitExceededException", Cause: "1 build is the limit" },
        },
      },
    });
    expect(failure).toMatchObject({ error: "BuildNotStarted" });
  });

  test("may start this build and write to this queue, and nothing else", () => {
    const statements = stack.statements("trigger/machine_role/permissions");
    expect(statements.map(({ actions, resources }) => [...actions, ...resources.map(readable)])).toEqual([
      ["codebuild:StartBuild", "<aws_codebuild_project.build.arn>"],
      ["sqs:SendMessage", "<aws_sqs_queue.trigger_dead_letters.arn>"],
    ]);
  });
});
