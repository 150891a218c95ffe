import { BuildMachine } from "./build-machine";
import { FILES, GitRepository, ZEROS } from "./git-repository";

describe("fetch-commit.sh", () => {
  let machine: BuildMachine;
  let repository: GitRepository;
  let first: string;

  beforeEach(() => {
    machine = new BuildMachine();
    repository = new GitRepository(machine.home);
    first = repository.commit("first");
    repository.push(first);
    Object.assign(machine.environment, { GIT_REMOTE: repository.url, GIT_BEFORE: ZEROS });
    machine.leave({ wanted: "" });
  });

  afterEach(() => machine.remove());

  function fetch(commit: string, environment: Record<string, string> = {}) {
    Object.assign(machine.environment, { GIT_COMMIT: commit }, environment);
    return machine.run("fetch-commit.sh");
  }

  test("checks out the files of the pushed commit and nothing else", async () => {
    const ending = await fetch(first);
    expect(ending).toEqual({ status: 0, output: `[fetch] checked out ${first}\n` });
    expect(machine.checkedOut()).toEqual(["codesries_asset", "docker", "message.txt"]);
    expect(machine.read("source/docker/Dockerfile")).toBe(FILES["docker/Dockerfile"]);
  });

  test("takes the pushed commit, not what the branch shows by now", async () => {
    repository.push(repository.commit("second"));
    await fetch(first);
    expect(machine.read("source/message.txt")).toBe("first");
  });

  test("fetches one commit, not the history", async () => {
    const second = repository.commit("second");
    repository.push(second);
    await fetch(second);
    expect(machine.read("repository/shallow").trim()).toBe(second);
  });

  test("waits for a commit that cannot be seen yet, longer each time", async () => {
    const second = repository.commit("second");
    machine.arrange(
      "before/sleep",
      `printf '%s' "${repository.pushCommand(second).trim()}" >"$STAND_INS/before/sleep"`,
    );
    const { status, output } = await fetch(second, { GIT_BEFORE: first });
    expect(output).toContain("[fetch] attempt 1: the commit is not there yet\n");
    expect(output).toContain(`checked out ${second}`);
    expect(status).toBe(0);
    expect(machine.noted("sleeps")).toBe("1\n2\n");
  });

  test("waits for a branch that cannot be seen yet", async () => {
    const second = repository.commit("second");
    machine.arrange("before/sleep", repository.pushCommand(second, "refs/heads/feature/new"));
    const { output } = await fetch(second, { GIT_REF: "refs/heads/feature/new" });
    expect(output).toContain(`checked out ${second}`);
  });

  test("gives up after about a minute, and fails when the branch still shows what was there before", async () => {
    const { status, output } = await fetch(repository.commit("never pushed"), { GIT_BEFORE: first });
    expect(status).toBe(1);
    expect(output).toContain("error: refs/heads/main does not show commit");
    expect(output).toContain("outcome: failed ([fetch] above says why)");
    const pauses = machine.noted("sleeps").trim().split("\n").map(Number);
    expect(pauses.reduce((sum, pause) => sum + pause)).toBe(63);
  });

  test("takes the number of attempts and the unit of the pauses from the environment", async () => {
    const { output } = await fetch(repository.commit("never pushed"), {
      GIT_BEFORE: first,
      FETCH_ATTEMPTS: "3",
      FETCH_PAUSE_SECONDS: "0",
    });
    expect(output).toContain("3 attempts");
    expect(machine.noted("sleeps")).toBe("0\n0\n");
  });

  test("ends well as superseded when the branch was moved and the commit is gone", async () => {
    const lost = repository.commit("lost");
    repository.push(lost);
    repository.reset(first);
    const second = repository.commit("second");
    repository.push(second);
    repository.prune();
    const { status, output } = await fetch(lost, { GIT_BEFORE: first });
    expect(status).toBe(0);
    expect(output).toMatch(new RegExp(`outcome: superseded by ${second.slice(0, 10)} .*\n$`));
    expect(machine.has("source")).toBe(false);
  });

  test("fails when there is no such repository, and repeats what git said", async () => {
    const { status, output } = await fetch(first, { GIT_REMOTE: "file:///nowhere", FETCH_ATTEMPTS: "2" });
    expect(status).toBe(1);
    expect(output).toContain(
      "error: file:///nowhere cannot be read, 2 attempts: fatal: '/nowhere' does not appear",
    );
  });

  test.each([
    "refs/heads/feature/$(touch${IFS}owned)`touch${IFS}owned`",
    "refs/heads/feature/'\";touch${IFS}owned;'\"",
    "refs/heads/feature/日本語",
    "refs/heads/feature/--upload-pack=touch",
  ])("takes the name %s for a name and nothing else", async (ref) => {
    repository.push(first, ref);
    const second = repository.commit("second");
    // Not there at first, so that the branch is looked at too.
    machine.arrange("before/sleep", repository.pushCommand(second, "refs/heads/feature/other"));
    const { status } = await fetch(second, { GIT_REF: ref, GIT_BEFORE: ZEROS });
    expect(status).toBe(0);
    expect(machine.has("../owned")).toBe(false);
    expect(machine.has("owned")).toBe(false);
  });

  test("does not take a ref for the branch because it ends in the same name", async () => {
    const second = repository.commit("second");
    repository.reset(first);
    repository.push(repository.commit("third"), "refs/heads/x/refs/heads/feature/new");
    const { status, output } = await fetch(second, {
      GIT_REF: "refs/heads/feature/new",
      FETCH_ATTEMPTS: "1",
    });
    expect(output).toContain("does not show commit");
    expect(status).toBe(1);
  });

  test("runs no hook of whoever owns the machine", async () => {
    machine.leave({ "../.config/git/config": `[core]\n\thooksPath = ${machine.home}/hooks\n` });
    machine.leave({ "../hooks/post-checkout": "#!/bin/sh\ntouch owned\n" });
    await machine.bash(["-c", `chmod +x '${machine.home}/hooks/post-checkout'`]);
    await fetch(first);
    expect(machine.has("source")).toBe(true);
    expect(machine.has("../owned")).toBe(false);
    expect(machine.has("source/owned")).toBe(false);
  });

  test("says that submodules and LFS objects stay out", async () => {
    const commit = repository.commit("with both", {
      ".gitmodules": '[submodule "lib"]\n\tpath = lib\n\turl = ../lib.git\n',
      ".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n",
    });
    repository.push(commit);
    const { output } = await fetch(commit);
    expect(output).toContain("warning: submodules are not fetched");
    expect(output).toContain("warning: LFS objects are not fetched");
  });

  test("does nothing when the step before it has not ended well", async () => {
    const bare = new BuildMachine();
    Object.assign(bare.environment, machine.environment, { GIT_COMMIT: first });
    const { status, output } = await bare.run("fetch-commit.sh");
    expect(status).toBe(1);
    expect(output).toContain('error: not run: an earlier step has not left "wanted"');
    bare.remove();
  });
});
