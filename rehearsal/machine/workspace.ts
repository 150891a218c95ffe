import { randomUUID } from "node:crypto";
import { existsSync, linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { Journal } from "./journal";
import { bootId, identify, isAlive, type ProcessIdentity, pidNamespace } from "./processes";
import { describe, endsWithBoot, type Trace, undo } from "./traces";

/** Name of the environment variable that marks every process of a run; its value is the run's id. */
export const RUN_MARK = "REHEARSAL_RUN";

interface Owner extends ProcessIdentity {
  readonly run: string;
  readonly boot: string;
  readonly pidNamespace: string;
}

interface Step {
  readonly description: string;
  readonly undo: () => void | Promise<void>;
}

export interface WorkspaceOptions {
  /** Takes one line for people. @default writes to standard error */
  readonly say?: (line: string) => void;
}

/**
 * The one folder of the rehearsal, `.rehearsal/` in the project, and the one place that knows what has to be undone.
 * `run/` holds everything of one run and goes with it, except `run/logs/`, which stays until the next start;
 * `cache/` is kept.
 */
export class Workspace {
  /** Unique to this run; also the value of the `REHEARSAL_RUN` variable of all its processes. */
  public readonly id: string;
  public readonly root: string;
  public readonly runFolder: string;
  public readonly cacheFolder: string;
  /** Aborted as soon as the run has to end. */
  public readonly signal: AbortSignal;

  private readonly aborter = new AbortController();
  private readonly steps: Step[] = [];
  private closing: Promise<string[]> | undefined;

  private constructor(
    private readonly folder: string,
    owner: Owner,
    private readonly journal: Journal,
    private readonly say: (line: string) => void,
  ) {
    this.id = owner.run;
    this.root = resolve(folder, "..");
    this.runFolder = join(folder, "run");
    this.cacheFolder = join(folder, "cache");
    this.signal = this.aborter.signal;
  }

  /**
   * Takes the folder of the project at `root`, after it has cleared what a run that was killed has left.
   * @throws Error when another rehearsal of this project is running
   */
  static async open(root: string, options: WorkspaceOptions = {}): Promise<Workspace> {
    const say = options.say ?? ((line: string) => process.stderr.write(`${line}\n`));
    const folder = resolve(root, ".rehearsal");
    mkdirSync(join(folder, "cache"), { recursive: true });
    const owner = take(folder);
    const journal = new Journal(join(folder, "run", "journal.jsonl"));
    const left = await clear(journal, say);
    for (const name of await readdir(join(folder, "run"))) {
      await undo({ kind: "path", path: join(folder, "run", name) });
    }
    const workspace = new Workspace(folder, owner, journal, say);
    journal.begin(left.reverse());
    mkdirSync(workspace.logFolder, { recursive: true });
    workspace.leave({ kind: "marked processes", mark: `${RUN_MARK}=${owner.run}` });
    // Inherited by every child, however deep: this is how they are found again when nobody knows their pids.
    process.env[RUN_MARK] = owner.run;
    workspace.listen();
    return workspace;
  }

  /** Where programs write their logs. */
  get logFolder(): string {
    return join(this.runFolder, "logs");
  }

  /** Path of a log file. */
  log(name: string): string {
    return join(this.logFolder, `${name}.log`);
  }

  /** Makes a folder of this run. */
  runSubfolder(name: string): string {
    const path = join(this.runFolder, name);
    mkdirSync(path, { recursive: true, mode: 0o700 });
    return path;
  }

  /** Writes down what is about to be done to the machine; call it BEFORE doing it. It is undone at the end. */
  leave(trace: Trace): void {
    if (this.closing) {
      throw new Error(`the rehearsal is ending, so ${describe(trace)} is not made`);
    }
    this.journal.add(trace);
    this.onCleanUp(describe(trace), () => undo(trace));
  }

  /** Adds what has to be done at the end of this run; the last one added is done first. */
  onCleanUp(description: string, step: () => void | Promise<void>): void {
    this.steps.push({ description, undo: step });
  }

  /**
   * Undoes everything, in reverse order; each step is tried, whatever became of the others. The second call gives
   * the first one's answer.
   * @returns what could not be undone, one line each; it stays in the journal for the next start
   */
  close(): Promise<string[]> {
    this.closing ??= this.undoAll();
    return this.closing;
  }

  private async undoAll(): Promise<string[]> {
    this.aborter.abort(new Error("the rehearsal is ending"));
    const faults: string[] = [];
    for (const { description, undo: step } of this.steps.splice(0).reverse()) {
      try {
        await step();
      } catch (error) {
        faults.push(`${description}: ${messageOf(error)}`);
      }
    }
    if (process.env[RUN_MARK] === this.id) {
      delete process.env[RUN_MARK];
    }
    if (faults.length === 0) {
      await this.removeRun();
    } else {
      this.say("Could not clean up everything (the next start tries again):");
      for (const fault of faults) {
        this.say(`  ${fault}`);
      }
    }
    rmSync(ownerFile(this.folder), { force: true });
    this.unlisten();
    return faults;
  }

  private async removeRun(): Promise<void> {
    for (const name of await readdir(this.runFolder)) {
      if (name !== "logs") {
        await undo({ kind: "path", path: join(this.runFolder, name) });
      }
    }
  }

  private readonly onSignal = (name: NodeJS.Signals, number: number) => {
    this.say(this.closing ? `${name}: still cleaning up` : `${name}: cleaning up`);
    void this.close().then(() => process.exit(128 + number));
  };

  private readonly onCrash = (error: unknown) => {
    this.say(error instanceof Error ? (error.stack ?? error.message) : String(error));
    void this.close().then(() => process.exit(1));
  };

  private listen(): void {
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.on(name, this.onSignal);
    }
    process.on("uncaughtException", this.onCrash);
  }

  private unlisten(): void {
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.off(name, this.onSignal);
    }
    process.off("uncaughtException", this.onCrash);
  }
}

