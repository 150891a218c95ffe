import { existsSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { isAbsolute, normalize, sep } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { interfacesWithin } from "./addresses";
import { lastLines, run } from "./command";
import { endProcesses, markedProcesses, type ProcessIdentity, processesWhere } from "./processes";

/**
 * Something that a rehearsal does to the machine and undoes again. Each is plain data, so that a later start can
 * undo what a run that was killed left; undoing what is already undone is no error.
 */
export type Trace =
  /** Processes with this `NAME=value` in their environment. Children inherit it, so none can be forgotten. */
  | { readonly kind: "marked processes"; readonly mark: string }
  /** A process; `atOnce` for one that has nothing to save. */
  | ({ readonly kind: "process"; readonly atOnce?: boolean } & ProcessIdentity)
  /** A folder or file of ours, with what is in it: below `.rehearsal/run`, or with a name `rehearsal-...`. */
  | { readonly kind: "path"; readonly path: string }
  /** A file in a place that belongs to the machine: removed while its content is still ours. */
  | { readonly kind: "foreign file"; readonly path: string; readonly content: string }
  /** A folder that others may use too: removed when empty. */
  | { readonly kind: "shared folder"; readonly path: string }
  /** Containers, networks and volumes that carry a label. */
  | { readonly kind: "labelled"; readonly docker: string; readonly host: string; readonly label: string }
  /** Images whose name starts so; what runs them carries the label. */
  | {
      readonly kind: "images";
      readonly docker: string;
      readonly host: string;
      readonly label: string;
      readonly prefix: string;
    }
  /** Bridges with an address in this range. */
  | { readonly kind: "bridges"; readonly range: string }
  | { readonly kind: "control group"; readonly name: string }
  | {
      readonly kind: "firewall rule";
      readonly table: string;
      readonly chain: string;
      readonly rule: string[];
    }
  /** Forwarding between networks, which was off before. */
  | { readonly kind: "forwarding" };

/** Kinds that a reboot has undone. */
const VOLATILE: ReadonlySet<Trace["kind"]> = new Set([
  "marked processes",
  "process",
  "bridges",
  "control group",
  "firewall rule",
  "forwarding",
]);

/** The kernel's switch for forwarding between networks. */
export const FORWARDING = "/proc/sys/net/ipv4/ip_forward";

/** Whether a reboot undoes this kind of trace. */
export function endsWithBoot(trace: Trace): boolean {
  return VOLATILE.has(trace.kind);
}

/** One line for people. */
export function describe(trace: Trace): string {
  switch (trace.kind) {
    case "marked processes":
      return `processes of the run (${trace.mark})`;
    case "process":
      return `process ${trace.pid}`;
    case "path":
    case "foreign file":
    case "shared folder":
      return trace.path;
    case "labelled":
      return `containers and networks labelled ${trace.label}`;
    case "images":
      return `images ${trace.prefix}*`;
    case "bridges":
      return `network bridges in ${trace.range}`;
    case "control group":
      return `control group ${trace.name}`;
    case "firewall rule":
      return `firewall rule ${trace.table}/${trace.chain} ${trace.rule.join(" ")}`;
    case "forwarding":
      return "forwarding between networks";
  }
}

/**
 * Looks again until several looks in a row find nothing: what is ended may have started another one meanwhile, and a
 * process that is just being replaced by another program shows no environment for a moment.
 */
async function endMarked(mark: string): Promise<void> {
  let quietLooks = 0;
  for (let look = 0; quietLooks < 4; look += 1) {
    if (look === 100) throw new Error(`processes with ${mark} keep starting others`);
    const found = markedProcesses(mark);
    quietLooks = found.length === 0 ? quietLooks + 1 : 0;
    await endProcesses(found);
    await sleep(15);
  }
}

/** Undoes a trace. @throws Error saying what could not be undone */
export async function undo(trace: Trace): Promise<void> {
  switch (trace.kind) {
    case "marked processes":
      return endMarked(trace.mark);
    case "process":
      return endProcesses([trace], trace.atOnce ? 0 : undefined);
    case "path":
      return removePath(trace.path);
    case "foreign file":
      return removeForeignFile(trace.path, trace.content);
    case "shared folder":
      return removeWhenEmpty(trace.path);
    case "labelled":
      return removeLabelled(trace);
    case "images":
      return removeImages(trace);
    case "bridges":
      return removeBridges(trace.range);
    case "control group":
      return removeControlGroup(trace.name);
    case "firewall rule":
      return removeRule(trace);
    case "forwarding":
      return endForwarding();
  }
}

const OUR_PATH = /\/(\.rehearsal\/run|rehearsal-[^/]+)(\/|$)/;

async function removePath(path: string): Promise<void> {
  // A journal is a file that anybody could have edited: it must not be able to remove what is not ours.
  if (normalize(path) !== path || !isAbsolute(path) || !OUR_PATH.test(path)) {
    throw new Error(`will not remove ${path}: it is no path of a rehearsal`);
  }
  await detachMounts(path);
  await rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
}

async function removeForeignFile(path: string, content: string): Promise<void> {
  if (existsSync(path) && readFileSync(path, "utf8") === content) {
    await rm(path);
  }
}

/** Removing files below a mount point would remove what is mounted there. */
async function detachMounts(path: string): Promise<void> {
  for (const point of mountPoints()
    .filter((p) => p === path || p.startsWith(path + sep))
    .reverse()) {
    const result = await run("umount", ["--lazy", point]);
    if (result.status !== 0 && mountPoints().includes(point)) {
      throw new Error(`could not unmount ${point}: ${lastLines(result)}`);
    }
  }
}

/** Everything mounted, in the order it was. */
export function mountPoints(): string[] {
  return readFileSync("/proc/self/mountinfo", "utf8")
    .trim()
    .split("\n")
    .map((line) =>
      (line.split(" ")[4] ?? "").replace(/\\([0-7]{3})/g, (_, octal) =>
        String.fromCharCode(Number.parseInt(octal, 8)),
      ),
    );
}

function removeWhenEmpty(path: string): void {
  try {
    rmdirSync(path);
  } catch (error) {
    if (!["ENOENT", "ENOTEMPTY", "EBUSY"].includes((error as NodeJS.ErrnoException).code ?? "")) {
      throw error;
    }
  }
}

async function removeLabelled(trace: { docker: string; host: string; label: string }): Promise<void> {
  const docker = engineClient(trace);
  if (!(await docker.answers())) {
    return;
  }
  const filter = ["--filter", `label=${trace.label}`, "--quiet"];
  for (const [list, remove] of [
    [
      ["ps", "--all"],
      ["rm", "--force", "--volumes"],
    ],
    [
      ["network", "ls"],
      ["network", "rm"],
    ],
    [
      ["volume", "ls"],
      ["volume", "rm", "--force"],
    ],
  ] as const) {
    const ids = await docker.lines([...list, ...filter]);
    if (ids.length > 0) {
      await docker.lines([...remove, ...ids]);
    }
  }
}

async function removeImages(trace: Extract<Trace, { kind: "images" }>): Promise<void> {
  // An image in use would only lose its name.
  await removeLabelled(trace);
  const docker = engineClient(trace);
  if (!(await docker.answers())) {
    return;
  }
  const names = (await docker.lines(["image", "ls", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}"]))
    .filter((line) => line.startsWith(trace.prefix))
    // An image that was pulled by digest has no tag.
    .map((line) => (line.includes(":<none> ") ? line.split(" ")[1]! : line.split(" ")[0]!));
  if (names.length > 0) {
    await docker.lines(["image", "rm", "--force", ...new Set(names)]);
  }
}

function engineClient({ docker, host }: { docker: string; host: string }) {
  const args = ["--host", host];
  return {
    /** An engine that has ended has taken its containers with it. */
    async answers(): Promise<boolean> {
      return (
        existsSync(docker) && (await run(docker, [...args, "version"], { timeoutInSeconds: 10 })).status === 0
      );
    },
    async lines(command: readonly string[]): Promise<string[]> {
      const result = await run(docker, [...args, ...command], { timeoutInSeconds: 60 });
      if (result.status !== 0) {
        throw new Error(`docker ${command.slice(0, 2).join(" ")}: ${lastLines(result)}`);
      }
      return result.stdout.split("\n").filter(Boolean);
    },
  };
}

async function removeBridges(range: string): Promise<void> {
  for (const name of await interfacesWithin(range)) {
    // Only bridges are ours to remove: a network card may have been given such an address in the meantime.
    if (existsSync(`/sys/class/net/${name}/bridge`)) {
      const result = await run("ip", ["link", "delete", name]);
      if (result.status !== 0 && existsSync(`/sys/class/net/${name}`)) {
        throw new Error(`could not remove the bridge ${name}: ${lastLines(result)}`);
      }
    }
  }
}

/** A group's folder can only be removed when no process and no group is left in it. */
async function removeControlGroup(name: string): Promise<void> {
  const member = new RegExp(`^\\d+:[^:]*:/${name}(/|$)`, "m");
  await endProcesses(
    processesWhere((pid) => member.test(readFileSync(`/proc/${pid}/cgroup`, "utf8"))),
    0,
  );
  for (const folder of controlGroupFolders(name)) {
    removeGroupTree(folder);
  }
}

/** Where a control group of the top level has its folders: one with version 2, one per controller with version 1. */
export function controlGroupFolders(name: string): string[] {
  const root = "/sys/fs/cgroup";
  if (!existsSync(root)) {
    return [];
  }
  return [root, ...readdirSync(root).map((controller) => `${root}/${controller}`)]
    .map((parent) => `${parent}/${name}`)
    .filter((folder) => existsSync(folder));
}

function removeGroupTree(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) {
      removeGroupTree(`${folder}/${entry.name}`);
    }
  }
  rmdirSync(folder);
}

async function removeRule(trace: Extract<Trace, { kind: "firewall rule" }>): Promise<void> {
  const at = (verb: string) => ["--wait", "10", "-t", trace.table, verb, trace.chain, ...trace.rule];
  while ((await run("iptables", at("-C"))).status === 0) {
    const result = await run("iptables", at("-D"));
    if (result.status !== 0) {
      throw new Error(`could not remove the firewall rule: ${lastLines(result)}`);
    }
  }
}

/** Another engine that started in the meantime found forwarding on, and needs it to stay. */
async function endForwarding(): Promise<void> {
  const bridges = readdirSync("/sys/class/net").filter((name) => existsSync(`/sys/class/net/${name}/bridge`));
  const inUse = await interfacesWithin("0.0.0.0/0");
  if (!bridges.some((name) => inUse.includes(name))) {
    writeFileSync(FORWARDING, "0");
  }
}
