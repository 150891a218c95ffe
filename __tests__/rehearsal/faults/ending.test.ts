import type { Delivery } from "../../../rehearsal/backlog/webhook";
import { endingsOf, lost } from "../../../rehearsal/faults/ending";
import type { Happened } from "../../../rehearsal/timeline";

const COMMIT = "a".repeat(40);
const REF = "refs/heads/main";
const PUSH = { commit: COMMIT, ref: REF };

function happened(one: Omit<Happened, "at" | "commit" | "ref">): Happened {
  return { ...PUSH, ...one, at: 0 };
}

function delivery(state: Delivery["state"]): Delivery {
  return { before: "0".repeat(40), after: COMMIT, ref: REF, attempts: [], state };
}

describe("endingsOf", () => {
  test.each([
    ["published aaaaaaaaaa", "published"],
    ["image only, tag aaaaaaaaaa (refs/heads/x does not go live)", "image only"],
    ["superseded by bbbbbbbbbb (refs/heads/main has moved on)", "superseded"],
    ["nothing changed, aaaaaaaaaa was published before", "repeated"],
    ["nothing to build (refs/tags/1 is not a branch)", "not wanted"],
  ])("reads the outcome %p as %p", (detail, kind) => {
    const built = happened({ stage: "building", state: "succeeded", detail });
    expect(endingsOf([built], PUSH)).toEqual([{ kind, detail }]);
  });

  test("takes a build that ended well without an outcome for no ending: somebody must say what became of it", () => {
    expect(
      endingsOf([happened({ stage: "building", state: "succeeded", detail: "ended well" })], PUSH),
    ).toEqual([]);
  });

  test.each([
    ["building", "FAILED: exit status 1", "build failed"],
    ["queued", "BuildNotStarted: The push is in the dead-letter queue", "dead letter"],
    ["queued", "rule r could not reach m: denied; now a dead letter in q", "dead letter"],
  ] as const)("counts a failure at %p with %p", (stage, detail, kind) => {
    expect(endingsOf([happened({ stage, state: "failed", detail })], PUSH)).toEqual([{ kind, detail }]);
  });

  test("does not take an event that was dropped for a dead letter", () => {
    const detail = "rule r could not reach m: denied; dropped: no dead-letter queue";
    expect(endingsOf([happened({ stage: "queued", state: "failed", detail })], PUSH)).toEqual([]);
  });

  test("tells the same commit on another branch apart", () => {
    const other = {
      ...happened({ stage: "building", state: "succeeded", detail: "published a" }),
      ref: "other",
    };
    expect(endingsOf([other], PUSH)).toEqual([]);
  });

  test("counts each ending of a push that was delivered more than once", () => {
    const first = happened({ stage: "building", state: "succeeded", detail: "published a" });
    const second = happened({ stage: "building", state: "succeeded", detail: "nothing changed, a" });
    expect(endingsOf([first, second], PUSH).map(({ kind }) => kind)).toEqual(["published", "repeated"]);
  });
});

describe("lost", () => {
  test("names a delivery that was taken and of which nothing came", () => {
    expect(lost([], [delivery("accepted")])).toHaveLength(1);
  });

  test("names one that is still on its way", () => {
    const built = happened({ stage: "building", state: "succeeded", detail: "published a" });
    expect(lost([built], [delivery("sending")])).toHaveLength(1);
  });

  test("names none that came to an end", () => {
    const built = happened({ stage: "building", state: "succeeded", detail: "published a" });
    expect(lost([built], [delivery("accepted")])).toEqual([]);
  });

  test("names none that Backlog itself shows as not delivered", () => {
    expect(lost([], [delivery("refused"), delivery("lost")])).toEqual([]);
  });
});
