import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "../../config/schema";
import type { Application } from "../application";
import type { Stage } from "../aws/local-aws";
import type { Delivery } from "../backlog/webhook";
import type { LocalCloud } from "../local-cloud";
import type { Engine } from "../machine/container-engine";
import type { Happened, Timeline } from "../timeline";
import type { Visit, Visitor } from "../visitor";
import { isBreached, measureBy } from "./alarms";
import { buildLog } from "./build-log";
import { type Ending, type EndingKind, endingsOf, type PushId } from "./ending";
import { expect } from "./fault";
import { SIDE_BRANCHES } from "./side-branches";

const PATIENCE_SECONDS = 60;

const STARTER = join(__dirname, "..", "..", "assets", "application");

/** Place of the page in the starter application's context folder. */
const PAGE = "www/index.html";

/** A push that a fault made. */
export interface Push extends PushId {
  readonly branch: string;
  /** Text of the page that only this version shows. */
  readonly mark: string;
  /** Milliseconds since the epoch. */
  readonly pushedAt: number;
}

export interface SceneDeps {
  readonly cloud: LocalCloud;
  readonly engine: Engine;
  readonly config: Config;
  readonly outputs: Readonly<Record<string, string>>;
  readonly timeline: Timeline;
  readonly application: Application;
  readonly production: Visitor;
  readonly timeScale: number;
  /** How long anything may take that is not said to be slow, in seconds of this machine. @default 60 */
  readonly patienceSeconds?: number;
  /** How long a push may be under way after its fault's end, in seconds of this machine. @default 90 */
  readonly restSeconds?: number;
  readonly signal: AbortSignal;
}

/** What a fault plays with: pushes, looks at what comes of them, and puts everything back at its end. */
export class Scene {
  public readonly startedAt = Date.now();
  private readonly undo: (() => unknown)[] = [];
  private versions = 0;

  constructor(
    public readonly name: string,
    private readonly deps: SceneDeps,
  ) {}

  private get patience(): number {
    return this.deps.patienceSeconds ?? PATIENCE_SECONDS;
  }

  get cloud(): LocalCloud {
    return this.deps.cloud;
  }

  get engine(): Engine {
    return this.deps.engine;
  }

  get outputs(): Readonly<Record<string, string>> {
    return this.deps.outputs;
  }

  get application(): Application {
    return this.deps.application;
  }

  get timeScale(): number {
    return this.deps.timeScale;
  }

  get config(): Config {
    return this.deps.config;
  }

  /** First half of the name of everything in the account. */
  get prefix(): string {
    const { name, env } = this.deps.config.project;
    return `${name}-${env}`;
  }

  /** The branch that goes live. */
  get liveBranch(): string {
    return this.deps.config.backlogDockerBuild.branch;
  }

  /** A new branch that is built and does not go live. */
  sideBranch(): string {
    return SIDE_BRANCHES.replace("*", randomUUID().slice(0, 8));
  }

  /** Does something at the end of the fault, whatever becomes of it; the last one added is done first. */
  restoring(step: () => unknown): void {
    this.undo.push(step);
  }

  /** @throws Error of the first step that failed; the others are done all the same */
  async restore(): Promise<void> {
    const troubles: unknown[] = [];
    for (const step of this.undo.splice(0).reverse()) {
      try {
        await step();
      } catch (error) {
        troubles.push(error);
      }
    }
    if (troubles.length > 0) throw troubles[0];
  }

  /** Divides AWS's waits that begin from now on by this, until the fault's end. */
  hurry(timeScale: number): void {
    this.cloud.aws.setTimeScale(timeScale);
    this.restoring(() => this.cloud.aws.setTimeScale(this.deps.timeScale));
  }

  /** Leaves out the pauses between a build's attempts to fetch (a minute of them), which no time scale divides. */
  hurryFetches(): void {
    this.restoring(
      this.cloud.aws.intercept("codebuild", "StartBuild", ({ parameters }, next) => {
        const { environmentVariablesOverride = [] } = parameters;
        const pause = { name: "FETCH_PAUSE_SECONDS", value: "0", type: "PLAINTEXT" };
        parameters.environmentVariablesOverride = [...environmentVariablesOverride, pause];
        return next();
      }),
    );
  }

