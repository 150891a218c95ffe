import type { Delivery } from "../../../rehearsal/backlog/webhook";
import type { Fault } from "../../../rehearsal/faults/fault";
import { runFaults } from "../../../rehearsal/faults/run-faults";
import type { SceneDeps } from "../../../rehearsal/faults/scene";
import { Timeline } from "../../../rehearsal/timeline";

const PUSH = { commit: "a".repeat(40), ref: "refs/heads/main" };

function setting() {
  const deliveries: Delivery[] = [];
  const said: string[] = [];
  const timeline = new Timeline();
  const deps = {
    cloud: { backlog: { deliveries } },
    timeline,
    signal: new AbortController().signal,
    restSeconds: 0.3,
  } as unknown as SceneDeps;
  const play = (faults: readonly Fault[]) => runFaults(faults, deps, (line) => said.push(line));
  return { deliveries, said, timeline, play };
}

function fault(id: string, play: Fault["play"]): Fault {
  return { id, name: `fault ${id}`, guards: "something", play };
}

describe("runFaults", () => {
  test("plays the others when one fails, and names the one that failed", async () => {
    const { play, said } = setting();
    const troubles = await play([
      fault("1", async () => {
        throw new Error("two builds were started");
      }),
      fault("2", async () => "all well"),
    ]);
    expect(troubles).toEqual(["fault 1, fault 1: two builds were started"]);
    expect(said.join("\n")).toMatch(/FAULT: two builds were started[^\n]*\n2 .*all well +nothing/);
  });

  test("puts everything back in reverse order after a fault that failed, too", async () => {
    const { play } = setting();
    const order: number[] = [];
    await play([
      fault("1", async (scene) => {
        for (const step of [1, 2]) scene.restoring(() => order.push(step));
        throw new Error("failed");
      }),
    ]);
    expect(order).toEqual([2, 1]);
  });

  test("puts the rest back when one thing cannot be", async () => {
    const { play } = setting();
    let isBack = false;
    const troubles = await play([
      fault("1", async (scene) => {
        scene.restoring(() => {
          isBack = true;
        });
        scene.restoring(async () => {
          throw new Error("the server does not start");
        });
        return "well";
      }),
    ]);
    expect(isBack).toBe(true);
    expect(troubles).toEqual(["fault 1, fault 1: the server does not start"]);
  });

  test("fails a fault that ended well but lost a delivery", async () => {
    const { play, deliveries } = setting();
    const troubles = await play([
      fault("1", async () => {
        deliveries.push({ before: "", after: PUSH.commit, ref: PUSH.ref, attempts: [], state: "accepted" });
        return "it seemed well";
      }),
    ]);
    expect(troubles).toEqual(["fault 1, fault 1: 1 deliveries are not accounted for"]);
  });

  test("does not ask a fault about deliveries that were made before it", async () => {
    const { play, deliveries } = setting();
    deliveries.push({ before: "", after: PUSH.commit, ref: PUSH.ref, attempts: [], state: "accepted" });
    expect(await play([fault("1", async () => "well")])).toEqual([]);
  });

  test("waits for a push that is still being built", async () => {
    const { play, deliveries, timeline } = setting();
    const troubles = await play([
      fault("1", async () => {
        deliveries.push({ before: "", after: PUSH.commit, ref: PUSH.ref, attempts: [], state: "accepted" });
        setTimeout(
          () => timeline.add({ ...PUSH, stage: "building", state: "succeeded", detail: "published a" }),
          50,
        );
        return "well";
      }),
    ]);
    expect(troubles).toEqual([]);
  });
});
