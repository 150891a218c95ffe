import { StageLock } from "../../../rehearsal/data-plane/stage-lock";

describe("StageLock", () => {
  it("lets in one after another, and only the newest of those that wait", async () => {
    const lock = new StageLock<string>();
    expect(await lock.enter("a", "SUPERSEDED")).toBe(true);
    const b = lock.enter("b", "SUPERSEDED");
    const c = lock.enter("c", "SUPERSEDED");
    expect(await b).toBe(false);
    expect(lock.waiting).toEqual(["c"]);
    lock.leave("a");
    expect(await c).toBe(true);
    expect(lock.waiting).toEqual([]);
  });

  it("keeps the order in mode QUEUED", async () => {
    const lock = new StageLock<string>();
    await lock.enter("a", "QUEUED");
    const order: string[] = [];
    const others = ["b", "c"].map((name) =>
      lock.enter(name, "QUEUED").then(() => {
        order.push(name);
        lock.leave(name);
      }),
    );
    lock.leave("a");
    await Promise.all(others);
    expect(order).toEqual(["b", "c"]);
  });

  it("locks nobody out in mode PARALLEL", async () => {
    const lock = new StageLock<string>();
    expect(await lock.enter("a", "PARALLEL")).toBe(true);
    expect(await lock.enter("b", "PARALLEL")).toBe(true);
  });
});
