import { parseBuildspec } from "../../../rehearsal/data-plane/buildspec";

describe("parseBuildspec", () => {
  it("reads shell, variables, secrets and phases", () => {
    const spec = parseBuildspec(
      [
        "version: 0.2",
        "env:",
        "  shell: bash",
        "  variables: { A: 1 }",
        "  secrets-manager: { KEY: 'info:ssh_key' }",
        "  exported-variables: [A]",
        "phases:",
        "  build:",
        "    on-failure: ABORT",
        "    commands: ['echo a']",
        "    finally: ['echo b']",
      ].join("\n"),
    );
    expect(spec).toEqual({
      shell: "bash",
      variables: { A: "1" },
      secrets: { KEY: "info:ssh_key" },
      phases: { build: { commands: ["echo a"], finally: ["echo b"], abortOnFailure: true } },
    });
  });

  it("takes sh for the shell where none is named, as CodeBuild does", () => {
    expect(parseBuildspec("version: 0.2\nphases: { build: { commands: [] } }").shell).toBe("sh");
  });

  test.each([
    ["version: 0.1\nphases: {}", "version must be 0.2"],
    ["version: 0.2\nphases: { build: { commands: [{ echo: a }] } }", "found map"],
    ["version: 0.2\nphases: { build: { command: [] } }", "phases.build.command"],
    ["version: 0.2\nphases: { compile: {} }", "phases.compile"],
    ["version: 0.2\nphases: {}\nartifacts: {}", "artifacts"],
    ["version: 0.2\nenv: { shell: zsh }\nphases: {}", "env.shell"],
    ["version: 0.2\nenv: { parameter-store: {} }\nphases: {}", "env.parameter-store"],
    ["version: 0.2\nphases: { build: { on-failure: CONTINUE } }", "on-failure"],
    ["version: 0.2", "phases must be a map"],
    ["version: [", "not YAML"],
  ])("refuses %j", (text, message) => {
    expect(() => parseBuildspec(text)).toThrow(message);
  });
});
