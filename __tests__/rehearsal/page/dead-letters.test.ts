import { describe as describeLetter, remedyOf } from "../../../rehearsal/page/dead-letters";

const [BEFORE, AFTER] = ["0".repeat(40), "a".repeat(40)];
const PUSH = { ref: "refs/heads/main", before: BEFORE, after: AFTER };

describe("remedyOf", () => {
  test("starts the state machine again with the push alone", () => {
    const body = JSON.stringify({ ...PUSH, error: { Error: "CodeBuild.AccountLimitExceededException" } });
    expect(remedyOf(body)).toEqual({ kind: "build", input: JSON.stringify(PUSH), about: "main aaaaaaaaaa" });
  });

  test("takes the push out of an event that a rule could not hand over", () => {
    const event = { "detail-type": "Backlog Git Push", detail: { space: "example", ...PUSH } };
    expect(remedyOf(JSON.stringify(event))).toMatchObject({ kind: "build", input: JSON.stringify(PUSH) });
  });

  test("starts the pipeline again for an artifact's event", () => {
    const event = { "detail-type": "Object Created", detail: { object: { key: "published/artifact.zip" } } };
    expect(remedyOf(JSON.stringify(event))).toMatchObject({ kind: "pipeline" });
  });

  test.each([
    "",
    "x",
    "null",
    "[]",
    "{}",
    JSON.stringify({ ...PUSH, after: "x" }),
    JSON.stringify({ detail: PUSH.ref }),
  ])("knows no way back for %s", (body) => {
    expect(remedyOf(body)).toBeUndefined();
  });
});

describe("describe", () => {
  test("says what the state machine was told", () => {
    const error = {
      Error: "CodeBuild.AccountLimitExceededException",
      Cause: "Cannot have more than 1 builds",
    };
    const letter = describeLetter("q", {
      MessageId: "1",
      Body: JSON.stringify({ ...PUSH, error }),
      Attributes: { SentTimestamp: "5" },
    });
    expect(letter).toEqual({
      queue: "q",
      id: "1",
      about: "main aaaaaaaaaa",
      error: "CodeBuild.AccountLimitExceededException: Cannot have more than 1 builds",
      at: 5,
      replays: "starts the build again",
    });
  });

  test("says what the rule was told", () => {
    const letter = describeLetter("q", {
      Body: JSON.stringify({ detail: PUSH }),
      MessageAttributes: { ERROR_MESSAGE: { DataType: "String", StringValue: "not allowed" } },
    });
    expect(letter).toMatchObject({ error: "not allowed", replays: "starts the build again" });
  });

  test("offers no button for what it does not understand", () => {
    expect(describeLetter("q", { Body: "<b>" })).toMatchObject({ about: "<b>", replays: "" });
  });
});
