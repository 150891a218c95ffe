import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freeRange } from "./addresses";
import { lastLines, run, runOrFail } from "./command";
import { identify, isAlive } from "./processes";
import { FORWARDING } from "./traces";
import type { Workspace } from "./workspace";

const LAUNCHER = join(__dirname, "own-engine.sh");

/** A path of a Unix socket may have 107 bytes, and the engine adds names of its own below its folder. */
const LONGEST_FOLDER = 50;

export interface OwnEngine {
  /** `unix://` URL of its socket. */
  readonly host: string;
  /** Address range of its networks. */
  readonly range: string;
}

/**
 * Starts a container engine with its own data, socket, bridge and address range, beside any other engine.
 * It is told to leave the firewall alone; the three rules that let containers reach the internet are ours,
 * so that they can be removed one by one. Killing its process ends everything in it.
 * @throws Error with the log's last lines when it does not come up
 */
export async function startOwnEngine(
  workspace: Workspace,
  docker: string,
  say: (line: string) => void,
): Promise<OwnEngine> {
  const id = workspace.id.slice(0, 8);
  const folder = engineFolder(workspace, id);
  const group = `rehearsal-${id}`;
  const bridge = `rh-${id}`;
  const range = await freeRange();
  allowForwarding(workspace);
  await makeBridge(workspace, bridge, range);
  await letContainersOut(workspace, bridge, range, say);

  workspace.leave({ kind: "control group", name: group });
  const madeByContainerd = "/opt/containerd";
  if (!existsSync(madeByContainerd)) {
    workspace.leave({ kind: "shared folder", path: madeByContainerd });
    mkdirSync(madeByContainerd);
  }
  const host = `unix://${folder}/docker.sock`;
  const log = workspace.log("container-engine");
  const output = openSync(log, "a");
  const child = spawn(
    "unshare",
    [
      ...["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"],
      ...["bash", LAUNCHER],
      ...["--data-root", `${folder}/data`, "--exec-root", `${folder}/exec`, "--pidfile", `${folder}/pid`],
      ...["--host", host, "--bridge", bridge, "--default-address-pool", `base=${halves(range)[1]},size=26`],
      ...["--iptables=false", "--ip6tables=false", "--ip-masq=false", "--ip-forward=false"],
      ...["--exec-opt", "native.cgroupdriver=cgroupfs", "--cgroup-parent", `/${group}`],
    ],
    // A group of its own: Ctrl-C is for the rehearsal, which then ends the engine when its turn has come.
    { detached: true, stdio: ["ignore", output, output], cwd: folder },
  );
  closeSync(output);
  const identity = child.pid === undefined ? undefined : identify(child.pid);
  if (!identity) {
    throw new Error("could not start the container engine: unshare (util-linux) is missing");
  }
  // Nothing in it is kept, so there is no point in a slow shutdown.
  workspace.leave({ kind: "process", ...identity, atOnce: true });
  for (let tries = 0; tries < 150; tries += 1) {
    if ((await run(docker, ["--host", host, "version"], { timeoutInSeconds: 5 })).status === 0) {
      return { host, range };
    }
    if (!isAlive(identity)) {
      break;
    }
    await sleep(100);
  }
  throw new Error(
    `the container engine did not come up (log: ${log})\n${lastLines({ stdout: "", stderr: readFileSync(log, "utf8") })}`,
  );
}

function engineFolder(workspace: Workspace, id: string): string {
  const inside = join(workspace.runFolder, "engine");
  if (inside.length <= LONGEST_FOLDER) {
    workspace.leave({ kind: "path", path: inside });
    mkdirSync(inside, { recursive: true, mode: 0o700 });
    return inside;
  }
  const short = join(tmpdir(), `rehearsal-${id}`);
  workspace.leave({ kind: "path", path: short });
  mkdirSync(short, { mode: 0o700 });
  return short;
}

/** Lower and upper half of a /20. */
function halves(range: string): [string, string] {
  const [first, second, third] = range.split(".");
  return [`${first}.${second}.${third}.0/21`, `${first}.${second}.${Number(third) + 8}.0/21`];
}

function allowForwarding(workspace: Workspace): void {
  if (readFileSync(FORWARDING, "utf8").trim() === "0") {
    workspace.leave({ kind: "forwarding" });
    writeFileSync(FORWARDING, "1");
  }
}

async function makeBridge(workspace: Workspace, name: string, range: string): Promise<void> {
  // Also removes the bridges of networks that are made in the engine later.
  workspace.leave({ kind: "bridges", range });
  const what = "making a network bridge";
  await runOrFail(what, "ip", ["link", "add", name, "type", "bridge"]);
  const [first, second, third] = range.split(".");
  await runOrFail(what, "ip", ["address", "add", `${first}.${second}.${third}.1/24`, "dev", name]);
  await runOrFail(what, "ip", ["link", "set", name, "up"]);
}

/** Builds may download packages. Without a firewall program they cannot, which only matters to those that do. */
async function letContainersOut(
  workspace: Workspace,
  bridge: string,
  range: string,
  say: (line: string) => void,
): Promise<void> {
  const mark = ["-m", "comment", "--comment", bridge];
  const rules: [string, string, string[]][] = [
    ["nat", "POSTROUTING", ["-s", range, "!", "-d", range, ...mark, "-j", "MASQUERADE"]],
    ["filter", "FORWARD", ["-s", range, ...mark, "-j", "ACCEPT"]],
    [
      "filter",
      "FORWARD",
      ["-d", range, "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", ...mark, "-j", "ACCEPT"],
    ],
  ];
  for (const [table, chain, rule] of rules) {
    workspace.leave({ kind: "firewall rule", table, chain, rule });
    const result = await run("iptables", ["--wait", "10", "-t", table, "-I", chain, ...rule]);
    if (result.status !== 0) {
      say(`Containers will not reach the internet: ${lastLines(result, 1)}`);
      return;
    }
  }
}
