import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { closeSync, existsSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { findExecutables, lastLines, run } from "./command";
import { canInstallPackages, installCommand, installPackages } from "./debian";
import { identify } from "./processes";
import { compareVersions } from "./terraform";
import type { Workspace } from "./workspace";

const REQUIREMENTS = join(__dirname, "../aws/requirements.txt");
const SERVER = join(__dirname, "../aws/moto_server.py");

/** What moto 5 needs. */
const OLDEST_PYTHON = "3.9";

export interface PythonEnvironment {
  /** Folder with `python3` and `aws`, to put on a PATH. */
  readonly binaries: string;
  /** Whether it had to be made. */
  readonly made: boolean;
}

/**
 * Makes the virtual environment with moto and the AWS command line, once for each content of `requirements`.
 * @throws Error when there is no Python of 3.9 or newer, or when the packages cannot be had
 */
export async function preparePython(
  workspace: Workspace,
  say: (line: string) => void,
  requirements = REQUIREMENTS,
): Promise<PythonEnvironment> {
  const python = await findPython(workspace, say);
  const key = createHash("sha256")
    .update(readFileSync(requirements))
    .update(python.version)
    .digest("hex")
    .slice(0, 12);
  const folder = join(workspace.cacheFolder, `python-${key}`);
  const binaries = join(folder, "bin");
  // A virtual environment cannot be moved, so it is made in its place, and this file says that it is whole.
  const complete = join(folder, "complete");
  if (existsSync(complete)) {
    return { binaries, made: false };
  }
  say(`Making a Python environment for moto in ${folder} (once; about a minute)`);
  rmSync(folder, { recursive: true, force: true });
  const venv = await run(python.binary, ["-m", "venv", folder]);
  if (venv.status !== 0) {
    throw new Error(
      `${python.binary} cannot make a virtual environment\n${lastLines(venv)}\non Debian: ${installCommand("python3-venv")}`,
    );
  }
  const pip = await run(
    join(binaries, "python3"),
    // Compiling all of it takes 15 s; what is used is compiled when it is.
    [
      "-m",
      "pip",
      "install",
      "--quiet",
      "--no-compile",
      "--disable-pip-version-check",
      "--requirement",
      requirements,
    ],
    { timeoutInSeconds: 600 },
  );
  if (pip.status !== 0) {
    throw new Error(`pip could not install ${requirements} into ${folder}\n${lastLines(pip)}`);
  }
  writeFileSync(complete, "");
  return { binaries, made: true };
}

interface Python {
  readonly binary: string;
  /** E.g. `3.11.2 linux-x86_64`. */
  readonly version: string;
}

const PROBE =
  "import sys, sysconfig, venv, ensurepip; print('.'.join(map(str, sys.version_info[:3])), sysconfig.get_platform())";

async function findPython(workspace: Workspace, say: (line: string) => void): Promise<Python> {
  const refused: string[] = [];
  for (const binary of await findExecutables("python3")) {
    const found = await probe(binary);
    if ("version" in found) {
      return found;
    }
    refused.push(`${binary} ${found.refusal}`);
  }
  if (canInstallPackages()) {
    say("Installing the packages python3 and python3-venv (moto needs them; they stay installed)");
    await installPackages(workspace, ["python3", "python3-venv"]);
    const found = await probe("/usr/bin/python3");
    if ("version" in found) {
      return found;
    }
    refused.push(`/usr/bin/python3 ${found.refusal}`);
  }
  throw new Error(
    [
      `found no Python of ${OLDEST_PYTHON} or newer with venv and pip on the PATH${refused.length > 0 ? `: ${refused.join("; ")}` : ""}`,
      `on Debian or Ubuntu: ${installCommand("python3", "python3-venv")}`,
    ].join("\n"),
  );
}

async function probe(binary: string): Promise<Python | { refusal: string }> {
  const result = await run(binary, ["-c", PROBE], { timeoutInSeconds: 30 });
  if (result.status !== 0) {
    return { refusal: `has no venv (${lastLines(result, 1)})` };
  }
  const version = result.stdout.trim();
  return compareVersions(version.split(" ")[0]!, OLDEST_PYTHON) < 0
    ? { refusal: `is ${version}` }
    : { binary, version };
}

export interface Moto {
  /** E.g. `http://127.0.0.1:34567`. */
  readonly url: string;
}

/**
 * Starts moto on a port of its choice and waits until it listens. It ends with this process, and its output goes to
 * the log `moto`.
 * @throws Error with the log's last lines when it ends before it listens, or does not listen in time
 */
export async function startMoto(
  workspace: Workspace,
  python: PythonEnvironment,
  server = SERVER,
  timeoutInSeconds = 60,
): Promise<Moto> {
  const log = workspace.log("moto");
  const errors = openSync(log, "a");
  const child = spawn(join(python.binaries, "python3"), [server, "0"], {
    cwd: workspace.runSubfolder("moto"),
    // Its input stays open as long as this process lives: its end is moto's sign to end.
    stdio: ["pipe", "pipe", errors],
    env: { ...process.env, PYTHONUNBUFFERED: "1", PYTHONDONTWRITEBYTECODE: "" },
  });
  closeSync(errors);
  const identity = child.pid === undefined ? undefined : identify(child.pid);
  if (identity) {
    workspace.leave({ kind: "process", ...identity });
  }
  try {
    return { url: await announcedUrl(child, timeoutInSeconds) };
  } catch (error) {
    const written = existsSync(log) ? readFileSync(log, "utf8") : "";
    throw new Error(
      `moto did not start: ${error instanceof Error ? error.message : error} (log: ${log})\n${lastLines({ stdout: "", stderr: written })}`,
    );
  }
}

/** The first line it prints is `{"url": "..."}`, once it listens. */
function announcedUrl(child: ChildProcess, timeoutInSeconds: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      reject(new Error(`it did not listen within ${timeoutInSeconds} s`));
    }, timeoutInSeconds * 1000);
    child.once("error", reject);
    child.once("exit", (code, signal) => {
      clearTimeout(timer);
      reject(new Error(`it ended (${signal ?? `status ${code}`})`));
    });
    createInterface({ input: child.stdout! }).once("line", (line) => {
      clearTimeout(timer);
      try {
        resolve((JSON.parse(line) as { url: string }).url);
      } catch {
        reject(new Error(`it printed ${JSON.stringify(line)} where its URL belongs`));
      }
    });
    child.stdout!.resume();
  });
}
