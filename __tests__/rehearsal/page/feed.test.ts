import type { Activity } from "../../../rehearsal/aws/local-aws";
import { Feed } from "../../../rehearsal/page/feed";
import type { PageEvent } from "../../../rehearsal/page/state";

const MAIN = "refs/heads/main";
const A = "a".repeat(40);
const B = "b".repeat(40);
const DIGEST = `sha256:${"0".repeat(64)}`;

describe("Feed", () => {
  let events: PageEvent[];
  let feed: Feed;
  let now: number;

  beforeEach(() => {
    events = [];
    now = 1000;
    feed = new Feed((event) => events.push(event));
  });

  const push = (after = A, ref = MAIN) => feed.pushed({ ref, after, at: now });
  const happens = (stage: Activity["stage"], state: Activity["state"], about: Partial<Activity> = {}) => {
    now += 100;
    feed.activity({ stage, state, commit: A, detail: "so it is", ...about, at: now });
  };
  const log = (line: string, commit = A, ref = MAIN) => feed.logLine({ commit, ref, at: now }, line);
  const pushes = () => feed.snapshot().pushes;
  const stage = (name: string) => pushes()[0]!.stages.find((one) => one.name === name)!;
  const goLive = (commit: string) => {
    for (const name of ["received", "filtered"] as const) happens(name, "succeeded", { commit, ref: MAIN });
    happens("building", "started", { commit, ref: MAIN });
    happens("building", "succeeded", { commit, ref: MAIN, detail: "published" });
    happens("live", "succeeded", { commit });
  };

  test("follows a push through its stages and says how long each took", () => {
    push();
    happens("received", "succeeded");
    happens("filtered", "succeeded");
    happens("queued", "started", { ref: MAIN });
    happens("queued", "waiting", { detail: "retry 1 in 5 s" });
    expect(pushes()[0]).toMatchObject({ outcome: "under way", reason: "queued: retry 1 in 5 s" });
    happens("building", "started", { ref: MAIN });
    expect(stage("received")).toMatchObject({ state: "succeeded", startedAt: 1000, endedAt: 1100 });
    expect(stage("filtered")).toMatchObject({ state: "succeeded", startedAt: 1100, endedAt: 1200 });
    expect(stage("queued")).toMatchObject({ state: "succeeded", startedAt: 1300, endedAt: 1500 });
    expect(stage("building")).toMatchObject({ state: "started", startedAt: 1500 });
    expect(stage("building")).not.toHaveProperty("endedAt");
  });

  test("keeps a push queued while its build waits for a slot, whatever the state machine says", () => {
    push();
    happens("queued", "waiting", { detail: "waits for one of 2 build slots" });
    happens("queued", "succeeded");
    expect(stage("queued")).toMatchObject({ state: "waiting", detail: "waits for one of 2 build slots" });
  });

  test("reads image and artifact from what the build's scripts say", () => {
    push();
    happens("building", "started", { ref: MAIN });
    log("[image] building aaaaaaaaaa from docker/Dockerfile");
    expect(stage("image").state).toBe("started");
    log(`[image] pushed aaaaaaaaaa: ${DIGEST}`);
    log("[render] rendered imageDetail.json, taskdef.json and appspec.yaml");
    expect(stage("artifact").state).toBe("started");
    log("outcome: published aaaaaaaaaa");
    expect([stage("image").state, stage("artifact").state]).toEqual(["succeeded", "succeeded"]);
    feed.produced(A, { "taskdef.json": "{}" });
    expect(pushes()[0]!.products.map(({ name }) => name)).toEqual(["tag", "digest", "taskdef.json"]);
  });

  test("lets the image fail with its build", () => {
    push();
    happens("building", "started", { ref: MAIN });
    log("[image] building aaaaaaaaaa from docker/Dockerfile");
    happens("building", "failed", { ref: MAIN, detail: "FAILED: exit status 1" });
    expect(stage("image").state).toBe("failed");
    expect(pushes()[0]).toMatchObject({ outcome: "failed" });
  });

  test("calls only the newest live push live, and the one before again after a rollback", () => {
    for (const commit of [A, B]) {
      push(commit);
      goLive(commit);
    }
    expect(pushes().map(({ outcome }) => outcome)).toEqual(["replaced", "live"]);
    expect(events.at(-1)).toMatchObject({
      type: "push",
      push: { commit: "aaaaaaaaaa", outcome: "replaced" },
    });
    happens("live", "failed", { commit: B });
    expect(pushes().map(({ outcome }) => outcome)).toEqual(["live", "failed"]);
  });

  test.each([
    ["other branch", "refs/heads/other", A],
    ["tag", "refs/tags/v1", A],
    ["deletion", MAIN, "0".repeat(40)],
  ])("says that no build was started: %s", (why, ref, after) => {
    push(after, ref);
    happens("filtered", "skipped", { commit: after, ref, detail: "no rule takes it" });
    expect(feed.snapshot().notStarted).toMatchObject([{ why, detail: "no rule takes it" }]);
    expect(pushes()[0]).toMatchObject({ outcome: "not built", reason: "no rule takes it" });
  });

  test("lists what was refused, once, also when it is no push at all", () => {
    happens("received", "failed", { commit: undefined as never, detail: "webhook answered 403" });
    const id = push();
    happens("received", "failed", { ref: MAIN, detail: "webhook answered 400: no" });
    feed.delivered(id);
    happens("received", "failed", { ref: MAIN, detail: "the push is refused" });
    expect(feed.snapshot().notStarted.map(({ detail }) => detail)).toEqual([
      "webhook answered 403",
      "webhook answered 400: no",
    ]);
  });

  test("waits for Backlog's next try after a 503, and knows a second delivery", () => {
    const id = push();
    happens("received", "failed", { ref: MAIN, detail: "webhook answered 503: throttled" });
    expect(stage("received").state).toBe("waiting");
    happens("received", "succeeded", { ref: MAIN });
    feed.delivered(id);
    happens("received", "succeeded", { ref: MAIN });
    expect(feed.snapshot().notStarted).toMatchObject([{ why: "duplicate", push: "main aaaaaaaaaa" }]);
  });

  test.each(["superseded by bbbbbbbbbb", "nothing to build (refs/heads/x is not wanted)"])(
    "lists a build that ended with: %s",
    (detail) => {
      push();
      happens("building", "started", { ref: MAIN });
      happens("building", "succeeded", { ref: MAIN, detail });
      expect(feed.snapshot().notStarted).toMatchObject([{ detail }]);
      expect(["superseded", "not built"]).toContain(pushes()[0]!.outcome);
    },
  );

  test("keeps the pushes of one commit to two branches apart", () => {
    push(A, MAIN);
    push(A, "refs/heads/copy");
    happens("filtered", "skipped", { ref: "refs/heads/copy" });
    happens("building", "started", { ref: MAIN });
    happens("live", "succeeded");
    expect(pushes().map(({ name, outcome }) => [name, outcome])).toEqual([
      ["main", "live"],
      ["copy", "not built"],
    ]);
  });

  test("shows hostile text without control characters and escape sequences, and not endlessly", () => {
    const id = push(A, `refs/heads/<img/src=x>\u202e${"x".repeat(300)}`);
    feed.described(id, { author: "Eve\u0007", message: `\u001b[31m<script>\u001b[0m\nsecond line` });
    const [shown] = pushes();
    expect(shown).toMatchObject({ author: "Eve\ufffd", message: "<script>" });
    expect(shown!.name).toMatch(/^<img\/src=x>\ufffdx{188}…$/);
    log("\u001b]0;title\u0007done\r", A, `refs/heads/<img/src=x>\u202e${"x".repeat(300)}`);
    expect(feed.snapshot().logs).toMatchObject([{ lines: ["done\ufffd"] }]);
  });

  test("keeps the end of a long log and tells where it begins", () => {
    push();
    for (let line = 0; line < 2005; line += 1) log(`line ${line}`);
    const [kept] = feed.snapshot().logs;
    expect([kept!.from, kept!.lines.length, kept!.lines[0]]).toEqual([5, 2000, "line 5"]);
    expect(events.at(-1)).toMatchObject({ type: "log", from: 2004, lines: ["line 2004"] });
  });

  test("keeps the log that is being written, even when its push is older than all others with one", () => {
    const commits = Array.from({ length: 41 }, (_, index) => index.toString(16).padStart(40, "0"));
    for (const after of commits) feed.pushed({ ref: "refs/heads/burst", after, at: 0 });
    for (const commit of [...commits].reverse()) {
      feed.logLine({ commit, ref: "refs/heads/burst", at: 1 }, `of ${commit}`);
    }
    const logs = feed.snapshot().logs.map(({ lines }) => lines[0]);
    expect(logs).toHaveLength(40);
    expect(logs).toContain(`of ${commits[0]}`);
  });

  test("keeps 300 pushes, and tells which one is gone", () => {
    const first = push();
    for (let count = 0; count < 300; count += 1) push();
    expect(pushes()).toHaveLength(300);
    expect(events).toContainEqual({ type: "gone", push: first });
  });

  test("tells of dead letters and traffic only when they change", () => {
    const letter = {
      queue: "q",
      id: "1",
      about: "main",
      error: "<b>",
      at: 1,
      replays: "starts the build again",
    };
    for (let time = 0; time < 2; time += 1) {
      feed.deadLetters([letter]);
      feed.trafficNow({ listeners: [], groups: [{ colour: "blue", version: "", targets: [] }] });
    }
    expect(events.map(({ type }) => type)).toEqual(["letters", "traffic"]);
  });
});
