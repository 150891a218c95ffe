import { statSync } from "node:fs";
import { resolve } from "node:path";
import { z } from "zod";
import { describeFaults } from "./faults";
import { type Config, configSchema } from "./schema";

/** A configuration that cannot be used; the message lists every fault. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  /** Without the calls: the fault is in the configuration, not where it was found. */
  override readonly stack = `ConfigError: ${this.message}`;
}

// What zod says by itself, in the house's words.
z.config({
  customError: (issue) => {
    if (issue.code === "invalid_type") return `must be of type ${issue.expected}`;
    return undefined;
  },
});

/**
 * Checks a configuration and fills in the defaults.
 * @param source the file's name, for the message
 * @throws ConfigError with all faults at once
 */
export function checkConfig(input: unknown, source: string): Config {
  const result = configSchema.safeParse(input, { reportInput: true });
  if (result.success) return result.data;
  const faults = describeFaults(result.error, input);
  throw new ConfigError(
    [`${source} has ${faults.length} ${faults.length === 1 ? "fault" : "faults"}:`, ...faults].join("\n  - "),
  );
}

/**
 * Loads the configuration file that the environment variable `PIPELINE_CONFIG` names; `pipeline.config.ts` without it.
 * @throws ConfigError when there is no such file, it exports no configuration, or the configuration has faults
 */
export function loadConfig(file = process.env.PIPELINE_CONFIG || "pipeline.config.ts"): Config {
  const path = resolve(file);
  if (!statSync(path, { throwIfNoEntry: false })?.isFile()) {
    throw new ConfigError(
      `there is no configuration file ${file}; the variable PIPELINE_CONFIG can name another`,
    );
  }
  const { default: input } = require(path) as { default?: unknown };
  if (input === undefined) throw new ConfigError(`${file} must \`export default defineConfig({ ... })\``);
  return checkConfig(input, file);
}
