import type { ConfigInput } from "./schema";

/**
 * Types a configuration for the editor's help; it is checked when it is loaded.
 * @example export default defineConfig({ project: { ... }, ... });
 */
export function defineConfig(config: ConfigInput): ConfigInput {
  return config;
}
