import { parse } from "yaml";
import { renderBuildspec } from "../../modules/buildspec";
import { generateKeyPair } from "../../rehearsal/backlog/key-pair";
import { BuildMachine, type Ending, SECRET } from "../assets/image-build/build-machine";
import { FILES, GitRepository, ZEROS } from "../assets/image-build/git-repository";
import { GitServer } from "../assets/image-build/git-server";

const buildspec = renderBuildspec();
const { phases, ...rest } = parse(buildspec) as {
  phases: Record<string, { commands: string[] }>;
};

describe("renderBuildspec", () => {
  test("leaves a fifth of the 25,600 characters that CodeBuild takes", () => {
    expect(buildspec.length).toBeLessThan(25_600 * 0.8);
  });

  test("runs in bash, and uses the phases whose rules the scripts know", () => {
    expect(rest).toEqual({ version: 0.2, env: { shell: "bash" } });
    expect(Object.keys(phases)).toEqual(["pre_build", "build", "post_build"]);
  });

  test("starts every script without the key in its environment", () => {
    const runs = Object.values(phases)
      .flatMap(({ commands }) => commands)
      .filter((command) => !command.startsWith("cat >") && /\bbash "/.test(command));
    expect(runs).toHaveLength(5);
    for (const command of runs) expect(command).toContain('env -u GIT_SSH_KEY bash "$WORK_DIR/');
  });

  test("relies on nothing that a shell of its own for each command would lose", () => {
    // Exported variables carry over from one command to the next; whether others do is documented nowhere.
    const assigned = Object.values(phases)
      .flatMap(({ commands }) => commands.filter((command) => !command.startsWith("cat >")))
      .flatMap((command) => [...command.matchAll(/\b([A-Z_]+)=/g)].map(([, name]) => name));
    expect(assigned).toEqual(["WORK_DIR"]);
    expect(phases.pre_build?.commands[0]).toContain("export WORK_DIR");
  });

  test("gives the key to the steps that speak to the git server, and to no other", () => {
    const given = Object.values(phases)
      .flatMap(({ commands }) => commands)
      .filter((command) => command.includes('"$GIT_SSH_KEY" |'));
    expect(given.map((command) => command.trim())).toEqual([
      `printf '%s\\n' "$GIT_SSH_KEY" | env -u GIT_SSH_KEY bash "$WORK_DIR/fetch-commit.sh"`,
      `printf '%s\\n' "$GIT_SSH_KEY" | env -u GIT_SSH_KEY bash "$WORK_DIR/publish-artifact.sh"`,
    ]);
  });

  test("is the same text each time", () => {
    expect(renderBuildspec()).toBe(buildspec);
  });
});

describe("the buildspec, run as CodeBuild runs it", () => {
  let machine: BuildMachine;
  let repository: GitRepository;

  beforeEach(() => {
    machine = new BuildMachine();
    repository = new GitRepository(machine.home);
    machine.environment.GIT_REMOTE = repository.url;
  });

  afterEach(() => machine.remove());

  /** A push and its build. */
  function push(
    files: Readonly<Record<string, string>> = FILES,
    ref = "refs/heads/main",
    buildCommands?: readonly string[],
  ): Promise<Ending> {
    const commit = repository.commit("pushed", files);
    repository.push(commit, ref);
    Object.assign(machine.environment, { GIT_REF: ref, GIT_COMMIT: commit, GIT_BEFORE: ZEROS });
    return build(buildCommands);
  }

  /** One shell for all commands; a phase ends at its first failure; post_build follows build, however that ended. */
  function build(buildCommands: readonly string[] = phases.build?.commands ?? []): Promise<Ending> {
    const phase = (commands: readonly string[] = []) =>
      commands.map((command) => `{ ${command.trimEnd()}\n}`).join(" &&\n");
    const program = [
      `${phase(phases.pre_build?.commands)}\npre_build=$?`,
      "[[ $pre_build == 0 ]] || exit 1",
      `${phase(buildCommands)}\nbuild=$?`,
      `${phase(phases.post_build?.commands)}\npost_build=$?`,
      // What a script had set would show here.
      "[[ $- != *e* && $- != *u* ]] || echo leaked",
      'echo "build $build, post_build $post_build"',
    ].join("\n");
    return machine.bash(["-c", program], { GIT_SSH_KEY: machine.key });
  }

  test("brings a push to the live branch all the way to the artifact", async () => {
    const { output } = await push();
    const commit = machine.environment.GIT_COMMIT!;
    expect(output).toMatch(
      new RegExp(
        [
          `^\\[push\\] refs/heads/main at ${commit}`,
          `\\[fetch\\] checked out ${commit}`,
          `\\[image\\] building ${commit.slice(0, 10)} from docker/Dockerfile`,
          `\\[image\\] pushing ${commit.slice(0, 10)}`,
          `\\[image\\] pushed ${commit.slice(0, 10)}: sha256:[0-9a-f]{64}`,
          `\\[render\\] rendered imageDetail.json, taskdef.json and appspec.yaml`,
          `outcome: published ${commit.slice(0, 10)}`,
          "build 0, post_build 0\n$",
        ].join("\n"),
      ),
    );
    expect(JSON.parse(machine.noted("artifact.metadata")).commit).toBe(commit);
  });

  test("builds a pushed commit once, however often it is asked to", async () => {
    await push();
    const { output } = await build();
    expect(output).toContain("was built before");
    expect(output).toContain("outcome: nothing changed");
    expect(output).toContain("build 0, post_build 0\n");
  });

  test("builds another wanted branch, and publishes nothing", async () => {
    const { output } = await push(FILES, "refs/heads/feature/$(touch${IFS}owned)");
    expect(output).toContain("outcome: image only, tag ");
    expect(output).toContain("build 0, post_build 0\n");
    expect(machine.noted(`tags/${machine.environment.GIT_COMMIT!.slice(0, 10)}`)).toMatch(/^sha256:/);
    expect(machine.noted("artifact")).toBe("");
  });

  test("does nothing for a branch that is not wanted", async () => {
    const { output } = await push(FILES, "refs/heads/other");
    expect(output).toBe(
      "outcome: nothing to build (refs/heads/other is none of the branches to build)\nbuild 0, post_build 0\n",
    );
    expect(machine.noted("calls")).toBe("");
  });

  test("stops at a failed fetch", async () => {
    machine.environment.GIT_REMOTE = "file:///nowhere";
    const { status } = await push();
    expect(status).toBe(1);
    expect(machine.noted("calls")).toBe("");
  });

  test.each([
    ["the Dockerfile is missing", { "docker/other": "" }, "setting build.dockerfile"],
    ["the image cannot be built", { ...FILES, "docker/Dockerfile": "RUN false\n" }, "docker build failed"],
    [
      "a placeholder is left over",
      { ...FILES, "codesries_asset/taskdef.json": '"<OTHER>"' },
      "unknown placeholders: <OTHER>",
    ],
  ])("publishes nothing in post_build when %s", async (_, files, message) => {
    const { output } = await push(files);
    expect(output).toContain(message);
    expect(output).toMatch(/\noutcome: failed \(\[\w+\] above says why\)\nbuild 1, post_build 1\n$/);
    expect(machine.noted("calls")).not.toContain("s3api put-object");
  });

  test("publishes nothing in post_build when a step was killed and could not say so", async () => {
    const { output } = await push(FILES, "refs/heads/main", ["(exit 137)"]);
    expect(output).toContain('[publish] error: not run: an earlier step has not left "artifact"');
    expect(machine.noted("artifact")).toBe("");
  });

  test("shows the key to no log and to nothing that it starts", async () => {
    const { output } = await push();
    expect(output).toContain("outcome: published");
    expect(machine.noted("environments")).toContain("GIT_REMOTE=");
    for (const text of [output, machine.noted("environments"), machine.noted("calls")]) {
      expect(text).not.toContain(SECRET);
      expect(text).not.toContain("GIT_SSH_KEY");
    }
  });

  test("has no agent with the key while docker runs", async () => {
    const [hostKey, userKey] = [generateKeyPair(), generateKeyPair()];
    const server = await GitServer.start({ hostKey, userKey });
    machine.key = userKey.private;
    Object.assign(machine.environment, {
      GIT_REMOTE: server.url(repository.path),
      GIT_KNOWN_HOSTS: server.knownHost(hostKey),
    });
    const { output } = await push();
    await server.stop();
    expect(output).toContain("outcome: published");
    expect(machine.noted("agents").trim().split("\n")).toHaveLength(2);
    expect(machine.noted("agents-alive")).toBe("");
    expect(machine.noted("environments")).not.toContain("SSH_AUTH_SOCK");
  });
});
