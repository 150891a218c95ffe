import type { Config } from "../../config/schema";
import { ARTIFACT_EVENTS } from "./artifact-events";
import { BAD_VERSIONS } from "./bad-versions";
import { BUILD_CUT_SHORT } from "./build-cut-short";
import { BUILD_NOT_STARTED } from "./build-not-started";
import { BURST } from "./burst";
import type { Fault } from "./fault";
import { GIT_SERVER_TROUBLE } from "./git-server-trouble";
import { HOSTILE_REQUESTS } from "./hostile-requests";
import { IMAGE_TROUBLE } from "./image-trouble";
import { MISSING_PERMISSIONS } from "./missing-permissions";
import { RACING_PUSHES } from "./racing-pushes";
import { REPEATED_DELIVERIES } from "./repeated-deliveries";
import { WEBHOOK_REFUSED } from "./webhook-refused";

/** Every fault, in the order in which they are played. */
export const FAULTS: readonly Fault[] = [
  ...BUILD_NOT_STARTED,
  ...WEBHOOK_REFUSED,
  ...REPEATED_DELIVERIES,
  ...RACING_PUSHES,
  ...GIT_SERVER_TROUBLE,
  ...IMAGE_TROUBLE,
  ...BAD_VERSIONS,
  ...BUILD_CUT_SHORT,
  ...ARTIFACT_EVENTS,
  ...BURST,
  ...HOSTILE_REQUESTS,
  ...MISSING_PERMISSIONS,
];

/** Those that can be injected where pushes are delivered in this way. */
export function faultsOf(
  delivery: Config["webhook"]["delivery"],
  faults: readonly Fault[] = FAULTS,
): Fault[] {
  return faults.filter((fault) => (fault.delivery ?? delivery) === delivery);
}

/**
 * The faults that are named, by family (`3`) or one by one (`3b`), separated by commas or blanks; all of them when
 * none is named.
 * @throws Error for a name that is none
 */
export function selectFaults(names: readonly string[], faults: readonly Fault[] = FAULTS): Fault[] {
  const wanted = names.flatMap((name) => name.split(",")).filter(Boolean);
  if (wanted.length === 0) return [...faults];
  const isNamed = (fault: Fault, name: string) => fault.id === name || /^\d+/.exec(fault.id)?.[0] === name;
  const unknown = wanted.filter((name) => !faults.some((fault) => isNamed(fault, name)));
  if (unknown.length > 0) {
    throw new Error(
      `--faults takes ${faults.map(({ id }) => id).join(", ")} or their numbers, got: ${unknown.join(", ")}`,
    );
  }
  return faults.filter((fault) => wanted.some((name) => isNamed(fault, name)));
}