  /** Where the application's Dockerfile is, and what is in it at first. */
  get dockerfile(): { readonly path: string; readonly text: string } {
    const text = readFileSync(join(STARTER, "docker", "Dockerfile"), "utf8");
    return { path: this.deps.config.backlogDockerBuild.build.dockerfile, text };
  }

  /** Commits a new version of the application, with further files (relative to the repository's root), unpushed. */
  async commit(files: Readonly<Record<string, string>> = {}): Promise<Pick<Push, "commit" | "mark">> {
    const before = await this.application.head();
    // What a fault breaks is whole again for the next one.
    if (this.versions === 0) this.restoring(() => this.application.reset(before));
    this.versions += 1;
    const version = `${this.name}.${this.versions} ${randomUUID().slice(0, 8)}`;
    const { context } = this.deps.config.backlogDockerBuild.build;
    const page = `<!doctype html>\n<p>version ${version}</p>\n`;
    const commit = await this.application.commit(version, { [`${context}/${PAGE}`]: page, ...files });
    return { commit, mark: `version ${version}<` };
  }

  /** Pushes a commit, which is there already, to a branch. */
  async pushCommit({ commit, mark }: Pick<Push, "commit" | "mark">, branch: string): Promise<Push> {
    const pushedAt = Date.now();
    await this.application.push(commit, branch);
    return { commit, mark, branch, ref: `refs/heads/${branch}`, pushedAt };
  }

  /** Commits and pushes. */
  async push(branch: string, files: Readonly<Record<string, string>> = {}): Promise<Push> {
    return this.pushCommit(await this.commit(files), branch);
  }

  /** Sends a push's webhook once more, as it was. */
  async repeat({ commit, ref }: PushId): Promise<Delivery> {
    const delivery = this.cloud.backlog.deliveries.findLast((one) => one.after === commit && one.ref === ref);
    expect(delivery, `${commit.slice(0, 10)} of ${ref} was not delivered yet`);
    const { before, after } = delivery;
    return this.cloud.backlog.notify({ before, after, ref });
  }

  /** What happened to a push so far. */
  activities({ commit, ref }: PushId): Happened[] {
    return this.deps.timeline.activities.filter(
      (one) => one.commit === commit && (one.ref ?? ref) === ref && one.at >= this.startedAt,
    );
  }

  /** Everything that happened since the fault began. */
  everything(): readonly Happened[] {
    return this.deps.timeline.activities.filter(({ at }) => at >= this.startedAt);
  }

  /** What happened in a stage since the fault began, to whatever push. */
  happened(stage: Stage): Happened[] {
    return this.everything().filter((one) => one.stage === stage);
  }

  /** What builds wrote to their log in CloudWatch since the fault began. */
  buildLog(): Promise<string> {
    return buildLog(this.cloud.aws, `/aws/codebuild/${this.prefix}-image-build`, this.startedAt);
  }

  /** Waits until something is there to be found; it is asked for after each activity. */
  async until<T>(what: string, look: () => T | undefined, timeoutInSeconds = this.patience): Promise<T> {
    const describe = () => {
      const last = this.deps.timeline.activities.at(-1);
      return `not within ${timeoutInSeconds} s: ${what} (last: ${last?.stage} ${last?.state}, ${last?.detail})`;
    };
    return this.deps.timeline.until(look, describe, timeoutInSeconds, this.deps.signal);
  }

  /** Waits until something holds, which is asked for again and again. */
  async holds(what: string, look: () => Promise<boolean>, timeoutInSeconds = this.patience): Promise<void> {
    const until = Date.now() + timeoutInSeconds * 1000;
    while (!(await look())) {
      this.deps.signal.throwIfAborted();
      expect(Date.now() < until, `not within ${timeoutInSeconds} s: ${what}`);
      await this.pause(0.2);
    }
  }

