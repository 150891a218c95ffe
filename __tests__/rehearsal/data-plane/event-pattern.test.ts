import { checkPattern, type EventPattern, matchesPattern } from "../../../rehearsal/data-plane/event-pattern";

describe("matchesPattern", () => {
  const ref = (...matchers: unknown[]): EventPattern => ({ detail: { ref: matchers } });

  test.each<[string, unknown[], boolean]>([
    ["refs/heads/main", ["refs/heads/main"], true],
    ["refs/heads/main2", ["refs/heads/main"], false],
    ["refs/heads/main", ["refs/heads/other", "refs/heads/main"], true],
    ["refs/heads/feature/a/b", [{ wildcard: "refs/heads/feature/*" }], true],
    ["refs/heads/feature", [{ wildcard: "refs/heads/feature/*" }], false],
    ["refs/heads/a.c", [{ wildcard: "refs/heads/a.*" }], true],
    ["refs/heads/abc", [{ wildcard: "refs/heads/a.*" }], false],
    ["a*b", [{ wildcard: "a\\*b" }], true],
    ["axb", [{ wildcard: "a\\*b" }], false],
    ["refs/tags/v1", [{ prefix: "refs/tags/" }], true],
    ["x/refs/tags/v1", [{ prefix: "refs/tags/" }], false],
    ["key.zip", [{ suffix: ".zip" }], true],
    ["MAIN", [{ "equals-ignore-case": "main" }], true],
    ["main", [{ "anything-but": "main" }], false],
    ["main", [{ "anything-but": ["a", "b"] }], true],
    ["refs/tags/v1", [{ "anything-but": { prefix: "refs/tags/" } }], false],
    ["main", [{ exists: true }], true],
    ["main", [{ exists: false }], false],
  ])("%s against %j: %s", (value, matchers, matches) => {
    expect(matchesPattern(ref(...matchers), { detail: { ref: value } })).toBe(matches);
  });

  test("needs every field of the pattern, and ignores others of the event", () => {
    const pattern = { source: ["aws.s3"], detail: { bucket: { name: ["b"] } } };
    const event = { source: "aws.s3", id: "1", detail: { bucket: { name: "b" }, reason: "PutObject" } };
    expect(matchesPattern(pattern, event)).toBe(true);
    expect(matchesPattern(pattern, { ...event, source: "aws.ecr" })).toBe(false);
    expect(matchesPattern(pattern, { source: "aws.s3" })).toBe(false);
  });

  test("matches no operator but exists-false on a field that is absent", () => {
    expect(matchesPattern(ref({ "anything-but": "x" }), { detail: {} })).toBe(false);
    expect(matchesPattern(ref({ exists: false }), { detail: {} })).toBe(true);
    expect(matchesPattern(ref({ exists: true }), { detail: {} })).toBe(false);
  });

  test("matches a list when one of its values does", () => {
    expect(matchesPattern({ resources: ["b"] }, { resources: ["a", "b"] })).toBe(true);
    expect(matchesPattern({ resources: ["c"] }, { resources: ["a", "b"] })).toBe(false);
  });

  test("compares numbers, booleans and null by type", () => {
    expect(matchesPattern({ n: [1] }, { n: 1 })).toBe(true);
    expect(matchesPattern({ n: [1] }, { n: "1" })).toBe(false);
    expect(matchesPattern({ n: [null] }, { n: null })).toBe(true);
  });
});

describe("checkPattern", () => {
  test("takes what can be evaluated", () => {
    expect(() =>
      checkPattern({ detail: { ref: ["a", { wildcard: "b*" }, { exists: true }] } }),
    ).not.toThrow();
  });

  test.each([
    [{ detail: { n: [{ numeric: [">", 1] }] } }, "not supported by the rehearsal: numeric"],
    [{ detail: { ip: [{ cidr: "10.0.0.0/8" }] } }, "not supported by the rehearsal: cidr"],
    [{ $or: [{ a: ["1"] }] }, "not supported by the rehearsal: $or"],
    [{ detail: { ref: [{ "anything-but": { numeric: "1" } }] } }, "not supported by the rehearsal: numeric"],
    [{ detail: { ref: [{ prefix: "a", suffix: "b" }] } }, "two operators in one"],
    [{ detail: { ref: [] } }, "field ref has an empty list"],
    [{ detail: { ref: "main" } }, "an event pattern is an object"],
    [{}, "must not be empty"],
  ])("refuses %j", (pattern, message) => {
    expect(() => checkPattern(pattern)).toThrow(message);
  });
});
