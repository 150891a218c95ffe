import { existsSync, symlinkSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { type CommandOptions, type CommandResult, findExecutables, run } from "./command";
import { canInstallPackages, installCommand, installPackages } from "./debian";
import { startOwnEngine } from "./own-engine";
import type { Workspace } from "./workspace";

/** A container engine, and how to talk to it. */
export interface Engine {
  /** The client that suits it. */
  readonly docker: string;
  /** Folder with just that client, to put first on a PATH. */
  readonly binaries: string;
  /** Its socket, `unix://...`. */
  readonly host: string;
  /** Variables with which any program reaches it; logins are kept in the run's folder, not in the user's. */
  readonly env: Readonly<Record<string, string>>;
  readonly version: string;
  /** Whether the rehearsal started it, so that it ends with it. */
  readonly own: boolean;
  /** Every container and network must carry this label (`NAME=value`), by which they are removed. */
  readonly label: string;
  /** Runs the client. */
  run(args: readonly string[], options?: CommandOptions): Promise<CommandResult>;
}

/**
 * Finds the container engine that runs here, or, as root on Debian, installs one and starts it for this run only.
 * @throws Error with the reasons against everything that was found, and the fix
 */
export async function provideEngine(workspace: Workspace, say: (line: string) => void): Promise<Engine> {
  const refused: string[] = [];
  const found = await findEngine(refused);
  if (found) {
    say(`Container engine: the one that runs here (${found.version}, ${found.host})`);
    return useEngine(workspace, found, false);
  }
  if (!canInstallPackages()) {
    throw new Error(noEngineMessage(refused));
  }
  if (!(await clientWithBuildKit()) || (await findExecutables("dockerd")).length === 0) {
    say(
      "Installing the package docker.io for a container engine (it stays installed, no service is started)",
    );
    await installPackages(workspace, ["docker.io", "iproute2"]);
  }
  const docker = await clientWithBuildKit();
  if (!docker) {
    throw new Error(
      `the package docker.io brought no client that builds with BuildKit: ${installCommand("docker-buildx")}`,
    );
  }
  const { host } = await startOwnEngine(workspace, docker, say);
  const version = (
    await run(docker, ["--host", host, "version", "--format", "{{.Server.Version}}"])
  ).stdout.trim();
  say(`Container engine: own one for this run (${version}, ${host})`);
  return useEngine(workspace, { docker, host, version }, true);
}

interface Found {
  readonly docker: string;
  readonly host: string;
  readonly version: string;
}

async function findEngine(refused: string[]): Promise<Found | undefined> {
  const clients = await findExecutables("docker");
  let running: EngineFacts | undefined;
  for (const docker of clients) {
    const host = await hostOf(docker);
    const facts = host === undefined ? undefined : await factsOf(docker, host);
    if (!host || !facts) {
      refused.push(`${docker}: no engine answers${host ? ` at ${host}` : ""}`);
      continue;
    }
    running = facts;
    const fault = unsuitable(facts, host);
    if (fault) {
      refused.push(`the engine at ${host} ${fault}`);
    } else if (await hasBuildKit(docker)) {
      return { docker, host, version: facts.version };
    } else {
      refused.push(`${docker} cannot build with BuildKit (its plugin buildx is missing)`);
    }
  }
  if (clients.length === 0) {
    refused.push("there is no docker on the PATH");
  } else if (running && !unsuitable(running, "unix://")) {
    // An engine runs: a second one beside it would be a surprise, so the client is what has to be mended.
    throw new Error(noEngineMessage(refused, installCommand("docker-buildx-plugin (or docker-buildx)")));
  }
  return undefined;
}

function noEngineMessage(refused: readonly string[], fix?: string): string {
  return [
    "found no container engine that can be used:",
    ...refused.map((line) => `  ${line}`),
    fix
      ? `on Debian or Ubuntu: ${fix}`
      : "start Docker (systemctl start docker) and let this user reach it (usermod -aG docker $USER), or run this as root on Debian or Ubuntu, where the rehearsal brings its own",
  ].join("\n");
}

/** What decides whether an engine can be used. */
export interface EngineFacts {
  readonly version: string;
  readonly operatingSystem: string;
  readonly security: readonly string[];
  readonly product: string;
}

/** @returns why an engine cannot be used, or undefined */
export function unsuitable(facts: EngineFacts, host: string): string | undefined {
  const loopback = "so it cannot reach a registry on this machine's 127.0.0.1";
  if (!host.startsWith("unix://")) {
    return `is on another machine, ${loopback}`;
  }
  if (facts.operatingSystem.includes("Docker Desktop")) {
    return `is Docker Desktop, which runs in a virtual machine, ${loopback}`;
  }
  if (facts.security.some((option) => option.includes("rootless"))) {
    return `is rootless, with a network of its own, ${loopback}`;
  }
  if (/podman/i.test(facts.product)) {
    return "is Podman, which has no BuildKit";
  }
  return undefined;
}

async function hostOf(docker: string): Promise<string | undefined> {
  if (process.env.DOCKER_HOST) {
    return process.env.DOCKER_HOST;
  }
  const result = await run(docker, ["context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]);
  return result.status === 0 ? result.stdout.trim() : undefined;
}

async function factsOf(docker: string, host: string): Promise<EngineFacts | undefined> {
  const ask = (what: string, format: string) =>
    run(docker, ["--host", host, what, "--format", format], { timeoutInSeconds: 10 });
  const [info, version] = [
    await ask("info", '{"os":{{json .OperatingSystem}},"security":{{json .SecurityOptions}}}'),
    await ask("version", '{"version":{{json .Server.Version}},"product":{{json .Server.Components}}}'),
  ];
  if (info.status !== 0 || version.status !== 0) {
    return undefined;
  }
  try {
    const { os, security } = JSON.parse(info.stdout) as { os: string; security: string[] | null };
    const server = JSON.parse(version.stdout) as { version: string; product: unknown };
    return {
      version: server.version,
      operatingSystem: os,
      security: security ?? [],
      product: JSON.stringify(server.product),
    };
  } catch {
    return undefined;
  }
}

async function clientWithBuildKit(): Promise<string | undefined> {
  for (const docker of await findExecutables("docker")) {
    if (await hasBuildKit(docker)) {
      return docker;
    }
  }
  return undefined;
}

/** Clients before 23 have BuildKit inside; later ones leave it to a plugin. */
async function hasBuildKit(docker: string): Promise<boolean> {
  const version = await run(docker, ["--version"]);
  const major = Number(/version (\d+)\./.exec(version.stdout)?.[1]);
  if (version.status === 0 && major >= 18 && major < 23) {
    return true;
  }
  return (await run(docker, ["buildx", "version"])).status === 0;
}

function useEngine(workspace: Workspace, { docker, host, version }: Found, own: boolean): Engine {
  const label = `rehearsal=${workspace.id}`;
  if (!own) {
    workspace.leave({ kind: "labelled", docker, host, label });
  }
  const binaries = workspace.runSubfolder("engine-client");
  symlinkSync(docker, join(binaries, "docker"));
  const config = workspace.runSubfolder("docker-config");
  const plugins = join(homedir(), ".docker/cli-plugins");
  writeFileSync(
    join(config, "config.json"),
    JSON.stringify(existsSync(plugins) ? { cliPluginsExtraDirs: [plugins] } : {}),
  );
  // CodeBuild's client builds with BuildKit unless told otherwise; the one of Debian has to be told.
  const env = { DOCKER_HOST: host, DOCKER_CONFIG: config, DOCKER_BUILDKIT: "1" };
  return {
    docker,
    binaries,
    host,
    env,
    version,
    own,
    label,
    run: (args, options = {}) =>
      run(docker, args, { ...options, env: { ...process.env, ...options.env, ...env } }),
  };
}
