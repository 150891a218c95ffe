import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type PhaseResult, runPhases } from "../../../rehearsal/data-plane/build-phases";
import { BuildShell } from "../../../rehearsal/data-plane/build-shell";
import { type PhaseName, parseBuildspec } from "../../../rehearsal/data-plane/buildspec";

type Phases = Partial<Record<PhaseName, { commands?: string[]; finally?: string[]; "on-failure"?: string }>>;

/** Runs phases in a real shell. */
async function build(phases: Phases, shell = "bash") {
  const folder = await mkdtemp(join(tmpdir(), "build-phases-"));
  let output = "";
  const results: PhaseResult[] = [];
  const spec = parseBuildspec(JSON.stringify({ version: "0.2", env: { shell }, phases }));
  const runner = await BuildShell.start({
    shell: spec.shell,
    env: {
      PATH: process.env.PATH!,
      CODEBUILD_BUILD_ID: `test:${folder}`,
      CODEBUILD_BUILD_SUCCEEDING: "1",
    },
    folder,
    workingDirectory: folder,
    onOutput: (chunk) => {
      output += chunk;
    },
  });
  try {
    const succeeded = await runPhases(spec, runner, {
      say: () => {},
      started: () => {},
      ended: (result) => results.push(result),
    });
    return { succeeded, output, results, folder };
  } finally {
    await runner.end();
    await rm(folder, { recursive: true });
  }
}

describe.each(["bash", "sh"])("runPhases in %s", (shell) => {
  it("keeps variables, also unexported ones, and the directory from command to command", async () => {
    const { output, succeeded } = await build(
      {
        pre_build: { commands: ["cd /usr", "A=1; export B=2; f() { echo from f; }"] },
        build: { commands: ["pwd", "echo $A$B", "f"] },
      },
      shell,
    );
    expect(output).toBe("/usr\n12\nfrom f\n");
    expect(succeeded).toBe(true);
  });

  it("ends a phase with the first command that fails, and runs its finally", async () => {
    const { output, succeeded, results } = await build(
      { build: { commands: ["echo a", "(exit 3)", "echo b"], finally: ["echo c"] } },
      shell,
    );
    expect(output).toBe("a\nc\n");
    expect(succeeded).toBe(false);
    expect(results).toEqual([
      {
        name: "build",
        succeeded: false,
        message: "Error while executing command: (exit 3). Reason: exit status 3",
      },
    ]);
  });

  it("runs post_build after a failed build and tells it so", async () => {
    const say = "echo $CODEBUILD_BUILD_SUCCEEDING";
    const { output, succeeded } = await build(
      { build: { commands: [say, "false"] }, post_build: { commands: [say] } },
      shell,
    );
    expect(output).toBe("1\n0\n");
    expect(succeeded).toBe(false);
  });

  it("ends the build when a command ends the shell", async () => {
    const { output, succeeded, results } = await build(
      { build: { commands: ["set -e", "false", "echo a"] }, post_build: { commands: ["echo b"] } },
      shell,
    );
    expect(output).toBe("");
    expect(succeeded).toBe(false);
    expect(results[0]?.message).toContain("ended the build's shell");
  });
});

describe("runPhases", () => {
  test.each(["install", "pre_build"] as const)("runs nothing after a failed %s", async (name) => {
    const { output } = await build({
      [name]: { commands: ["false"] },
      build: { commands: ["echo a"] },
      post_build: { commands: ["echo b"] },
    });
    expect(output).toBe("");
  });

  it("does not run post_build after a failed build that says ABORT", async () => {
    const { output } = await build({
      build: { commands: ["false"], "on-failure": "ABORT" },
      post_build: { commands: ["echo b"] },
    });
    expect(output).toBe("");
  });

  it("fails a phase whose finally fails", async () => {
    const { succeeded } = await build({ build: { commands: ["true"], finally: ["false"] } });
    expect(succeeded).toBe(false);
  });

  it("keeps the driver from commands that read standard input", async () => {
    const { output } = await build({ build: { commands: ["cat; echo a", "echo b"] } });
    expect(output).toBe("a\nb\n");
  });

  it("takes in all that was printed before the next command", async () => {
    const { output } = await build({ build: { commands: ["seq 100000", "echo end"] } });
    expect(output.endsWith("100000\nend\n")).toBe(true);
  });

  it("leaves no process behind, not even one that left its group", async () => {
    const { output } = await build({
      build: { commands: ["setsid sleep 4321 & sleep 0.2; echo $!"] },
    });
    const pid = Number(output.trim());
    // A killed process may wait for a moment to be collected.
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(isRunning(pid)).toBe(false);
  });
});

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
}
