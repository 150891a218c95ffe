import type { Stage } from "../aws/local-aws";
import type { Happened } from "../timeline";
import { plain, plainLines } from "./plain-text";
import { Stages } from "./stages";
import type {
  DeadLetter,
  NotStarted,
  PageEvent,
  PageState,
  Product,
  PushView,
  StageState,
  Traffic,
  TrafficSample,
} from "./state";

/** How much is kept; the oldest goes first. */
const LIMITS = { pushes: 300, logs: 40, lines: 2000, notStarted: 300, samples: 90 } as const;

/** A push of a ref as Backlog made it. */
export interface PushedRef {
  readonly ref: string;
  /** 40 hex digits; zeros for a removed ref. */
  readonly after: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

interface Push extends PushedRef {
  readonly id: string;
  readonly stages: Stages;
  author: string;
  message: string;
  /** Whether Backlog is still trying to deliver it. */
  isSending: boolean;
  products: Product[];
  log: { dropped: number; lines: string[] } | undefined;
}

/** Keeps what happened to the pushes of a run, and tells what changes. Everything it gives out is plain text. */
export class Feed {
  private readonly pushes: Push[] = [];
  private readonly notStarted: NotStarted[] = [];
  private letters: readonly DeadLetter[] = [];
  private traffic: Traffic = { listeners: [], groups: [] };
  private readonly samples: TrafficSample[] = [];
  private count = 0;

  constructor(private readonly publish: (event: PageEvent) => void) {}

  /** Everything so far. */
  snapshot(): PageState {
    return {
      pushes: this.pushes.map((push) => this.view(push)),
      logs: this.pushes.flatMap(({ id, log }) =>
        log ? [{ push: id, from: log.dropped, lines: [...log.lines] }] : [],
      ),
      notStarted: [...this.notStarted],
      letters: this.letters,
      traffic: this.traffic,
      samples: [...this.samples],
    };
  }

  /** Somebody has pushed. @returns the push's id */
  pushed(pushed: PushedRef): string {
    const push = this.add(pushed, true);
    push.stages.set("received", "started", "Backlog delivers it", pushed.at);
    this.show(push);
    return push.id;
  }

  /** Backlog has come to an end with a push. */
  delivered(id: string): void {
    const push = this.find(id);
    if (push) push.isSending = false;
  }

  /** Who made the commit, and its message. */
  described(id: string, { author, message }: { author: string; message: string }): void {
    const push = this.find(id);
    if (!push) return;
    push.author = plain(author, 100);
    push.message = plain(message.split("\n", 1)[0] ?? "", 200);
    this.show(push);
  }

  activity({ stage, state, commit, ref, detail: said, at }: Happened): void {
    const detail = plain(said);
    if (commit === undefined) {
      // Who sends something that is no push learns of it; a pipeline's own first run is nobody's push.
      if (state === "failed") this.didNotStart({ at, why: "refused", push: "", detail });
      return;
    }
    const push = this.newest(commit, ref) ?? this.add({ ref: ref ?? "", after: commit, at }, false);
    if (stage === "received") this.received(push, state, detail, at);
    else if (stage === "queued") this.queued(push, state, detail, at);
    else this.entered(push, stage, state, detail, at);
    this.show(push);
    if (stage === "live") this.showOthersLive(push);
  }

  /** A line of a build's log; secrets are masked already. */
  logLine({ commit, ref, at }: { commit: string; ref: string; at: number }, text: string): void {
    const push = this.newest(commit, ref);
    if (!push) return;
    const line = plain(text, 2000);
    const log = push.log ?? this.openLog(push);
    log.lines.push(line);
    const from = log.dropped + log.lines.length - 1;
    if (log.lines.length > LIMITS.lines) {
      log.lines.shift();
      log.dropped += 1;
    }
    this.publish({ type: "log", push: push.id, from, lines: [line] });
    if (this.readScripts(push, line, at)) this.show(push);
  }

