import { execFile } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Backlog, startBacklog } from "../../../rehearsal/backlog/backlog";
import { generateKeyPair } from "../../../rehearsal/backlog/key-pair";

const exec = promisify(execFile);
const ZEROS = "0".repeat(40);

interface Payload {
  before: string;
  after: string;
  ref: string;
  repository: { url: string };
  revisions: {
    id: string;
    message: string;
    timestamp: string;
    added?: string[];
    modified?: string[];
    removed?: string[];
  }[];
}

describe("startBacklog", () => {
  let folder: string;
  let work: string;
  let backlog: Backlog;
  let hook: Server;
  let received: Payload[];

  const git = async (args: string[], env: NodeJS.ProcessEnv = {}) => {
    const { stdout } = await exec("git", args, {
      cwd: work,
      env: {
        PATH: process.env.PATH,
        GIT_CONFIG_GLOBAL: "/dev/null",
        GIT_CONFIG_NOSYSTEM: "1",
        GIT_SSH_COMMAND: backlog.developerSshCommand,
        GIT_AUTHOR_NAME: "A",
        GIT_AUTHOR_EMAIL: "a@example.com",
        GIT_COMMITTER_NAME: "A",
        GIT_COMMITTER_EMAIL: "a@example.com",
        GIT_COMMITTER_DATE: "2020-02-05T17:02:51+09:00",
        ...env,
      },
    });
    return stdout.trim();
  };
  const commit = async (message: string) => {
    await git(["add", "--all"]);
    await git(["commit", "--quiet", "--message", message]);
    return git(["rev-parse", "HEAD"]);
  };
  /** Pushes and gives what the hook received for it. */
  const push = async (...refs: string[]) => {
    received = [];
    await git(["push", "--quiet", "origin", ...refs]);
    await backlog.settled();
    return received;
  };

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "backlog-test-"));
    work = join(folder, "work");
    mkdirSync(work);
    hook = createServer((request, response) => {
      let body = "";
      request.on("data", (chunk) => {
        body += chunk;
      });
      request.on("end", () => {
        received.push(JSON.parse(new URLSearchParams(body).get("payload") ?? "") as Payload);
        response.end();
      });
    });
    await new Promise<void>((resolve) => hook.listen(0, "127.0.0.1", resolve));
    backlog = await startBacklog({
      folder: join(folder, "backlog"),
      space: "example",
      domain: "backlog.jp",
      projectKey: "PROJ",
      repository: "app",
      sourceAddress: "127.54.64.128",
      wait: async () => {},
    });
    backlog.setHookUrl(`http://127.0.0.1:${(hook.address() as AddressInfo).port}/x`);
    await git(["init", "--quiet", "--initial-branch=main"]);
    await git(["remote", "add", "origin", backlog.remote]);
  });
  afterAll(async () => {
    hook.closeAllConnections();
    hook.close();
    await backlog.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test("is reached under Backlog's own name", () => {
    expect(backlog.remote).toBe("ssh://example@example.git.backlog.jp/PROJ/app.git");
    expect(backlog.hostKeyLine).toMatch(/^example\.git\.backlog\.jp ssh-ed25519 \S+$/);
  });

  test("tells the hook of a new branch, a push to it, tags, and its removal", async () => {
    writeFileSync(join(work, "a file é"), "1");
    writeFileSync(join(work, "gone"), "1");
    const first = await commit("first\n\nwith a body");
    const [created] = await push("main");
    expect(created).toMatchObject({ before: ZEROS, after: first, ref: "refs/heads/main" });
    expect(created?.repository.url).toBe("https://example.backlog.jp/git/PROJ/app");
    expect(created?.revisions).toMatchObject([
      {
        id: first,
        message: "first\n\nwith a body",
        added: ["a file é", "gone"],
        timestamp: "2020-02-05T17:02:51+09:00",
      },
    ]);

    writeFileSync(join(work, "a file é"), "2");
    const second = await commit("second");
    rmSync(join(work, "gone"));
    const third = await commit("third");
    const [pushed] = await push("main");
    expect(pushed).toMatchObject({ before: first, after: third });
    expect(pushed?.revisions.map(({ id }) => id)).toEqual([second, third]);
    expect(pushed?.revisions[0]).toMatchObject({ modified: ["a file é"] });
    expect(pushed?.revisions[1]).toMatchObject({ removed: ["gone"] });
    expect(pushed?.revisions[1]).not.toHaveProperty("added");

    await git(["tag", "v1"]);
    expect(await push("v1")).toMatchObject([
      { ref: "refs/tags/v1", before: ZEROS, after: third, revisions: [] },
    ]);
    const both = await push("main:feature/a", "main:feature/b");
    expect(both.map(({ ref }) => ref).sort()).toEqual(["refs/heads/feature/a", "refs/heads/feature/b"]);
    expect(await push(":feature/a")).toMatchObject([{ before: third, after: ZEROS, revisions: [] }]);
    expect(await push("main")).toEqual([]);
    expect(backlog.deliveries.every(({ state }) => state === "accepted")).toBe(true);
  });

  test("serves a shallow fetch by commit id to the unchanged ssh command of a script", async () => {
    const commitId = await git(["rev-parse", "HEAD"]);
    const clone = join(folder, "clone");
    const key = generateKeyPair();
    const keyFile = join(folder, "build_key");
    writeFileSync(keyFile, key.private, { mode: 0o600 });
    const knownHosts = join(folder, "hosts");
    writeFileSync(knownHosts, `${backlog.hostKeyLine}\n`);
    const script = `git init -q ${clone} && cd ${clone} && git fetch -q --depth=1 ${backlog.remote} ${commitId} && git rev-parse FETCH_HEAD`;
    const fetch = () =>
      exec("bash", ["-c", script], {
        env: {
          PATH: `${backlog.sshFolder}:${process.env.PATH}`,
          GIT_SSH_COMMAND: `ssh -i ${keyFile} -o IdentityAgent=none -o BatchMode=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile=${knownHosts}`,
        },
      });
    await expect(fetch()).rejects.toThrow(/Permission denied \(publickey\)/);
    backlog.registerKey(key.public);
    expect((await fetch()).stdout.trim()).toBe(commitId);
    const other = generateKeyPair().public;
    writeFileSync(knownHosts, `example.git.backlog.jp ${other}\n`);
    await expect(fetch()).rejects.toThrow(/REMOTE HOST IDENTIFICATION HAS CHANGED/);
  });

  test("is also there for people without the redirected ssh", async () => {
    expect(await git(["ls-remote", backlog.localRemote, "refs/heads/main"])).toMatch(/refs\/heads\/main/);
  });

  test.each([
    [
      "another repository",
      "ssh://example@example.git.backlog.jp/PROJ/other.git",
      /does not appear to be a git repo/,
    ],
    [
      "a path out of its folder",
      "ssh://example@example.git.backlog.jp/../../PROJ/app.git",
      /does not appear/,
    ],
    ["another user", "ssh://somebody@example.git.backlog.jp/PROJ/app.git", /Permission denied/],
  ])("refuses %s", async (_what, remote, message) => {
    await expect(git(["ls-remote", remote])).rejects.toThrow(message);
  });

  test("offers no shell", async () => {
    const [ssh, ...args] = backlog.developerSshCommand.split(" ");
    const touched = join(folder, "touched");
    await expect(exec(ssh!, [...args, "example@example.git.backlog.jp", `touch ${touched}`])).rejects.toThrow(
      /no shell/,
    );
    expect(existsSync(touched)).toBe(false);
  });
});
