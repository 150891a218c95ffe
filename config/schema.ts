import { z } from "zod";
import { backlogSchema, webhookSchema } from "./backlog";
import { backlogDockerBuildSchema } from "./backlog-docker-build";
import { alertsSchema, projectSchema, stateSchema } from "./project";

/** Everything that `pipeline.config.ts` may say. */
export const configSchema = z.strictObject({
  project: projectSchema,
  state: stateSchema,
  alerts: alertsSchema,
  backlog: backlogSchema,
  webhook: webhookSchema,
  backlogDockerBuild: backlogDockerBuildSchema,
});

/** A configuration as people write it: what has a default may be left out. */
export type ConfigInput = z.input<typeof configSchema>;

/** A checked configuration with every default filled in. */
export type Config = z.output<typeof configSchema>;