  /** Files that a push has produced, by name. */
  produced(commit: string, files: Readonly<Record<string, string>>): void {
    const push = this.newest(commit);
    if (!push) return;
    const names = Object.keys(files);
    push.products = [
      ...push.products.filter(({ name }) => !names.includes(name)),
      ...names.map((name) => ({ name, text: plainLines(files[name]!), isFile: true })),
    ];
    this.show(push);
  }

  deadLetters(letters: readonly DeadLetter[]): void {
    const shown = letters.map((letter) => ({
      ...letter,
      about: plain(letter.about, 200),
      error: plain(letter.error),
    }));
    if (JSON.stringify(shown) === JSON.stringify(this.letters)) return;
    this.letters = shown;
    this.publish({ type: "letters", letters: shown });
  }

  trafficNow(traffic: Traffic): void {
    if (JSON.stringify(traffic) === JSON.stringify(this.traffic)) return;
    this.traffic = traffic;
    this.publish({ type: "traffic", traffic });
  }

  sample(sample: TrafficSample): void {
    this.samples.push(sample);
    if (this.samples.length > LIMITS.samples) this.samples.shift();
    this.publish({ type: "sample", sample });
  }

  private received(push: Push, state: StageState, detail: string, at: number): void {
    const before = push.stages.get("received").state;
    if (state === "failed" && push.isSending && !/ 4\d\d\b/.test(detail)) {
      push.stages.set("received", "waiting", `${detail}; Backlog tries again`, at);
    } else if (state === "succeeded" && before === "succeeded") {
      this.didNotStart({
        at,
        why: "duplicate",
        push: titleOf(push),
        detail: "delivered before; a build that has begun for it is not begun again",
      });
    } else if (state !== "failed" || before !== "succeeded") {
      push.stages.set("received", state, detail, at);
      // Both API Gateway and Backlog tell of a refusal.
      if (state === "failed" && before !== "failed") {
        this.didNotStart({ at, why: "refused", push: titleOf(push), detail });
      }
    }
  }

  /** Queued is a push until its build begins, also after the state machine has handed it over. */
  private queued(push: Push, state: StageState, detail: string, at: number): void {
    const { stages } = push;
    if (state === "succeeded" && stages.get("building").state === "not yet") {
      if (stages.get("queued").state !== "waiting") {
        stages.set("queued", "waiting", "for the build to begin", at);
      }
    } else {
      stages.set("queued", state, detail, at);
    }
  }

  private entered(push: Push, stage: Stage, state: StageState, detail: string, at: number): void {
    const { stages } = push;
    if (stage === "building" && state === "started") {
      if (stages.get("queued").state !== "succeeded") {
        stages.set("queued", "succeeded", "its build has begun", at);
      }
      stages.forget("image", "artifact");
    }
    stages.set(stage, state, detail, at);
    if (stage === "filtered" && state === "skipped") {
      this.didNotStart({ at, why: whySkipped(push), push: titleOf(push), detail });
    }
    if (stage === "pipeline" && state === "skipped") {
      this.didNotStart({ at, why: "superseded", push: titleOf(push), detail });
    }
    if (stage !== "building") return;
    if (state === "succeeded" && /^(superseded|nothing to build)/.test(detail)) {
      const why = detail.startsWith("superseded") ? "superseded" : whySkipped(push);
      this.didNotStart({ at, why, push: titleOf(push), detail });
    }
    // What the build was at when it failed has failed with it.
    for (const within of ["image", "artifact"] as const) {
      if (state === "failed" && stages.get(within).state === "started") {
        stages.set(within, "failed", "the build failed; its log says why", at);
      }
    }
  }

