import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Backlog, startBacklog } from "../../../rehearsal/backlog/backlog";
import { generateKeyPair } from "../../../rehearsal/backlog/key-pair";
import { gitSshCommand } from "../../../rehearsal/backlog/ssh-client";

const exec = promisify(execFile);

describe("a Backlog that is made trouble at", () => {
  let folder: string;
  let backlog: Backlog;

  const git = async (...args: string[]) => {
    const { stdout } = await exec("git", args, {
      cwd: join(folder, "work"),
      env: {
        PATH: process.env.PATH,
        GIT_CONFIG_GLOBAL: "/dev/null",
        GIT_CONFIG_NOSYSTEM: "1",
        GIT_AUTHOR_NAME: "A",
        GIT_AUTHOR_EMAIL: "a@example.com",
        GIT_COMMITTER_NAME: "A",
        GIT_COMMITTER_EMAIL: "a@example.com",
      },
    });
    return stdout.trim();
  };
  const push = async () => {
    await git("commit", "--quiet", "--allow-empty", "--message", "another");
    await git("push", "--quiet", "origin", "HEAD:refs/heads/main");
    return git("rev-parse", "HEAD");
  };
  const tip = async () => (await git("ls-remote", "origin", "refs/heads/main")).slice(0, 40);

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "git-trouble-test-"));
    mkdirSync(join(folder, "work"));
    backlog = await startBacklog({
      folder: join(folder, "backlog"),
      space: "example",
      domain: "backlog.jp",
      projectKey: "PROJ",
      repository: "app",
      sourceAddress: "127.0.0.1",
      wait: async () => {},
    });
    await git("init", "--quiet", "--initial-branch=main");
    await git("config", "core.sshCommand", backlog.developerSshCommand);
    await git("remote", "add", "origin", backlog.remote);
    await push();
  });
  afterAll(async () => {
    await backlog.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test("refuses connections while it is down, and has the same port and key afterwards", async () => {
    await backlog.server.goDown();
    await expect(tip()).rejects.toThrow(/Connection refused/);
    await backlog.server.listen(backlog.hostKey);
    expect(await tip()).toHaveLength(40);
  });

  test("is not trusted under another host key", async () => {
    await backlog.server.listen(generateKeyPair().private);
    await expect(tip()).rejects.toThrow(/IDENTIFICATION HAS CHANGED/);
    await backlog.server.listen(backlog.hostKey);
    expect(await tip()).toHaveLength(40);
  });

  test("shows those who fetch what a replica has, while pushes arrive", async () => {
    const before = await tip();
    const replica = join(folder, "replica");
    cpSync(backlog.gitFolder, replica, { recursive: true });
    backlog.server.troubleFetches({ folder: replica });
    const after = await push();
    expect(await tip()).toBe(before);
    backlog.server.troubleFetches(undefined);
    expect(await tip()).toBe(after);
  });

  test("breaks fetches off in the middle", async () => {
    backlog.server.troubleFetches({ cutAfterBytes: 10 });
    await expect(tip()).rejects.toThrow();
    backlog.server.troubleFetches(undefined);
    expect(await tip()).toHaveLength(40);
  });

  test("keeps webhooks back until they are released", async () => {
    const release = backlog.holdHooks();
    const after = await push();
    expect(backlog.deliveries.some((delivery) => delivery.after === after)).toBe(false);
    release();
    await backlog.settled();
    expect(backlog.deliveries.some((delivery) => delivery.after === after)).toBe(true);
  });

  test("shuts out a key that is removed, until it is registered again", async () => {
    const { private: key, public: publicKey } = generateKeyPair();
    const file = join(folder, "key");
    writeFileSync(file, `${key.trim()}\n`, { mode: 0o600 });
    const ask = () =>
      git(
        "-c",
        `core.sshCommand=${gitSshCommand(backlog.sshFolder, file, join(folder, "backlog", "known_hosts"))}`,
        "ls-remote",
        "origin",
      );
    backlog.registerKey(publicKey);
    expect(await ask()).not.toBe("");
    backlog.server.removeKey(publicKey);
    await expect(ask()).rejects.toThrow(/Permission denied/);
  });
});
