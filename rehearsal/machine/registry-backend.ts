import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "./addresses";
import { findExecutables, lastLines, run } from "./command";
import type { Engine } from "./container-engine";
import { canInstallPackages, installCommand, installPackages } from "./debian";
import { identify } from "./processes";
import type { Workspace } from "./workspace";

/** Distribution, the registry that Docker's own is made of. */
export const REGISTRY_IMAGE = "public.ecr.aws/docker/library/registry:2.8.3";

/**
 * Starts a plain registry on loopback: the program of this machine, the Debian package, or a container.
 * @returns `127.0.0.1:PORT`
 * @throws Error when none of them can be had
 */
export async function startRegistryBackend(
  workspace: Workspace,
  engine: Engine,
  say: (line: string) => void,
): Promise<string> {
  let program = await findProgram();
  if (!program && canInstallPackages()) {
    say("Installing the package docker-registry (it stays installed, its service is not started)");
    await installPackages(workspace, ["docker-registry"]);
    program = await findProgram();
  }
  const host = program ? await startProgram(workspace, program) : await startContainer(engine);
  await untilReady(host, workspace);
  return host;
}

/** Gives the registry a manifest by its digest; it refuses one whose layers it does not have. */
export async function storeManifest(
  backend: string,
  repository: string,
  image: { readonly digest: string; readonly mediaType: string; readonly manifest: string | Buffer },
): Promise<{ readonly status: number; readonly body: string }> {
  const response = await fetch(`http://${backend}/v2/${repository}/manifests/${image.digest}`, {
    method: "PUT",
    headers: { "Content-Type": image.mediaType },
    body: Buffer.from(image.manifest),
  });
  return { status: response.status, body: await response.text() };
}

async function findProgram(): Promise<string | undefined> {
  for (const name of ["docker-registry", "registry"]) {
    for (const program of await findExecutables(name)) {
      const { stdout, stderr } = await run(program, ["--version"], { timeoutInSeconds: 10 });
      if (/distribution/.test(stdout + stderr)) {
        return program;
      }
    }
  }
  return undefined;
}

async function startProgram(workspace: Workspace, program: string): Promise<string> {
  const folder = workspace.runSubfolder("registry");
  const host = `127.0.0.1:${await freePort()}`;
  const config = join(folder, "config.yml");
  writeFileSync(
    config,
    JSON.stringify({
      version: 0.1,
      log: { level: "warn", accesslog: { disabled: true } },
      storage: { filesystem: { rootdirectory: join(folder, "data") } },
      // The client sees the front's address, so an upload's next step is named without one.
      http: { addr: host, relativeurls: true, secret: randomBytes(16).toString("hex") },
    }),
  );
  const log = openSync(workspace.log("registry"), "a");
  const child = spawn(program, ["serve", config], { cwd: folder, stdio: ["ignore", log, log] });
  closeSync(log);
  const identity = child.pid === undefined ? undefined : identify(child.pid);
  if (identity) {
    workspace.leave({ kind: "process", ...identity, atOnce: true });
  }
  return host;
}

async function startContainer(engine: Engine): Promise<string> {
  const started = await engine.run(
    [
      ...["run", "--detach", "--label", engine.label, "--publish", "127.0.0.1::5000"],
      ...[
        "--env",
        "REGISTRY_HTTP_RELATIVEURLS=true",
        "--env",
        `REGISTRY_HTTP_SECRET=${randomBytes(16).toString("hex")}`,
      ],
      REGISTRY_IMAGE,
    ],
    { timeoutInSeconds: 120 },
  );
  const port = started.status === 0 ? await engine.run(["port", started.stdout.trim(), "5000/tcp"]) : started;
  if (port.status !== 0) {
    throw new Error(
      [
        `could not start a registry from the image ${REGISTRY_IMAGE}: ${lastLines(port, 3)}`,
        `on Debian or Ubuntu: ${installCommand("docker-registry")} && systemctl disable --now docker-registry`,
      ].join("\n"),
    );
  }
  return port.stdout.trim().split("\n")[0]!;
}

async function untilReady(host: string, workspace: Workspace): Promise<void> {
  let trouble = "";
  for (let tries = 0; tries < 100; tries += 1) {
    try {
      const { status } = await fetch(`http://${host}/v2/`);
      if (status === 200) {
        return;
      }
      trouble = `it answers ${status}`;
    } catch (error) {
      trouble = error instanceof Error ? error.message : String(error);
    }
    await sleep(100);
  }
  const log = workspace.log("registry");
  throw new Error(
    `the registry at ${host} does not answer: ${trouble}\n${lastLines({ stdout: "", stderr: tryRead(log) })}`,
  );
}

function tryRead(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
