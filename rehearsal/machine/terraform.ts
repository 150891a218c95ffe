import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { findExecutables, run } from "./command";

/** Oldest version that knows everything the synthesised JSON uses. */
export const OLDEST_TERRAFORM = "1.6.0";

/** Names a folder with providers (a "filesystem mirror"), before the usual places are searched. */
export const MIRROR_VARIABLE = "REHEARSAL_PROVIDER_MIRROR";

/** A provider in a mirror folder. */
export interface MirroredProvider {
  /** E.g. `hashicorp/aws`. */
  readonly name: string;
  /** Newest version there for this machine. */
  readonly version: string;
}

export interface Mirror {
  readonly folder: string;
  /** Registry the providers were mirrored from, e.g. `registry.terraform.io`. */
  readonly registry: string;
  readonly providers: readonly MirroredProvider[];
}

export interface Terraform {
  readonly binary: string;
  readonly kind: "terraform" | "opentofu";
  readonly version: string;
  /** A folder that has the AWS provider; without one it is downloaded. */
  readonly mirror?: Mirror;
  /** Version of the AWS provider in the mirror. */
  readonly awsProviderVersion?: string;
}

/**
 * Finds Terraform or OpenTofu and a folder with the AWS provider.
 * @throws Error when no usable program is found, with what was found instead
 */
export async function findTerraform(env: NodeJS.ProcessEnv = process.env): Promise<Terraform> {
  const program = await findProgram(env);
  // A short provider address (`hashicorp/aws`) means another registry to each program.
  const mirror = findMirror(
    env,
    program.kind === "opentofu" ? "registry.opentofu.org" : "registry.terraform.io",
  );
  const aws = mirror?.providers.find(({ name }) => name === "hashicorp/aws");
  return { ...program, ...(mirror && aws ? { mirror, awsProviderVersion: aws.version } : {}) };
}

async function findProgram(env: NodeJS.ProcessEnv): Promise<Pick<Terraform, "binary" | "kind" | "version">> {
  // The same variable that cdktf itself reads.
  const wanted = env.TERRAFORM_BINARY_NAME;
  const refused: string[] = [];
  for (const name of wanted ? [wanted] : ["terraform", "tofu"]) {
    for (const binary of name.includes("/") ? [resolve(name)] : await findExecutables(name, env.PATH)) {
      const result = await run(binary, ["version", "-json"], {
        // Its own configuration file could be missing or broken; and it would ask for newer versions.
        env: { ...env, TF_CLI_CONFIG_FILE: "/dev/null", CHECKPOINT_DISABLE: "1" },
        timeoutInSeconds: 20,
      });
      const version = versionOf(result.stdout);
      if (result.status !== 0 || version === undefined) {
        refused.push(`${binary} does not answer "version -json"`);
      } else if (compareVersions(version, OLDEST_TERRAFORM) < 0) {
        refused.push(`${binary} is ${version}, which is older than ${OLDEST_TERRAFORM}`);
      } else {
        return { binary, version, kind: await kindOf(binary, env) };
      }
    }
  }
  throw new Error(
    [
      `found no ${wanted ? `"${wanted}" (TERRAFORM_BINARY_NAME)` : "Terraform or OpenTofu"} of ${OLDEST_TERRAFORM} or newer on the PATH${refused.length > 0 ? `: ${refused.join("; ")}` : ""}`,
      "install one: https://developer.hashicorp.com/terraform/install or https://opentofu.org/docs/intro/install/",
    ].join("\n"),
  );
}

function versionOf(json: string): string | undefined {
  try {
    const version = (JSON.parse(json) as { terraform_version?: unknown }).terraform_version;
    return typeof version === "string" ? version : undefined;
  } catch {
    return undefined;
  }
}

async function kindOf(binary: string, env: NodeJS.ProcessEnv): Promise<Terraform["kind"]> {
  const result = await run(binary, ["version"], {
    env: { ...env, TF_CLI_CONFIG_FILE: "/dev/null", CHECKPOINT_DISABLE: "1" },
  });
  return result.stdout.startsWith("OpenTofu") ? "opentofu" : "terraform";
}

/**
 * The first mirror folder that has the AWS provider for this machine: the one the variable names, then the places
 * that Terraform itself searches, then where administrators put such folders.
 * @throws Error when the variable names a folder without the AWS provider
 * @see https://developer.hashicorp.com/terraform/cli/config/config-file#implied-local-mirror-directories
 */
