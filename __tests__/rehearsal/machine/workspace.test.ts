import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import {
  identify,
  isAlive,
  markedProcesses,
  type ProcessIdentity,
} from "../../../rehearsal/machine/processes";
import { undo } from "../../../rehearsal/machine/traces";
import { RUN_MARK, Workspace } from "../../../rehearsal/machine/workspace";

const PROJECT = resolve(__dirname, "../../..");

/** Starts a process that opens the workspace of `root`, runs `body` with it as `w`, and lives until it is ended. */
function startOwner(root: string, body: string): ChildProcess {
  const module = JSON.stringify(join(PROJECT, "rehearsal/machine/workspace.ts"));
  const script = `(async () => {
    const { spawn } = require("node:child_process");
    const { Workspace } = require(${module});
    const w = await Workspace.open(${JSON.stringify(root)});
    ${body}
    setInterval(() => {}, 1000);
  })().catch((error) => { console.error(error.message); process.exit(9); })`;
  return spawn(process.execPath, ["--import", "tsx", "-e", script], {
    cwd: PROJECT,
    stdio: ["ignore", "pipe", "pipe"],
  });
}

async function firstLine(child: ChildProcess): Promise<string> {
  let text = "";
  child.stderr?.on("data", (chunk) => {
    text += chunk;
  });
  const [chunk] = (await Promise.race([
    once(child.stdout!, "data"),
    once(child, "exit").then(() => {
      throw new Error(`ended early: ${text}`);
    }),
  ])) as [Buffer];
  return chunk.toString().trim();
}

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; tries < 250; tries += 1) {
    if (condition()) return;
    await new Promise((done) => setTimeout(done, 20));
  }
  throw new Error(`not within 5 s: ${condition}`);
}

describe("Workspace", () => {
  let root: string;
  const said: string[] = [];
  const open = () => Workspace.open(root, { say: (line) => said.push(line) });

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "workspace-test-"));
    said.length = 0;
  });
  afterEach(() => {
    rmSync(root, { recursive: true, force: true });
  });

  test("undoes in reverse order, each step whatever became of the others, and once only", async () => {
    const workspace = await open();
    const done: string[] = [];
    workspace.onCleanUp("first", () => {
      done.push("first");
    });
    workspace.onCleanUp("broken", () => {
      throw new Error("no luck");
    });
    workspace.onCleanUp("last", async () => {
      done.push("last");
    });
    expect(await workspace.close()).toEqual(["broken: no luck"]);
    expect(await workspace.close()).toEqual(["broken: no luck"]);
    expect(done).toEqual(["last", "first"]);
    expect(said.join("\n")).toContain("broken: no luck");
  });

  test("keeps the cache and the logs, and nothing else of the run", async () => {
    const workspace = await open();
    writeFileSync(join(workspace.runSubfolder("things"), "file"), "");
    writeFileSync(join(workspace.cacheFolder, "kept"), "");
    writeFileSync(workspace.log("program"), "");
    expect(await workspace.close()).toEqual([]);
    expect(readdirSync(join(root, ".rehearsal")).sort()).toEqual(["cache", "run"]);
    expect(readdirSync(workspace.runFolder)).toEqual(["logs"]);
    expect(existsSync(join(workspace.cacheFolder, "kept"))).toBe(true);
  });

  test("writes a trace to the disk before it is made", async () => {
    const workspace = await open();
    const path = join(workspace.runFolder, "soon");
    workspace.leave({ kind: "path", path });
    expect(readFileSync(join(workspace.runFolder, "journal.jsonl"), "utf8")).toContain(path);
    await workspace.close();
    expect(() => workspace.leave({ kind: "path", path })).toThrow(/is ending/);
  });

  test("ends all processes of the run, also those that a child has started and let go", async () => {
    const workspace = await open();
    spawn("bash", ["-c", "setsid sleep 300 & disown; exit 0"], { stdio: "ignore", env: process.env });
    const mark = `${RUN_MARK}=${workspace.id}`;
    await until(() => markedProcesses(mark).length === 1);
    expect(await workspace.close()).toEqual([]);
    expect(markedProcesses(mark)).toEqual([]);
    expect(process.env[RUN_MARK]).toBeUndefined();
  });

  test("is refused while another run is alive, and says how to stop it", async () => {
    const owner = startOwner(root, "console.log('ready')");
    await firstLine(owner);
    await expect(open()).rejects.toThrow(
      `a rehearsal is running (pid ${owner.pid}, folder ${join(root, ".rehearsal")}): stop it with "kill ${owner.pid}"`,
    );
    owner.kill("SIGKILL");
    await once(owner, "exit");
  });

  test("clears what a run that was killed has left", async () => {
    const owner = startOwner(
      root,
      `const child = spawn("sleep", ["300"], { detached: true, stdio: "ignore" });
       w.leave({ kind: "path", path: w.runFolder + "/made" });
       w.runSubfolder("made/deep");
       console.log(child.pid);`,
    );
    const sleeper = identify(Number(await firstLine(owner))) as ProcessIdentity;
    owner.kill("SIGKILL");
    await once(owner, "exit");
    expect(isAlive(sleeper)).toBe(true);
    const workspace = await open();
    expect(isAlive(sleeper)).toBe(false);
    expect(existsSync(join(workspace.runFolder, "made"))).toBe(false);
    expect(said).toContain("The last rehearsal was killed; clearing what it left");
    await workspace.close();
  });

  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const)("cleans up on %s and ends with status %i", async (signal, status) => {
    const owner = startOwner(
      root,
      `spawn("sleep", ["300"], { stdio: "ignore" });
       w.onCleanUp("file", () => require("node:fs").writeFileSync(${JSON.stringify(join(root, "undone"))}, ""));
       console.log(w.id);`,
    );
    const id = await firstLine(owner);
    await until(() => markedProcesses(`${RUN_MARK}=${id}`).length === 1);
    owner.kill(signal);
    expect(await once(owner, "exit")).toEqual([status, null]);
    expect(existsSync(join(root, "undone"))).toBe(true);
    expect(markedProcesses(`${RUN_MARK}=${id}`)).toEqual([]);
  });

  test("cleans up after a crash", async () => {
    const owner = startOwner(
      root,
      `w.onCleanUp("file", () => require("node:fs").writeFileSync(${JSON.stringify(join(root, "undone"))}, ""));
       console.log("ready"); Promise.reject(new Error("oops"));`,
    );
    await firstLine(owner);
    expect(await once(owner, "exit")).toEqual([1, null]);
    expect(existsSync(join(root, "undone"))).toBe(true);
  });

  test("tries again at the next start what could not be undone", async () => {
    const workspace = await open();
    // Nothing outside a rehearsal's folders may be removed, so this trace cannot be undone.
    workspace.leave({ kind: "path", path: "/nowhere/file" });
    expect(await workspace.close()).toEqual([expect.stringContaining("will not remove /nowhere/file")]);
    const again = await open();
    expect(said.join("\n")).toContain("could not clear /nowhere/file");
    expect(readFileSync(join(again.runFolder, "journal.jsonl"), "utf8")).toContain("/nowhere/file");
    await again.close();
  });
});

