import { renderColumns } from "../columns";
import type { Fault } from "./fault";

/** How one fault went. */
export interface FaultResult {
  readonly fault: Pick<Fault, "id" | "name">;
  /** In one line. */
  readonly happened: string;
  /** Pushes that nobody knows of. */
  readonly lost: readonly string[];
  readonly seconds: number;
  /** What should not have been; missing when all was well. */
  readonly trouble?: string;
}

/** A line for each fault: what happened, what was lost, how long it took. */
export function renderFaultTable(results: readonly FaultResult[]): string {
  const rows = results.map(({ fault, happened, lost, seconds, trouble }) => [
    fault.id,
    fault.name,
    trouble ? `FAULT: ${trouble}` : happened,
    lost.length > 0 ? lost.join(", ") : "nothing",
    `${seconds.toFixed(1)} s`,
  ]);
  const titles = ["", "fault", "what happened", "lost", "took"];
  return renderColumns(titles, rows);
}
