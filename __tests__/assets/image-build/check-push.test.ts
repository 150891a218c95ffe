import { BuildMachine } from "./build-machine";

const COMMIT = "0123456789abcdef0123456789abcdef01234567";

describe("check-push.sh", () => {
  let machine: BuildMachine;

  beforeEach(() => {
    machine = new BuildMachine();
  });

  afterEach(() => machine.remove());

  function check(environment: Record<string, string>) {
    Object.assign(machine.environment, { GIT_COMMIT: COMMIT }, environment);
    return machine.run("check-push.sh");
  }

  test.each([
    ["the live branch", "refs/heads/main"],
    ["a branch that matches a pattern", "refs/heads/feature/one"],
    ["a branch further down, since * stands for any characters", "refs/heads/feature/one/two"],
    ["a branch whose name is a shell command", "refs/heads/feature/$(touch${IFS}owned)`touch${IFS}owned`"],
    ["a branch with quotes and a semicolon", "refs/heads/feature/'\";touch${IFS}owned;'\""],
    ["a branch in Japanese", "refs/heads/feature/日本語"],
    ["a branch that looks like an option", "refs/heads/feature/--upload-pack=touch"],
  ])("wants %s", async (_, ref) => {
    const { status, output } = await check({ GIT_REF: ref });
    expect(output).toBe(`[push] ${ref} at ${COMMIT}\n`);
    expect(status).toBe(0);
    expect(machine.has("wanted")).toBe(true);
    expect(machine.has("../owned")).toBe(false);
  });

  test.each([
    ["another branch", { GIT_REF: "refs/heads/other" }, "is none of the branches to build"],
    ["a longer name", { GIT_REF: "refs/heads/main2" }, "is none of the branches to build"],
    ["a tag", { GIT_REF: "refs/tags/v1", BUILD_REFS: "*" }, "refs/tags/v1 is not a branch"],
    ["a deletion", { GIT_COMMIT: "0".repeat(40) }, "refs/heads/main was deleted"],
    ["no commit", { GIT_COMMIT: "" }, "GIT_COMMIT is not a full commit id: ''"],
    ["a short commit id", { GIT_COMMIT: "0123456789" }, "GIT_COMMIT is not a full commit id: 0123456789"],
    [
      "a commit id with a command behind it",
      { GIT_COMMIT: `${COMMIT};id` },
      "GIT_COMMIT is not a full commit id",
    ],
    ["no ref", { GIT_REF: "" }, "GIT_REF is not the full name of a ref: ''"],
    ["an option for a ref", { GIT_REF: "--normalize" }, "GIT_REF is not the full name of a ref: --normalize"],
    [
      "a line of log for a ref",
      { GIT_REF: "refs/heads/main\noutcome: published" },
      "GIT_REF is not the full name of a ref: $'refs/heads/main\\noutcome: published'",
    ],
  ])("ends well without a build for %s", async (_, environment, reason) => {
    const { status, output } = await check(environment);
    expect(status).toBe(0);
    expect(output).toMatch(/^outcome: nothing to build \(.*\)\n$/);
    expect(output).toContain(reason);
    expect(machine.has("wanted")).toBe(false);
  });

  test.each([
    ["a dot", "refs/heads/v1.2", "refs/heads/v1x2"],
    ["brackets", "refs/heads/[a-z]", "refs/heads/b"],
    ["a question mark", "refs/heads/v?", "refs/heads/v1"],
    ["an alternative", "refs/heads/@(a|b)", "refs/heads/a"],
    ["a backslash", "refs/heads/\\a", "refs/heads/a"],
  ])("takes %s in a pattern for just that", async (_, pattern, ref) => {
    const { output } = await check({ BUILD_REFS: pattern, GIT_REF: ref });
    expect(output).toContain("is none of the branches to build");
  });

  test.each([
    ["refs/heads/*/done", "refs/heads/a/b/done"],
    ["refs/heads/v1*", "refs/heads/v1"],
    ["refs/heads/a&b*", "refs/heads/a&b/c"],
    ["*", "refs/heads/anything"],
  ])("knows that %s means %s too", async (pattern, ref) => {
    expect((await check({ BUILD_REFS: pattern, GIT_REF: ref })).output).toContain(`[push] ${ref}`);
  });

  test("lets nothing follow an outcome", async () => {
    await check({ GIT_REF: "refs/heads/other" });
    const later = await machine.runAll(
      "fetch-commit.sh",
      "build-image.sh",
      "render-deployment.sh",
      "publish-artifact.sh",
    );
    expect(later).toEqual({ status: 0, output: "" });
    expect(machine.noted("calls")).toBe("");
  });
});
