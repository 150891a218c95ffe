import { renderColumns } from "../columns";
import type { RehearsedStack } from "../stack";
import type { Fault } from "./fault";
import type { Protection } from "./protections";
import { playFault } from "./run-faults";
import type { SceneDeps } from "./scene";

/** Without the protection most faults wait in vain. With it, nothing that they wait for takes half as long. */
const IMPATIENT = { patienceSeconds: 25, restSeconds: 3 };

/**
 * Takes one protection after another out of the deployed stack, and plays the fault that it stands against: that must
 * do harm now. Deploys what is shipped again at the end. Prints the table.
 * @returns what was wrong, in sentences: protections without which nothing happens
 */
export async function runProtections(
  protections: readonly Protection[],
  faults: readonly Fault[],
  stack: Pick<RehearsedStack, "apply">,
  deps: SceneDeps,
  say: (line: string) => void,
): Promise<string[]> {
  const rows: string[][] = [];
  const wrong: string[] = [];
  for (const { name, fault: id, harm, takeOut } of protections) {
    const fault = faults.find((one) => one.id === id);
    if (!fault) throw new Error(`there is no fault ${id}`);
    say(`Without ${name}: ${id} ${fault.name} ...`);
    await stack.apply(takeOut);
    const { trouble, seconds } = await playFault(fault, { ...deps, ...IMPATIENT });
    const didHarm = trouble !== undefined && harm.test(trouble);
    const became = didHarm ? trouble : `FAULT: ${trouble ?? "nothing happened"}`;
    say(`Without ${name}: ${became}`);
    rows.push([name, id, became, `${seconds.toFixed(1)} s`]);
    if (!didHarm)
      wrong.push(
        `without ${name} fault ${id} was expected to fail with ${harm}, got: ${trouble ?? "nothing"}`,
      );
    deps.signal.throwIfAborted();
  }
  await stack.apply();
  say(`\n${renderColumns(["without", "fault", "harm", "took"], rows)}\n`);
  return wrong;
}
