import { lost } from "./ending";
import type { Fault } from "./fault";
import { type FaultResult, renderFaultTable } from "./fault-table";
import { Scene, type SceneDeps } from "./scene";

/** How long a push may be under way after its fault's end. */
const REST_SECONDS = 90;

/**
 * Plays faults one after another against the deployed stack; one that fails does not keep the others from being
 * played. Prints the table.
 * @returns what was wrong, in sentences
 */
export async function runFaults(
  faults: readonly Fault[],
  deps: SceneDeps,
  say: (line: string) => void,
): Promise<string[]> {
  const results: FaultResult[] = [];
  for (const fault of faults) {
    say(`${fault.id} ${fault.name} ...`);
    const result = await playFault(fault, deps);
    say(`${fault.id}: ${result.trouble ?? result.happened}`);
    results.push(result);
    deps.signal.throwIfAborted();
  }
  say(`\n${renderFaultTable(results)}\n`);
  return results.flatMap(({ fault, trouble }) =>
    trouble ? [`fault ${fault.id}, ${fault.name}: ${trouble}`] : [],
  );
}

/** Plays one fault, puts back what it broke, and accounts for its pushes. */
export async function playFault(fault: Fault, deps: SceneDeps): Promise<FaultResult> {
  const { timeline, cloud, restSeconds = REST_SECONDS } = deps;
  const scene = new Scene(fault.id, deps);
  const first = cloud.backlog.deliveries.length;
  const troubles: string[] = [];
  const attempt = async (step: () => Promise<unknown>) => {
    await step().catch((error: Error) => troubles.push(error.message));
  };
  let happened = "";
  await attempt(async () => {
    happened = await fault.play(scene);
  });
  await attempt(() => scene.restore());
  const unaccounted = () => lost(timeline.activities, cloud.backlog.deliveries.slice(first));
  // A push that is still under way has not been lost.
  await scene
    .holds("every delivery ends", async () => unaccounted().length === 0, restSeconds)
    .catch(() => {});
  const missing = unaccounted();
  if (missing.length > 0) troubles.push(`${missing.length} deliveries are not accounted for`);
  return {
    fault,
    happened,
    lost: missing.map(({ after, ref }) => `${after.slice(0, 10)} of ${ref}`),
    seconds: (Date.now() - scene.startedAt) / 1000,
    ...(troubles.length > 0 ? { trouble: troubles.join("; ") } : {}),
  };
}
