/**
 * Fault 11: a rehearsal is killed with SIGKILL at ten different moments. Each next start must clear what was left, and
 * get further than the killed one; the last one must end well, and leave the machine as it was before the first.
 */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { renderColumns } from "./columns";
import { compare, snapshot } from "./machine/leftovers";
import { markedProcesses } from "./machine/processes";
import { RUN_MARK } from "./machine/workspace";

const ROOT = join(__dirname, "..");

/** A push that is built, and nothing else: reaches the end soon. */
const SHORT = ["--faults", "--time-scale", "60", "7a"];

/** What a rehearsal is about to do -> the line that tells it, and its options. In the order in which they come. */
const MOMENTS: readonly (readonly [what: string, line: RegExp, options: readonly string[]])[] = [
  ["starts its container engine", /Watch it at/, SHORT],
  ["makes the base image", /Container engine:/, SHORT],
  ["starts the local AWS", /Starting the local AWS/, SHORT],
  ["starts Terraform", /cdktf deploy .*\.\.\.$/, SHORT],
  ["has a quarter of the stack", / 25 of \d+ resources/, SHORT],
  ["waits for the load balancer", / 75 of \d+ resources/, SHORT],
  ["builds an image", / building: build 1 of/, []],
  ["starts the new version's tasks", / test listener: starts/, []],
  ["shifts production", / live: (?!.*rolled back)/, []],
  ["destroys the stack", /cdktf destroy \.\.\.$/, SHORT],
];

interface Run {
  readonly id: string;
  readonly seconds: number;
  /** The line at which it was killed; its exit status when it came to its end before. */
  readonly end: string | number;
  /** Whether it said that it cleared what another one had left. */
  readonly cleared: boolean;
}

/** Starts a rehearsal, and kills its process, and nothing but that, as soon as it prints a line. */
function rehearse(options: readonly string[], killAt?: RegExp): Promise<Run> {
  const startedAt = Date.now();
  const child = spawn(
    process.execPath,
    ["--require", join(ROOT, "tsx.cjs"), join(ROOT, "rehearsal", "rehearse.ts"), ...options],
    { cwd: ROOT, stdio: ["ignore", "pipe", "inherit"] },
  );
  let id = "";
  let end: string | undefined;
  let cleared = false;
  createInterface({ input: child.stdout }).on("line", (line) => {
    // Lines that were on their way when it was killed.
    if (end !== undefined) return;
    if (!killAt) console.log(line);
    cleared ||= line.includes("clearing what it left");
    if (line.includes("Watch it at")) {
      id = JSON.parse(readFileSync(join(ROOT, ".rehearsal", "owner.json"), "utf8")).run;
    }
    if (killAt?.test(line)) {
      end = line.trim();
      child.kill("SIGKILL");
    }
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    // What lives on may keep the pipe of a killed process open.
    child.on(killAt ? "exit" : "close", (status: number | null) =>
      resolve({ id, seconds: (Date.now() - startedAt) / 1000, end: end ?? status ?? -1, cleared }),
    );
  });
}

async function main(): Promise<number> {
  const faults: string[] = [];
  const rows: string[][] = [];
  const before = await snapshot({ root: ROOT });
  const killed: string[] = [];
  let orphans: ReturnType<typeof markedProcesses> = [];
  const check = (run: Run, what: string) => {
    const earlier = killed.at(-1);
    if (earlier === undefined) return;
    const left = markedProcesses(`${RUN_MARK}=${earlier}`);
    if (left.length > 0)
      faults.push(`${what}: ${left.length} processes of the killed run before it are alive`);
    if (orphans.length > 0 && !run.cleared) faults.push(`${what}: it did not say that it cleared anything`);
  };
  for (const [what, line, options] of MOMENTS) {
    const run = await rehearse(options, line);
    check(run, what);
    if (typeof run.end === "number") {
      faults.push(`${what}: was to be killed at ${line}, but ended by itself with status ${run.end}`);
      break;
    }
    killed.push(run.id);
    orphans = markedProcesses(`${RUN_MARK}=${run.id}`);
    rows.push([what, `${run.seconds.toFixed(1)} s`, String(orphans.length)]);
    console.log(
      `killed when it ${what}, after ${run.seconds.toFixed(1)} s: ${orphans.length} processes live on`,
    );
  }
  const last = await rehearse(SHORT);
  check(last, "the last start");
  if (last.end !== 0) faults.push(`the last start ended with ${last.end}`);
  const after = await snapshot({ root: ROOT });
  for (const id of [...killed, last.id]) {
    faults.push(
      ...compare(before, after, { root: ROOT, run: id }).left.map((thing) => `left behind: ${thing}`),
    );
  }
  console.log(`\n${renderColumns(["killed when it", "after", "processes that lived on"], rows)}\n`);
  for (const fault of new Set(faults)) console.log(`FAULT: ${fault}`);
  if (faults.length === 0)
    console.log(`Killed ${rows.length} times; the last start ended well, nothing is left.`);
  return faults.length === 0 ? 0 : 1;
}

main().then(
  (status) => process.exit(status),
  (error: Error) => {
    console.error(error.message);
    process.exit(2);
  },
);