  /** Image and artifact are steps of the build, whose scripts say how far they are. */
  private readScripts(push: Push, line: string, at: number): boolean {
    const { stages } = push;
    const [, image] = /^\[image\] building (\S+)/.exec(line) ?? [];
    const [, tag, digest] =
      /^\[image\] (?:pushed )?([0-9a-f]{10})(?: was built before)?: (sha256:[0-9a-f]{64})$/.exec(line) ?? [];
    const [, outcome] = /^outcome: (.+)/.exec(line) ?? [];
    if (image) {
      stages.set("image", "started", `builds ${image}`, at);
    } else if (tag && digest) {
      stages.set("image", "succeeded", line.replace("[image] ", ""), at);
      push.products = [
        { name: "tag", text: tag, isFile: false },
        { name: "digest", text: digest, isFile: false },
        ...push.products.filter(({ isFile }) => isFile),
      ];
    } else if (line.startsWith("[render] rendered ")) {
      stages.set("artifact", "started", line.replace("[render] ", ""), at);
    } else if (outcome && /^(published|nothing changed)/.test(outcome)) {
      stages.set("artifact", "succeeded", outcome, at);
    } else if (outcome && /^(superseded|image only)/.test(outcome)) {
      stages.set("artifact", "skipped", outcome, at);
    } else {
      return false;
    }
    return true;
  }

  private openLog(push: Push): { dropped: number; lines: string[] } {
    const others = this.pushes.filter(({ log }) => log);
    if (others.length >= LIMITS.logs) others[0]!.log = undefined;
    push.log = { dropped: 0, lines: [] };
    return push.log;
  }

  private didNotStart(entry: NotStarted): void {
    this.notStarted.push(entry);
    if (this.notStarted.length > LIMITS.notStarted) this.notStarted.shift();
    this.publish({ type: "notStarted", entry });
  }

  private add({ ref, after, at }: PushedRef, isSending: boolean): Push {
    this.count += 1;
    const id = `push-${this.count}`;
    const push: Push = {
      ...{ id, ref, after, at, isSending, author: "", message: "", products: [], log: undefined },
      stages: new Stages(at),
    };
    this.pushes.push(push);
    if (this.pushes.length > LIMITS.pushes) {
      this.publish({ type: "gone", push: this.pushes.shift()!.id });
    }
    return push;
  }

  private find(id: string): Push | undefined {
    return this.pushes.find((push) => push.id === id);
  }

  /** What is told without a ref comes after the build, so of several pushes of a commit it means one that was built. */
  private newest(commit: string, ref?: string): Push | undefined {
    const same = this.pushes.filter(({ after }) => after === commit);
    if (ref !== undefined) return same.findLast((push) => push.ref === ref);
    return same.findLast(({ stages }) => stages.get("building").state !== "not yet") ?? same.at(-1);
  }

  private show(push: Push): void {
    this.publish({ type: "push", push: this.view(push) });
  }

  /** Whoever was live until now is no longer, or is again after a rollback. */
  private showOthersLive(but: Push): void {
    for (const push of this.pushes) {
      if (push !== but && push.stages.get("live").state === "succeeded") this.show(push);
    }
  }

  private view(push: Push): PushView {
    return {
      id: push.id,
      ...nameOf(push.ref),
      commit: push.after.slice(0, 10),
      author: push.author,
      message: push.message,
      at: push.at,
      ...push.stages.outcome(push === this.liveNow()),
      stages: push.stages.all,
      products: push.products,
    };
  }

  private liveNow(): Push | undefined {
    const endOf = (push: Push) => push.stages.get("live").endedAt ?? 0;
    return this.pushes
      .filter(({ stages }) => stages.get("live").state === "succeeded")
      .reduce<Push | undefined>((last, push) => (last && endOf(last) > endOf(push) ? last : push), undefined);
  }
}

function nameOf(ref: string): Pick<PushView, "kind" | "name"> {
  const [, kind, name] = /^refs\/(heads|tags)\/(.+)$/s.exec(ref) ?? [];
  if (name === undefined) return { kind: "ref", name: plain(ref || "unknown", 200) };
  return { kind: kind === "heads" ? "branch" : "tag", name: plain(name, 200) };
}

function titleOf({ ref, after }: PushedRef): string {
  return `${nameOf(ref).name} ${after.slice(0, 10)}`;
}

function whySkipped({ ref, after }: PushedRef): NotStarted["why"] {
  if (/^0+$/.test(after)) return "deletion";
  if (ref.startsWith("refs/tags/")) return "tag";
  return ref.startsWith("refs/heads/") ? "other branch" : "not wanted";
}
