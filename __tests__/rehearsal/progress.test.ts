import { Progress } from "../../rehearsal/progress";
import { Timeline } from "../../rehearsal/timeline";

describe("Progress", () => {
  test("tells of what waits and waits more and more seldom", () => {
    const lines: string[] = [];
    const timeline = new Timeline();
    new Progress((line) => lines.push(line)).follow(timeline);
    const push = { commit: "a".repeat(40), ref: "refs/heads/main", stage: "queued" } as const;
    for (let times = 1; times <= 9; times += 1) {
      timeline.add({ ...push, state: "waiting", detail: `retry ${times}` });
    }
    timeline.add({ ...push, state: "succeeded", detail: "ended well" });
    timeline.add({ ...push, state: "waiting", detail: "retry 1 of another" });
    const details = lines.map((line) => line.replace(/.*queued: /, ""));
    expect(details).toEqual(["retry 1", "retry 2", "retry 4", "retry 8", "ended well", "retry 1 of another"]);
  });
});
