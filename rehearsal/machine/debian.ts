import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { findExecutables, lastLines, run, runOrFail } from "./command";
import type { Workspace } from "./workspace";

/** Asked by the packages' scripts before they start a service; status 101 means "do not". */
const SERVICE_POLICY = "/usr/sbin/policy-rc.d";
const NO_SERVICES = "#!/bin/sh\n# Made by a rehearsal for the time of one installation.\nexit 101\n";

/** Whether packages can be installed here: Debian or a relative, as root. */
export function canInstallPackages(): boolean {
  return process.getuid?.() === 0 && existsSync("/usr/bin/apt-get") && existsSync("/etc/debian_version");
}

/** What to type to install packages, for a message. */
export function installCommand(...packages: string[]): string {
  return `apt-get install ${packages.join(" ")}`;
}

/**
 * Installs Debian packages without what they only recommend, and without starting their services. They stay installed.
 * @throws Error with the last lines of apt-get
 */
export async function installPackages(workspace: Workspace, packages: readonly string[]): Promise<void> {
  const before = await installedPackages();
  const missing = packages.filter((name) => !before.has(name));
  if (missing.length === 0) {
    return;
  }
  await withoutServices(workspace, async () => {
    if ((await aptGet(["install", ...missing])).status !== 0) {
      // The package lists may be empty, or name versions that the mirror has no more.
      await runOrFail("updating the package lists", ...lockedAptGet(["update"]), APT_OPTIONS);
      const result = await aptGet(["install", ...missing]);
      if (result.status !== 0) {
        throw new Error(`could not install ${missing.join(", ")}\n${lastLines(result)}`);
      }
    }
  });
  await disableServices([...(await installedPackages())].filter((name) => !before.has(name)));
}

async function installedPackages(): Promise<Set<string>> {
  const result = await run("dpkg-query", ["--show", "--showformat", "${db:Status-Abbrev} ${Package}\n"]);
  return new Set(
    result.stdout.split("\n").flatMap((line) => (line.startsWith("ii ") ? [line.slice(4).trim()] : [])),
  );
}

/** Packages also arrange for their services to start with the machine, which nobody has asked for. */
async function disableServices(packages: readonly string[]): Promise<void> {
  if (packages.length === 0 || (await findExecutables("systemctl")).length === 0) {
    return;
  }
  const files = (await run("dpkg-query", ["--listfiles", ...packages])).stdout.split("\n");
  const units = files.flatMap(
    (file) => /\/lib\/systemd\/system\/([^/@]+\.(?:service|socket))$/.exec(file)?.[1] ?? [],
  );
  if (units.length > 0) {
    await run("systemctl", ["disable", "--quiet", ...new Set(units)]);
  }
}

const APT_OPTIONS = {
  env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
  timeoutInSeconds: 300,
};

function aptGet(command: readonly string[]) {
  return run(...lockedAptGet(command), APT_OPTIONS);
}

/** Two rehearsals that start at once install one after the other; the lock is on a folder, so it leaves no file. */
function lockedAptGet([verb = "", ...rest]: readonly string[]): [string, string[]] {
  const options = ["--yes", "--quiet", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=240"];
  return ["flock", ["/var/lib/dpkg", "apt-get", verb, ...options, ...rest]];
}

/** The administrator's own policy, where there is one, is left alone. */
async function withoutServices(workspace: Workspace, install: () => Promise<void>): Promise<void> {
  if (existsSync(SERVICE_POLICY)) {
    return install();
  }
  workspace.leave({ kind: "foreign file", path: SERVICE_POLICY, content: NO_SERVICES });
  writeFileSync(SERVICE_POLICY, NO_SERVICES);
  chmodSync(SERVICE_POLICY, 0o755);
  try {
    await install();
  } finally {
    if (readFileSync(SERVICE_POLICY, "utf8") === NO_SERVICES) {
      rmSync(SERVICE_POLICY, { force: true });
    }
  }
}
