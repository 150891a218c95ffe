import { readFileSync } from "node:fs";
import { unzipSync } from "fflate";
import { BuildMachine } from "./build-machine";
import { GitRepository } from "./git-repository";

const DIGEST = `sha256:${"ab".repeat(32)}`;
const IMAGE = `127.0.0.1:5000/team/web@${DIGEST}`;
const ARTIFACT = {
  "imageDetail.json": `{"ImageURI":"${IMAGE}"}\n`,
  "taskdef.json": "{}\n",
  "appspec.yaml": "version: 0.0\n",
};

describe("publish-artifact.sh", () => {
  let machine: BuildMachine;
  let repository: GitRepository;
  let before: string;
  let commit: string;
  let short: string;

  beforeEach(() => {
    machine = new BuildMachine();
    repository = new GitRepository(machine.home);
    before = repository.commit("before");
    commit = repository.commit("pushed");
    short = commit.slice(0, 10);
    repository.push(commit);
    Object.assign(machine.environment, {
      GIT_REMOTE: repository.url,
      GIT_COMMIT: commit,
      GIT_BEFORE: before,
    });
    machine.arrangeImage(short, commit);
    machine.leave({ image: `${IMAGE}\n` });
    machine.leave(
      Object.fromEntries(Object.entries(ARTIFACT).map(([name, text]) => [`artifact/${name}`, text])),
    );
  });

  afterEach(() => machine.remove());

  async function publish() {
    await machine.bash(["-c", "git init --quiet --bare work/repository"]);
    return machine.run("publish-artifact.sh");
  }

  function metadata() {
    return JSON.parse(machine.noted("artifact.metadata"));
  }

  function uploads(): number {
    return machine.noted("calls").split("aws s3api put-object").length - 1;
  }

  /** Lets another build publish just before this one's next upload. */
  function meanwhile(...commands: string[]) {
    machine.arrange(
      "before/put-object",
      [
        'echo other >"$STAND_INS/artifact"',
        `echo '"other"' >"$STAND_INS/artifact.etag"`,
        `echo '{"commit":"other"}' >"$STAND_INS/artifact.metadata"`,
        ...commands,
      ].join("\n"),
    );
  }

  test("publishes the first artifact, which says what it is made of", async () => {
    const ending = await publish();
    expect(ending).toEqual({ status: 0, output: `outcome: published ${short}\n` });
    const files = unzipSync(readFileSync(machine.at("artifact")));
    expect(Object.keys(files).sort()).toEqual(Object.keys(ARTIFACT).sort());
    expect(
      Object.values(files)
        .map((text) => Buffer.from(text).toString())
        .sort(),
    ).toEqual(Object.values(ARTIFACT).sort());
    expect(metadata()).toEqual({
      image: IMAGE,
      commit,
      "content-sha256": expect.stringMatching(/^[0-9a-f]{64}$/),
    });
  });

  test("replaces the artifact that was there, on condition that it still is", async () => {
    machine.arrangeArtifact({ image: "older", commit: before, "content-sha256": "older" });
    expect((await publish()).output).toBe(`outcome: published ${short}\n`);
    expect(metadata().commit).toBe(commit);
    expect(machine.noted("calls")).toContain('--if-match "0123456789abcdef0123456789abcdef"');
  });

  test("packs the same files into the same bytes at any time and place", async () => {
    await publish();
    const zip = readFileSync(machine.at("artifact"));
    await machine.bash(["-c", 'rm -r work/outcome work/artifact.git "$STAND_INS"/artifact*']);
    Object.assign(machine.environment, { TZ: "Asia/Tokyo", GIT_AUTHOR_DATE: "2020-01-01T00:00:00Z" });
    await machine.bash(["-c", "touch -d 2001-01-01 work/artifact/*"]);
    await publish();
    expect(readFileSync(machine.at("artifact")).equals(zip)).toBe(true);
  });

  test("gives the image a tag that keeps it", async () => {
    await publish();
    expect(machine.noted(`tags/live-${short}`).trim()).toBe(DIGEST);
  });

  test("is content with such a tag that is there already", async () => {
    machine.arrange(`tags/live-${short}`, `${DIGEST}\n`);
    expect((await publish()).output).toBe(`outcome: published ${short}\n`);
  });

  test("does not publish an image that cannot be kept", async () => {
    machine.arrange(`tags/live-${short}`, `sha256:${"cd".repeat(32)}\n`);
    const { status, output } = await publish();
    expect(status).toBe(1);
    expect(output).toContain(`error: the image cannot be tagged live-${short}: `);
    expect(uploads()).toBe(0);
  });

  test("uploads nothing when nothing changed", async () => {
    await publish();
    await machine.bash(["-c", "rm -r work/outcome work/artifact.git"]);
    const { status, output } = await publish();
    expect(status).toBe(0);
    expect(output).toBe(`outcome: nothing changed, ${short} was published before\n`);
    expect(uploads()).toBe(1);
  });

  test("ends as superseded when the branch has moved on", async () => {
    const newer = repository.commit("newer");
    repository.push(newer);
    const { status, output } = await publish();
    expect(status).toBe(0);
    expect(output).toBe(
      `outcome: superseded by ${newer.slice(0, 10)} (refs/heads/main has moved on from ${short})\n`,
    );
    expect(uploads()).toBe(0);
  });

  test("ends as superseded when the branch was deleted", async () => {
    machine.environment.GIT_REF = "refs/heads/gone";
    expect((await publish()).output).toBe("outcome: superseded (refs/heads/gone was deleted)\n");
    expect(uploads()).toBe(0);
  });

  test("waits while the branch still shows what was there before the push", async () => {
    repository.push(before);
    machine.arrange("before/sleep", repository.pushCommand(commit));
    expect((await publish()).output).toBe(`outcome: published ${short}\n`);
  });

  test("ends as superseded when the branch was taken back for good", async () => {
    repository.push(before);
    expect((await publish()).output).toContain(`outcome: superseded by ${before.slice(0, 10)}`);
    expect(uploads()).toBe(0);
  });

  test.each([
    ["the first artifact", () => undefined],
    ["a later one", (m: BuildMachine) => m.arrangeArtifact({ commit: "older" })],
  ])("loses the race for %s to a newer push", async (_, arrange) => {
    arrange(machine);
    const newer = repository.commit("newer");
    meanwhile(repository.pushCommand(newer));
    const { status, output } = await publish();
    expect(status).toBe(0);
    expect(output).toContain("[publish] another build published meanwhile, looking again\n");
    expect(output).toContain(`outcome: superseded by ${newer.slice(0, 10)}`);
    expect(metadata()).toEqual({ commit: "other" });
  });

  test.each([
    ["the first artifact", () => undefined],
    ["a later one", (m: BuildMachine) => m.arrangeArtifact({ commit: "older" })],
  ])("wins the race for %s against an older push", async (_, arrange) => {
    arrange(machine);
    meanwhile();
    const { status, output } = await publish();
    expect(status).toBe(0);
    expect(output).toContain("another build published meanwhile");
    expect(output).toContain(`outcome: published ${short}\n`);
    expect(metadata().commit).toBe(commit);
    expect(uploads()).toBe(2);
  });

  test("wins when the artifact is deleted meanwhile", async () => {
    machine.arrangeArtifact({ commit: "older" });
    machine.arrange("before/put-object", 'rm "$STAND_INS/artifact"');
    expect((await publish()).output).toContain(`outcome: published ${short}\n`);
  });

  test("gives up when it loses every time", async () => {
    machine.arrange("fail/put-object", "ConditionalRequestConflict");
    const { status, output } = await publish();
    expect(status).toBe(1);
    expect(output).toContain("error: the artifact changed 10 times while this build tried to publish");
    expect(uploads()).toBe(10);
  });

  test.each([
    ["the bucket cannot be read", "head-object", "403", "s3:ListBucket"],
    ["the bucket cannot be written", "put-object", "AccessDenied", "the artifact cannot be written"],
    [
      "the image cannot be read",
      "batch-get-image",
      "AccessDeniedException",
      "error: the manifest of sha256:",
    ],
  ])("fails when %s", async (_, operation, code, message) => {
    machine.arrange(`fail/${operation}`, code);
    const { status, output } = await publish();
    expect(status).toBe(1);
    expect(output).toContain(message);
    expect(output).toContain("outcome: failed ([publish] above says why)\n");
    expect(machine.noted("artifact")).toBe("");
  });

  test("fails when the git server cannot be read", async () => {
    machine.environment.GIT_REMOTE = "file:///nowhere";
    const { status, output } = await publish();
    expect(status).toBe(1);
    expect(output).toContain("error: file:///nowhere cannot be read, 8 attempts: ");
    expect(uploads()).toBe(0);
  });
});
