import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "../config/schema";

/** What the rehearsal changes in a configuration, because it plays on this machine alone. */
export interface LocalSettings {
  /** The only network that may call the webhook: where the rehearsed Backlog sends from. */
  readonly senderCidr: string;
  /** A line of known_hosts for the rehearsed Backlog. */
  readonly knownHosts: string;
  /** Secret with the SSH key that the rehearsed Backlog knows. */
  readonly secretArn: string;
}

/** For people: every difference to the configuration that would be deployed. */
export const DIFFERENCES = [
  "project.removal: destroy, and local state (so that everything can be taken down again)",
  "backlog.sshKey, backlog.knownHosts: those of the rehearsed Backlog",
  "webhook.senderCidrs: the address that the rehearsed Backlog sends from",
];

/**
 * Writes a configuration file that takes the user's and changes only what `DIFFERENCES` says.
 * @returns the file's path, for PIPELINE_CONFIG
 */
export function writeLocalConfig(folder: string, config: Config, local: LocalSettings): string {
  const rehearsed: Config = {
    ...config,
    project: { ...config.project, removal: "destroy" },
    state: { type: "local", directory: "state" },
    backlog: {
      ...config.backlog,
      knownHosts: [local.knownHosts],
      trustOnFirstUse: false,
      sshKey: { secretArn: local.secretArn },
    },
    webhook: { ...config.webhook, senderCidrs: [local.senderCidr] },
  };
  const file = join(folder, "pipeline.config.json");
  writeFileSync(file, JSON.stringify({ default: rehearsed }, undefined, 2));
  return file;
}
