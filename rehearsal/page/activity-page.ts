import { appendFileSync } from "node:fs";
import type { Activity } from "../aws/local-aws";
import { type CommitInfo, commitInfo } from "../backlog/commit-info";
import type { Delivery } from "../backlog/webhook";
import type { LocalCloud } from "../local-cloud";
import type { Workspace } from "../machine/workspace";
import type { Timeline } from "../timeline";
import { DeadLetters } from "./dead-letters";
import { Feed } from "./feed";
import { publishedFiles } from "./published-files";
import { PageServer } from "./server";
import { TrafficWatch } from "./traffic-watch";

const SECOND = 1000;

/** The page that shows a rehearsal while it runs. It only looks on: whatever fails in it, the rehearsal goes on. */
export class ActivityPage {
  private readonly ids = new WeakMap<Delivery, string>();
  private describeCommit: ((commit: string) => Promise<CommitInfo | undefined>) | undefined;
  private letters: DeadLetters | undefined;
  private traffic: TrafficWatch | undefined;
  private readonly timers: NodeJS.Timeout[] = [];

  private constructor(
    private readonly feed: Feed,
    private readonly server: PageServer,
    private readonly log: string,
  ) {}

  /** Starts the page; the workspace ends it. */
  static async start(workspace: Workspace, timeline: Timeline): Promise<ActivityPage> {
    let page: ActivityPage | undefined;
    const feed: Feed = new Feed((event) => page?.server.publish(event));
    const server = await PageServer.start({
      snapshot: () => feed.snapshot(),
      replay: async (letter) => {
        if (!page?.letters) throw new Error("the stack is not deployed yet");
        await page.letters.replay(letter);
        await page.lookForLetters();
      },
    });
    page = new ActivityPage(feed, server, workspace.log("activity-page"));
    const shown = page;
    timeline.onActivity((activity) => shown.guarded(() => feed.activity(activity)));
    workspace.onCleanUp("activity page", () => page?.close());
    return page;
  }

  get url(): string {
    return this.server.url;
  }

  /** Backlog has a push to deliver, or has come to an end with it. */
  readonly onDelivery = (delivery: Delivery): void => this.guarded(() => this.delivered(delivery));

  /** A build has written a line of its log. */
  readonly onBuildLog = (push: Pick<Activity, "commit" | "ref">, line: string): void =>
    this.guarded(() => this.logged(push, line));

  /** What goes wrong with the page must not reach whom it watches: it goes to the page's own log. */
  private guarded(show: () => void): void {
    try {
      show();
    } catch (error) {
      appendFileSync(this.log, `${(error as Error).stack}\n`);
    }
  }

  private delivered(delivery: Delivery): void {
    const known = this.ids.get(delivery);
    if (known !== undefined) {
      this.feed.delivered(known);
      return;
    }
    const id = this.feed.pushed({ ...delivery, at: Date.now() });
    this.ids.set(delivery, id);
    void this.describeCommit?.(delivery.after).then(
      (commit) => commit && this.feed.described(id, commit),
      ignore,
    );
  }

  private logged(push: Pick<Activity, "commit" | "ref">, line: string): void {
    const { commit, ref } = push;
    if (commit === undefined || ref === undefined) return;
    this.feed.logLine({ commit, ref, at: Date.now() }, line);
    if (line.startsWith("outcome: published ")) void this.lookForFiles?.(commit);
  }

  private lookForFiles: ((commit: string) => Promise<void>) | undefined;

  /** The local AWS runs: from now on its load balancer and queues are looked at, once a second while somebody looks. */
  attach({ aws, backlog, loadBalancers, registry }: LocalCloud, prefix: string): void {
    this.describeCommit = (commit) => commitInfo(backlog.gitFolder, commit);
    this.lookForFiles = (commit) =>
      publishedFiles(aws, prefix, commit).then((files) => files && this.feed.produced(commit, files), ignore);
    const letters = new DeadLetters(aws, prefix);
    const traffic = new TrafficWatch(aws, loadBalancers, registry, prefix);
    this.letters = letters;
    this.traffic = traffic;
    let looking = false;
    const look = async () => {
      const sample = traffic.sample(Date.now());
      if (sample) this.feed.sample(sample);
      if (!this.server.isWatched || looking) return;
      looking = true;
      await Promise.all([
        this.lookForLetters(),
        traffic.look().then((now) => this.feed.trafficNow(now), ignore),
      ]);
      looking = false;
    };
    this.timers.push(setInterval(() => void look(), SECOND).unref());
  }

  private async lookForLetters(): Promise<void> {
    await this.letters?.list().then((letters) => this.feed.deadLetters(letters), ignore);
  }

  private async close(): Promise<void> {
    for (const timer of this.timers) clearInterval(timer);
    await this.server.close();
    this.letters?.close();
    this.traffic?.close();
  }
}

/** While a stack comes and goes its parts cannot always be read; the next look, a second later, shows them. */
function ignore(): void {}
