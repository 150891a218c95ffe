import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compare, type Snapshot, snapshot } from "../../../rehearsal/machine/leftovers";
import { RUN_MARK } from "../../../rehearsal/machine/workspace";

const run = "01234567-89ab-cdef-0123-456789abcdef";

describe("snapshot and compare", () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "leftovers-test-"));
  });
  afterEach(() => {
    rmSync(root, { recursive: true, force: true });
  });

  test("finds nothing of ours where nothing happened", async () => {
    const before = await snapshot({ root });
    expect(compare(before, await snapshot({ root, run }), { root, run }).left).toEqual([]);
  });

  test("finds a process of the run, a port that still listens, and a file in the project", async () => {
    const before = await snapshot({ root });
    const child = spawn("sleep", ["300"], { stdio: "ignore", env: { ...process.env, [RUN_MARK]: run } });
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    writeFileSync(join(root, "forgotten"), "");
    const { left } = compare(before, await snapshot({ root, run }), { root, run });
    child.kill("SIGKILL");
    server.close();
    await once(child, "exit");
    expect(left).toEqual(
      expect.arrayContaining([
        `file: ${join(root, "forgotten")}`,
        expect.stringMatching(/^listening socket: port \d+ of this process$/),
        `process: ${child.pid} sleep 300`,
      ]),
    );
    expect(left).toHaveLength(3);
  });
});

describe("compare", () => {
  const nothing: Snapshot = {
    "network interface": new Set(),
    "firewall rule": new Set(),
    mount: new Set(),
    "kernel setting": new Set(["ip_forward = 0"]),
    "control group": new Set(),
    file: new Set(),
    "listening socket": new Set(),
    process: new Set(),
    container: new Set(),
  };
  const left = (kind: keyof Snapshot, line: string, others: Partial<Snapshot> = {}) =>
    compare(nothing, { ...nothing, ...others, [kind]: new Set([line]) }, { root: "/project", run });

  test.each([
    ["network interface", "rh-01234567"],
    [
      "firewall rule",
      "iptables nat -A POSTROUTING -s 172.31.240.0/20 -m comment --comment rh-01234567 -j MASQUERADE",
    ],
    ["control group", "/sys/fs/cgroup/memory/rehearsal-01234567"],
    ["mount", "/project/.rehearsal/run/engine/data"],
    ["file", "/tmp/rehearsal-01234567"],
    ["container", `container name image rehearsal=${run}`],
    ["container", "image 127.0.0.1:40000/app:abc"],
    ["kernel setting", "ip_forward = 1"],
  ] as const)("takes a %s that is ours for left behind: %s", (kind, line) => {
    expect(left(kind, line).left).toEqual([`${kind}: ${line}`]);
  });

  test.each([
    ["network interface", "docker0"],
    ["file", "/tmp/something"],
    ["control group", "/sys/fs/cgroup/memory/rehearsal-fedcba98"],
  ] as const)("does not blame the run for another's %s: %s", (kind, line) => {
    expect(left(kind, line)).toEqual({ left: [], elsewhere: [`${kind}: ${line}`] });
  });

  test("does not blame the run for forwarding that another engine has switched on", () => {
    const others = { "network interface": new Set(["docker0"]) };
    expect(left("kernel setting", "ip_forward = 1", others).left).toEqual([]);
  });
});