export function findMirror(
  env: NodeJS.ProcessEnv,
  registry = "registry.terraform.io",
  machineRoot = "/",
): Mirror | undefined {
  const named = env[MIRROR_VARIABLE];
  if (named) {
    const mirror = firstMirror([resolve(named)], registry);
    if (!mirror) {
      throw new Error(
        `${MIRROR_VARIABLE} is ${named}, but there is no ${registry}/hashicorp/aws/<version>/${platform()} in it`,
      );
    }
    return mirror;
  }
  const home = env.HOME ?? homedir();
  const dataFolders = (env.XDG_DATA_DIRS || "/usr/local/share:/usr/share").split(":").filter(Boolean);
  const at = (path: string) => join(machineRoot, path);
  return firstMirror(
    [
      join(home, ".terraform.d/plugins"),
      join(env.XDG_DATA_HOME || join(home, ".local/share"), "terraform/plugins"),
      ...[...dataFolders, "/usr/local/share", "/usr/share"].map((folder) =>
        at(join(folder, "terraform/plugins")),
      ),
      ...["/opt", "/srv", "/var/lib", "/usr/local/lib", "/usr/lib"].flatMap((folder) =>
        subfolders(at(folder)),
      ),
      ...subfolders(home),
    ],
    registry,
  );
}

function firstMirror(folders: readonly string[], registry: string): Mirror | undefined {
  for (const folder of new Set(folders)) {
    const providers = providersIn(join(folder, registry));
    if (providers.some(({ name }) => name === "hashicorp/aws")) {
      return { folder, registry, providers };
    }
  }
  return undefined;
}

/** Providers for this machine, unpacked (`<version>/<platform>/`) or packed (`..._<version>_<platform>.zip`). */
function providersIn(folder: string): MirroredProvider[] {
  return subfolders(folder)
    .flatMap(subfolders)
    .flatMap((provider) => {
      const unpacked = subfolders(provider)
        .filter((version) => existsSync(join(version, platform())))
        .map((version) => version.slice(provider.length + 1));
      const packed = names(provider).flatMap((name) => {
        const match = /^terraform-provider-[^_]+_(.+)_([^_]+_[^_]+)\.zip$/.exec(name);
        return match?.[2] === platform() ? [match[1]!] : [];
      });
      const version = [...unpacked, ...packed].sort(compareVersions).at(-1);
      return version === undefined ? [] : [{ name: provider.split("/").slice(-2).join("/"), version }];
    });
}

function subfolders(folder: string): string[] {
  return names(folder)
    .map((name) => join(folder, name))
    .filter((path) => statSync(path, { throwIfNoEntry: false })?.isDirectory());
}

function names(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

/** This machine in Terraform's words. */
export function platform(): string {
  const architectures: Partial<Record<NodeJS.Architecture, string>> = { x64: "amd64", ia32: "386" };
  return `${process.platform}_${architectures[process.arch] ?? process.arch}`;
}

/** Orders versions by their numbers; a pre-release comes before its release. */
export function compareVersions(a: string, b: string): number {
  const parts = (version: string) => {
    const [numbers = "", preRelease] = version.split("-", 2);
    return [...numbers.split(".").map(Number), preRelease === undefined ? 1 : 0];
  };
  const [left, right] = [parts(a), parts(b)];
  for (let index = 0; index < Math.max(left.length, right.length); index += 1) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0);
    if (difference !== 0) {
      return difference;
    }
  }
  return 0;
}

/**
 * Writes a configuration for the program: providers that the mirror has come from there and nowhere else, all others
 * from their registry; downloads are kept. The user's own configuration file plays no part.
 * @returns environment variables that make the program use it
 */
export function configureTerraform(
  terraform: Terraform,
  folders: { readonly configuration: string; readonly cache: string },
): Record<string, string> {
  const { mirror } = terraform;
  const cache = join(folders.cache, "terraform-providers");
  mkdirSync(cache, { recursive: true });
  mkdirSync(folders.configuration, { recursive: true });
  const file = join(folders.configuration, "terraform.rc");
  const mirrored = mirror?.providers
    .map(({ name }) => JSON.stringify(`${mirror.registry}/${name}`))
    .join(", ");
  writeFileSync(
    file,
    [
      `plugin_cache_dir = ${JSON.stringify(cache)}`,
      // The lock file of a rehearsal is thrown away with it, so checksums of other machines do not matter.
      "plugin_cache_may_break_dependency_lock_file = true",
      "disable_checkpoint = true",
      ...(mirror
        ? [
            "provider_installation {",
            "  filesystem_mirror {",
            `    path    = ${JSON.stringify(mirror.folder)}`,
            `    include = [${mirrored}]`,
            "  }",
            "  direct {",
            `    exclude = [${mirrored}]`,
            "  }",
            "}",
          ]
        : []),
      "",
    ].join("\n"),
  );
  return {
    TF_CLI_CONFIG_FILE: file,
    TERRAFORM_BINARY_NAME: terraform.binary,
    CHECKPOINT_DISABLE: "1",
    TF_IN_AUTOMATION: "1",
  };
}