  /** Waits until a push has ended, for the `times`-th time. */
  async end(push: PushId, times = 1): Promise<Ending> {
    const look = () => endingsOf(this.activities(push), push)[times - 1] ?? this.givenUp(push);
    return this.until(`${push.commit.slice(0, 10)} ends`, look);
  }

  /** Backlog's end of a push, when it has given all its deliveries up. */
  private givenUp({ commit, ref }: PushId): Ending | undefined {
    const deliveries = this.cloud.backlog.deliveries.filter((one) => one.after === commit && one.ref === ref);
    const isGivenUp = deliveries.every(({ state }) => state === "refused" || state === "lost");
    if (deliveries.length === 0 || !isGivenUp) return undefined;
    return { kind: "refused", detail: `Backlog gave up after ${this.answersTo({ commit, ref }).join(", ")}` };
  }

  /** Waits until a push has ended, for the `times`-th time, and checks how. */
  async endsAs(kind: EndingKind, push: PushId, times = 1): Promise<Ending> {
    const ending = await this.end(push, times);
    const short = push.commit.slice(0, 10);
    expect(ending.kind === kind, `${short} was expected to end as "${kind}", got: ${ending.detail}`);
    return ending;
  }

  /** Waits until a commit has passed a stage. */
  async passes(stage: Stage, push: PushId, timeoutInSeconds = this.patience): Promise<void> {
    const look = () => this.activities(push).find((one) => one.stage === stage && one.state === "succeeded");
    await this.until(`${push.commit.slice(0, 10)} passes "${stage}"`, look, timeoutInSeconds);
  }

  /** What Backlog got for a push's webhook, one status for each attempt. */
  answersTo({ commit, ref }: PushId): (number | undefined)[] {
    return this.cloud.backlog.deliveries
      .filter((delivery) => delivery.after === commit && delivery.ref === ref)
      .flatMap(({ attempts }) => attempts.map(({ status }) => status));
  }

  /** Waits until the conditions of these alarms hold (names without the prefix). */
  async alarms(names: readonly string[]): Promise<void> {
    for (const name of names) await this.holds(`the alarm ${name} fires`, () => this.isBreached(name));
  }

  /** Waits until the conditions of these alarms do not hold any more. */
  async calm(names: readonly string[]): Promise<void> {
    for (const name of names) {
      await this.holds(`the alarm ${name} is calm again`, async () => !(await this.isBreached(name)));
    }
  }

  private isBreached(name: string): Promise<boolean> {
    const since = () => this.deps.timeline.activities.filter(({ at }) => at >= this.startedAt);
    return isBreached(this.cloud.aws, `${this.prefix}-${name}`, measureBy(this.cloud.aws, since));
  }

  /** How many builds began for a push. */
  buildsOf(push: PushId): number {
    return this.activities(push).filter(({ stage, state }) => stage === "building" && state === "started")
      .length;
  }

  /** Sleeps seconds of this machine. */
  async pause(seconds: number): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  }

  /** Production's answers since the fault began. */
  visits(): readonly Visit[] {
    return this.deps.production.visits.filter(({ at }) => at >= this.startedAt);
  }

  /** What production answers now. */
  async page(): Promise<string> {
    const asked = Date.now();
    const answer = () => this.deps.production.visits.findLast(({ at }) => at >= asked);
    await this.holds("production answers", async () => answer() !== undefined);
    return answer()!.body;
  }

  /** Waits until production shows a push. */
  async showsLive({ commit, mark }: Push, timeoutInSeconds = this.patience): Promise<void> {
    const short = commit.slice(0, 10);
    await this.holds(
      `production shows ${short}`,
      async () => (await this.page()).includes(mark),
      timeoutInSeconds,
    );
  }

  /** Waits until a push was published, and production shows it. */
  async goesLive(push: Push): Promise<void> {
    await this.endsAs("published", push);
    await this.showsLive(push);
  }

  /** Checks that production never failed since the fault began. */
  productionNeverFailed(): void {
    const failures = this.visits().filter(({ status }) => status < 200 || status >= 400);
    const [first] = failures;
    expect(!first, `${failures.length} production requests failed, first: ${first?.status} ${first?.body}`);
  }
}
