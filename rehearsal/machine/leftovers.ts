import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { findExecutables, run } from "./command";
import type { Engine } from "./container-engine";
import { commandLine, markedProcesses, processesWhere } from "./processes";
import { FORWARDING, mountPoints } from "./traces";
import { RUN_MARK } from "./workspace";

/** What a rehearsal could leave on a machine; each set holds one line per thing, readable and comparable. */
export interface Snapshot {
  readonly "network interface": ReadonlySet<string>;
  readonly "firewall rule": ReadonlySet<string>;
  readonly mount: ReadonlySet<string>;
  readonly "kernel setting": ReadonlySet<string>;
  readonly "control group": ReadonlySet<string>;
  readonly file: ReadonlySet<string>;
  readonly "listening socket": ReadonlySet<string>;
  readonly process: ReadonlySet<string>;
  readonly container: ReadonlySet<string>;
}

export interface SnapshotOptions {
  /** The project's folder. */
  readonly root: string;
  /** Id of the run, whose processes are looked for; before the run starts there is none. */
  readonly run?: string;
  /** An engine that is not the rehearsal's own: its containers, networks and images are listed. */
  readonly engine?: Pick<Engine, "docker" | "host">;
}

/** What is there that was not before, or is different. */
export interface Leftovers {
  /** Certainly the rehearsal's: a failure. */
  readonly left: readonly string[];
  /** Changed at the same time, by anybody on this machine. */
  readonly elsewhere: readonly string[];
}

/** Takes down what there is now. */
export async function snapshot(options: SnapshotOptions): Promise<Snapshot> {
  return {
    "network interface": new Set(readdirSync("/sys/class/net")),
    "firewall rule": await firewallRules(),
    mount: new Set(mountPoints()),
    "kernel setting": new Set([`${FORWARDING} = ${readFileSync(FORWARDING, "utf8").trim()}`]),
    "control group": new Set(controlGroups()),
    file: new Set([...listedFiles(options.root), ...personalFiles()]),
    "listening socket": new Set(ownListeners()),
    process: new Set(rehearsalProcesses(options)),
    container: options.engine ? await engineContents(options.engine) : new Set(),
  };
}

/** Kinds that are about this rehearsal's own processes only. */
const ALWAYS_OURS: ReadonlySet<keyof Snapshot> = new Set(["listening socket", "process"]);

/** Compares the machine after a run with the machine before it. */
export function compare(
  before: Snapshot,
  after: Snapshot,
  { root, run: id }: { readonly root: string; readonly run: string },
): Leftovers {
  const left: string[] = [];
  const elsewhere: string[] = [];
  // Everything that a run makes outside its folder is named after it.
  const short = id.slice(0, 8);
  const marks = [id, `rehearsal-${short}`, `rh-${short}`, `${root}/`, "image 127.0.0.1:"];
  // Forwarding is also switched on by any other engine, which then has a new interface.
  const otherEngine = difference(before["network interface"], after["network interface"]).length > 0;
  for (const kind of Object.keys(after) as (keyof Snapshot)[]) {
    for (const line of difference(before[kind], after[kind])) {
      const ours =
        ALWAYS_OURS.has(kind) ||
        marks.some((mark) => line.includes(mark)) ||
        (kind === "kernel setting" && !otherEngine);
      (ours ? left : elsewhere).push(`${kind}: ${line}`);
    }
  }
  return { left, elsewhere };
}

function difference(before: ReadonlySet<string>, after: ReadonlySet<string>): string[] {
  return [...after].filter((line) => !before.has(line)).sort();
}

async function firewallRules(): Promise<Set<string>> {
  const rules: string[] = [];
  for (const program of ["iptables-save", "ip6tables-save"]) {
    if ((await findExecutables(program)).length === 0) {
      continue;
    }
    let table = "";
    for (const line of (await run(program, [])).stdout.split("\n")) {
      if (line.startsWith("*")) {
        table = line.slice(1);
      } else if (/^[:-]/.test(line)) {
        // Without the counters.
        rules.push(`${program.replace("-save", "")} ${table} ${line.replace(/ ?\[\d+:\d+\]/, "")}`);
      }
    }
  }
  // An empty table with its chains open is what looking at it makes.
  return new Set(rules.filter((rule) => !/ :[A-Z]+ ACCEPT$/.test(rule)));
}

function controlGroups(): string[] {
  const root = "/sys/fs/cgroup";
  if (!existsSync(root)) {
    return [];
  }
  // Groups of the top level: directly below with version 2, below each controller with version 1.
  return folders(root).flatMap((folder) => [folder, ...folders(folder)]);
}

function folders(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(folder, entry.name));
}

/** Names in the project and in the folders where programs leave things. */
function listedFiles(root: string): string[] {
  const ownFolders = [".rehearsal", "node_modules"];
  return [
    ...names(root)
      .filter((name) => !ownFolders.includes(name))
      .map((name) => join(root, name)),
    ...["/tmp", "/run", "/opt", "/etc/docker", "/etc/containerd", "/var/lib"].flatMap((folder) =>
      names(folder).map((name) => join(folder, name)),
    ),
  ];
}

/** Files of the user's that tools like to write to. */
function personalFiles(): string[] {
  return [
    ".docker/config.json",
    ".ssh/known_hosts",
    ".aws/credentials",
    ".aws/config",
    ".gitconfig",
    ".terraformrc",
  ].map((name) => {
    const file = join(homedir(), name);
    const content = existsSync(file)
      ? createHash("sha256").update(readFileSync(file)).digest("hex").slice(0, 12)
      : "none";
    return `${file} (content ${content})`;
  });
}

function names(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** Ports that this very process listens on. */
function ownListeners(): string[] {
  const sockets = new Set(names("/proc/self/fd").map((fd) => tryReadlink(`/proc/self/fd/${fd}`)));
  return ["/proc/self/net/tcp", "/proc/self/net/tcp6"].flatMap((file) =>
    readFileSync(file, "utf8")
      .trim()
      .split("\n")
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => fields[3] === "0A" && sockets.has(`socket:[${fields[9]}]`))
      .map((fields) => `port ${Number.parseInt(fields[1]!.split(":").at(-1)!, 16)} of this process`),
  );
}

function tryReadlink(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

function rehearsalProcesses({ root, run: id }: SnapshotOptions): string[] {
  const folder = join(root, ".rehearsal/run");
  const found = [
    ...(id === undefined ? [] : markedProcesses(`${RUN_MARK}=${id}`)),
    ...processesWhere((pid) => commandLine(pid).includes(folder)),
  ];
  return [...new Map(found.map(({ pid }) => [pid, `${pid} ${commandLine(pid)}`])).values()];
}

async function engineContents({ docker, host }: Pick<Engine, "docker" | "host">): Promise<Set<string>> {
  const list = async (what: string, args: readonly string[]) =>
    (await run(docker, ["--host", host, ...args], { timeoutInSeconds: 30 })).stdout
      .split("\n")
      .filter(Boolean)
      .map((line) => `${what} ${line}`);
  return new Set([
    ...(await list("container", ["ps", "--all", "--format", "{{.Names}} {{.Image}} {{.Labels}}"])),
    ...(await list("network", ["network", "ls", "--format", "{{.Name}} {{.Labels}}"])),
    ...(await list("volume", ["volume", "ls", "--format", "{{.Name}} {{.Labels}}"])),
    ...(await list("image", ["image", "ls", "--format", "{{.Repository}}:{{.Tag}}"])),
  ]);
}
