import { renderColumns } from "./columns";
import type { Outcome } from "./rehearsal";
import type { Timeline } from "./timeline";

/** One line for each push: when it got where, in seconds after the push. */
export function renderTable(timeline: Timeline, outcomes: readonly Outcome[]): string {
  const rows = outcomes.map((outcome) => {
    const after = (at: number | undefined) =>
      at === undefined ? "never" : `${((at - outcome.pushedAt) / 1000).toFixed(1)} s`;
    return [
      outcome.commit.slice(0, 10),
      after(timeline.succeeded("received", outcome.commit)?.at),
      after(outcome.imagePushedAt),
      after(timeline.succeeded("building", outcome.commit)?.at),
      after(outcome.seenOnTestAt),
      after(outcome.seenLiveAt),
      after(timeline.succeeded("old version gone", outcome.commit)?.at),
    ];
  });
  const titles = ["push", "received", "image pushed", "built", "test listener", "live", "old version gone"];
  return renderColumns(titles, rows);
}
