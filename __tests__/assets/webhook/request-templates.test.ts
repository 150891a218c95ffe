import { renderRequestTemplate } from "../../../modules/mapping-template";
import { evaluateTemplate } from "../../../rehearsal/data-plane/mapping-template";
import { TemplateError } from "../../../rehearsal/data-plane/template-errors";
import { BODIES, type BodyCase, type Push, SOURCE } from "./bodies";

const BUS = renderRequestTemplate(SOURCE, { delivery: "bus", eventBusName: "example-push" });
const DIRECT = renderRequestTemplate(SOURCE, { delivery: "direct", projectName: "example-build" });

function run(template: string, { body }: BodyCase): unknown {
  try {
    return JSON.parse(evaluateTemplate(template, { body, context: {} }).output);
  } catch (error) {
    // Only what Java would throw, too, is an answer; a fault of the engine is not.
    if (error instanceof TemplateError) return "error";
    throw error;
  }
}

const pushes = BODIES.filter(({ outcome }) => typeof outcome === "object");
const refused = BODIES.filter(({ outcome }) => outcome === "refused");
const errors = BODIES.filter(({ outcome }) => outcome === "error");
const pushOf = ({ outcome }: BodyCase) => (outcome as { push: Push }).push;

describe("the webhook's request template for the bus", () => {
  test.each(pushes)("makes one event of $name", (bodyCase) => {
    const { Entries, ...rest } = run(BUS, bodyCase) as { Entries: Record<string, string>[] };
    expect(rest).toEqual({});
    expect(Entries).toHaveLength(1);
    const { Detail, ...entry } = Entries[0]!;
    expect(entry).toEqual({
      Source: "backlog.git",
      DetailType: "Backlog Git Push",
      EventBusName: "example-push",
    });
    expect(JSON.parse(Detail!)).toEqual({
      space: "example",
      project: "AST",
      repository: "pwa",
      ...pushOf(bodyCase),
    });
  });

  test.each(refused)("gives EventBridge something to refuse for $name", (bodyCase) => {
    expect(run(BUS, bodyCase)).toEqual({ Entries: "not a push of this repository" });
  });

  test.each(errors)("cannot be evaluated for $name", (bodyCase) => {
    expect(run(BUS, bodyCase)).toBe("error");
  });
});

describe("the webhook's request template for the direct delivery", () => {
  test.each(pushes)("starts a build for $name", (bodyCase) => {
    const { ref, before, after } = pushOf(bodyCase);
    const { idempotencyToken, ...request } = run(DIRECT, bodyCase) as Record<string, string>;
    expect(request).toEqual({
      projectName: "example-build",
      environmentVariablesOverride: [
        { name: "GIT_REF", value: ref, type: "PLAINTEXT" },
        { name: "GIT_COMMIT", value: after, type: "PLAINTEXT" },
        { name: "GIT_BEFORE", value: before, type: "PLAINTEXT" },
      ],
    });
    expect(idempotencyToken).toMatch(/^[0-9a-f]{40}-[0-9a-f]{10}--?\d{1,10}$/);
  });

  test.each(refused)("gives CodeBuild something to refuse for $name", (bodyCase) => {
    expect(run(DIRECT, bodyCase)).toEqual({ projectName: [] });
  });

  test.each(errors)("cannot be evaluated for $name", (bodyCase) => {
    expect(run(DIRECT, bodyCase)).toBe("error");
  });

  test("makes another token when any of ref, before and after differs, and the same one otherwise", () => {
    const token = (changes: Partial<Push>) => {
      const push = { ref: "refs/heads/a", before: "a".repeat(40), after: "b".repeat(40), ...changes };
      const json = { ...push, repository: { url: "https://example.backlog.jp/git/AST/pwa" } };
      const body = `payload=${encodeURIComponent(JSON.stringify(json))}`;
      return JSON.parse(evaluateTemplate(DIRECT, { body, context: {} }).output).idempotencyToken;
    };
    const tokens = [
      token({}),
      token({ ref: "refs/heads/b" }),
      token({ ref: "refs/tags/a" }),
      token({ before: "c".repeat(40) }),
      token({ after: "c".repeat(40) }),
    ];
    expect(new Set(tokens).size).toBe(tokens.length);
    expect(token({})).toBe(tokens[0]);
  });
});
