import type { Config } from "../../config/schema";

/** Branches that the fault run adds to those that are built, for pushes that need no deployment. */
export const SIDE_BRANCHES = "rehearsal/*";

/** For people: what a fault run changes in a configuration. */
export const SIDE_BRANCHES_DIFFERENCE = `backlogDockerBuild.buildOnlyBranches: ${SIDE_BRANCHES} too, for faults that need no deployment`;

/** The configuration with `SIDE_BRANCHES`. */
export function withSideBranches(config: Config): Config {
  const { backlogDockerBuild } = config;
  const buildOnlyBranches = [...backlogDockerBuild.buildOnlyBranches, SIDE_BRANCHES];
  return { ...config, backlogDockerBuild: { ...backlogDockerBuild, buildOnlyBranches } };
}
