/**
 * A CodeBuild build specification, version 0.2, as far as builds without source and artifacts use it.
 * What AWS knows and this rehearsal does not play is refused by name, never skipped.
 * Left out: `batch`, `proxy`, `reports`, `cache`, `artifacts`, `run-as`, `on-failure` other than ABORT, parameter store.
 *
 * @see https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html
 */
import { parseDocument } from "yaml";

/** Length that an inline build specification may have, in characters. */
export const BUILDSPEC_MAX_CHARACTERS = 25_600;

export const PHASES = ["install", "pre_build", "build", "post_build"] as const;
export type PhaseName = (typeof PHASES)[number];

export interface Phase {
  readonly commands: readonly string[];
  readonly finally: readonly string[];
  /** A failure ends the build, also where the next phase would run by CodeBuild's own rules. */
  readonly abortOnFailure: boolean;
}

export interface Buildspec {
  readonly shell: "sh" | "bash";
  readonly variables: Readonly<Record<string, string>>;
  /** Variable name to `secret-id:json-key:version-stage:version-id`. */
  readonly secrets: Readonly<Record<string, string>>;
  readonly phases: Readonly<Partial<Record<PhaseName, Phase>>>;
}

/** A build specification that CodeBuild would not take; the build fails before its first command. */
export class BuildspecError extends Error {
  /** Status code in the phase's context. */
  readonly code = "YAML_FILE_ERROR";
}

/**
 * Reads a build specification.
 * @throws BuildspecError with the place and what is wrong there
 */
export function parseBuildspec(text: string): Buildspec {
  const document = parseDocument(text);
  const [fault] = document.errors;
  if (fault) throw new BuildspecError(`the build specification is not YAML: ${fault.message}`);
  const root = map(document.toJS(), "the build specification");
  only(root, "", ["version", "env", "phases"]);
  if (String(root.version) !== "0.2") {
    throw new BuildspecError(`version must be 0.2, got: ${JSON.stringify(root.version)}`);
  }
  const env = map(root.env ?? {}, "env");
  // Exported variables are for a pipeline that runs the build; without one nobody reads them.
  only(env, "env.", ["shell", "variables", "secrets-manager", "exported-variables"]);
  const shell = env.shell ?? "sh";
  if (shell !== "sh" && shell !== "bash") {
    throw new BuildspecError(`env.shell must be sh or bash, got: ${JSON.stringify(shell)}`);
  }
  const phases = map(root.phases, "phases");
  only(phases, "phases.", PHASES);
  return {
    shell,
    variables: strings(env.variables, "env.variables"),
    secrets: strings(env["secrets-manager"], "env.secrets-manager"),
    phases: Object.fromEntries(
      Object.entries(phases).map(([name, value]) => [name, phase(value, `phases.${name}`)]),
    ),
  };
}

function phase(value: unknown, path: string): Phase {
  const entry = map(value, path);
  only(entry, `${path}.`, ["commands", "finally", "on-failure"]);
  const onFailure = entry["on-failure"];
  if (onFailure !== undefined && onFailure !== "ABORT") {
    throw new BuildspecError(`${path}.on-failure must be ABORT, got: ${JSON.stringify(onFailure)}`);
  }
  return {
    commands: commands(entry.commands, `${path}.commands`),
    finally: commands(entry.finally, `${path}.finally`),
    abortOnFailure: onFailure === "ABORT",
  };
}

function commands(value: unknown, path: string): string[] {
  const list = value ?? [];
  if (!Array.isArray(list)) throw new BuildspecError(`${path} must be a list`);
  return list.map((command, index) => {
    if (typeof command !== "string") {
      const found = command === null ? "nothing" : typeof command === "object" ? "map" : typeof command;
      throw new BuildspecError(`expected ${path}[${index}] to be of string type: found ${found}`);
    }
    return command;
  });
}

function map(value: unknown, path: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new BuildspecError(`${path} must be a map`);
  }
  return value as Record<string, unknown>;
}

function only(value: Record<string, unknown>, prefix: string, known: readonly string[]): void {
  const unknown = Object.keys(value).filter((key) => !known.includes(key));
  if (unknown.length > 0) {
    throw new BuildspecError(`unknown or unsupported: ${unknown.map((key) => prefix + key).join(", ")}`);
  }
}

function strings(value: unknown, path: string): Record<string, string> {
  const entries = Object.entries(map(value ?? {}, path));
  return Object.fromEntries(
    entries.map(([name, one]) => {
      if (typeof one === "object") throw new BuildspecError(`${path}.${name} must be a string`);
      return [name, String(one)];
    }),
  );
}