function ownerFile(folder: string): string {
  return join(folder, "owner.json");
}

/** Makes this process the owner of the folder. One of several that start at once gets it, as `link` is atomic. */
function take(folder: string): Owner {
  const me = identify(process.pid);
  if (!me) {
    throw new Error("cannot read /proc: the rehearsal needs Linux");
  }
  const owner: Owner = { ...me, run: randomUUID(), boot: bootId(), pidNamespace: pidNamespace() };
  const file = ownerFile(folder);
  const draft = `${file}.${owner.run}`;
  writeFileSync(draft, JSON.stringify(owner));
  try {
    for (;;) {
      try {
        linkSync(draft, file);
        return owner;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EEXIST") {
          throw error;
        }
        dismissDeadOwner(folder, file, `${draft}.dead`);
      }
    }
  } finally {
    rmSync(draft, { force: true });
  }
}

/** @throws Error when the owner is alive, or when that cannot be told from here */
function dismissDeadOwner(folder: string, file: string, aside: string): void {
  let owner: Owner;
  try {
    owner = JSON.parse(readFileSync(file, "utf8")) as Owner;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") {
      return;
    }
    throw new Error(`cannot read ${file}: ${messageOf(error)}; when no rehearsal is running, remove it`);
  }
  if (owner.boot === bootId()) {
    if (owner.pidNamespace !== pidNamespace()) {
      throw new Error(
        `a rehearsal was started in another container (folder ${folder}); when it is not running any more, remove ${file}`,
      );
    }
    if (isAlive(owner)) {
      throw new Error(
        `a rehearsal is running (pid ${owner.pid}, folder ${folder}): stop it with "kill ${owner.pid}", or wait for its end`,
      );
    }
  }
  try {
    renameSync(file, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") {
      throw error;
    }
    return;
  }
  // Between reading and renaming another start may have become the owner: then give the file back.
  const moved = JSON.parse(readFileSync(aside, "utf8")) as Owner;
  if (moved.run !== owner.run && !existsSync(file)) {
    renameSync(aside, file);
    return;
  }
  rmSync(aside, { force: true });
}

/** @returns what could not be undone, newest first */
async function clear(journal: Journal, say: (line: string) => void): Promise<Trace[]> {
  const left: Trace[] = [];
  const entries = journal.read().filter(({ boot, trace }) => boot === bootId() || !endsWithBoot(trace));
  if (entries.length > 0) {
    say("The last rehearsal was killed; clearing what it left");
  }
  for (const { trace } of entries) {
    try {
      await undo(trace);
    } catch (error) {
      say(`  could not clear ${describe(trace)}: ${messageOf(error)}`);
      left.push(trace);
    }
  }
  return left;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
