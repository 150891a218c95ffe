import { z } from "zod";
import { backlogSchema, webhookSchema } from "./backlog";
import { backlogDockerBuildSchema } from "./backlog-docker-build";
import { whenWell } from "./cross-field";
import { alertsSchema, projectSchema, stateSchema } from "./project";

/** Everything that `pipeline.config.ts` may say. */
export const configSchema = z
  .strictObject({
    project: projectSchema,
    state: stateSchema,
    alerts: alertsSchema,
    backlog: backlogSchema,
    webhook: webhookSchema,
    backlogDockerBuild: backlogDockerBuildSchema,
  })
  .superRefine(
    ({ project, backlogDockerBuild: { service } }, context) => {
      const path = ["backlogDockerBuild", "service", "certificateArn"];
      requireRegion(service.certificateArn, project.region, path, context);
    },
    whenWell("project.region", "backlogDockerBuild.service.certificateArn"),
  )
  .superRefine(
    ({ project, backlog }, context) => {
      requireRegion(backlog.sshKey.secretArn, project.region, ["backlog", "sshKey", "secretArn"], context);
    },
    whenWell("project.region", "backlog.sshKey"),
  );

/** Load balancers and builds use only what stands in their own region. */
function requireRegion(
  arn: string | undefined,
  region: string,
  path: string[],
  context: z.core.$RefinementCtx,
): void {
  if (arn === undefined || arn.split(":")[3] === region) return;
  context.addIssue({
    code: "custom",
    path,
    message: `must be an ARN of project.region, ${region}`,
    input: arn,
  });
}

/** A configuration as people write it: what has a default may be left out. */
export type ConfigInput = z.input<typeof configSchema>;

/** A checked configuration with every default filled in. */
export type Config = z.output<typeof configSchema>;