describe("undo", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "undo-test-"));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  test("never kills a process that only has the pid of an old one", async () => {
    const child = spawn("sleep", ["300"], { stdio: "ignore" });
    await undo({ kind: "process", pid: child.pid!, startTime: "1" });
    expect(identify(child.pid!)).toBeDefined();
    child.kill("SIGKILL");
    await once(child, "exit");
  });

  test("kills a process that does not listen to SIGTERM", async () => {
    const child = spawn("bash", ["-c", 'trap "" TERM; echo ready; while :; do sleep 0.1; done']);
    await once(child.stdout, "data");
    await undo({ kind: "process", ...identify(child.pid!)!, atOnce: true });
    expect(identify(child.pid!)).toBeUndefined();
  });

  test.each(["/etc", "/tmp/other", "/tmp/.rehearsal/run/../../x", ".rehearsal/run/a", "/rehearsals/a"])(
    "does not remove %s",
    async (path) => {
      await expect(undo({ kind: "path", path })).rejects.toThrow(/will not remove/);
    },
  );

  test("removes a file in somebody else's folder only while its content is ours", async () => {
    const path = join(folder, "policy");
    writeFileSync(path, "theirs");
    await undo({ kind: "foreign file", path, content: "ours" });
    expect(existsSync(path)).toBe(true);
    await undo({ kind: "foreign file", path, content: "theirs" });
    expect(existsSync(path)).toBe(false);
  });

  test("removes a shared folder only when it is empty", async () => {
    const path = join(folder, "shared");
    mkdirSync(path);
    writeFileSync(join(path, "theirs"), "");
    await undo({ kind: "shared folder", path });
    expect(existsSync(path)).toBe(true);
    rmSync(join(path, "theirs"));
    await undo({ kind: "shared folder", path });
    await undo({ kind: "shared folder", path });
    expect(existsSync(path)).toBe(false);
  });
});
