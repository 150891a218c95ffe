import { ConfigError, checkConfig } from "../../config/load-config";
import { configInput, type Json } from "./stack";

/** The lines that a configuration's check answers, without their dashes; none when it is accepted. */
export function faultsIn(input: unknown): string[] {
  try {
    checkConfig(input, "test");
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.message.split("\n  - ").slice(1);
  }
}

/** The same for the shipped configuration with some settings (dotted paths) replaced; `undefined` takes one away. */
export function faultsWith(settings: Record<string, unknown>): string[] {
  const input: Json = structuredClone(configInput());
  for (const [path, value] of Object.entries(settings)) {
    const names = path.split(".");
    const last = names.pop()!;
    const parent = names.reduce((at, name) => {
      at[name] ??= {};
      return at[name];
    }, input);
    if (value === undefined) delete parent[last];
    else parent[last] = value;
  }
  return faultsIn(input);
}
