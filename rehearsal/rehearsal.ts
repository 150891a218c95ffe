import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "../config/schema";
import { Application } from "./application";
import { checkImage, checkTraffic, imageOf, type Released } from "./checks";
import { FAULTS } from "./faults/catalogue";
import type { Fault } from "./faults/fault";
import { PROTECTIONS } from "./faults/protections";
import { runFaults } from "./faults/run-faults";
import { runProtections } from "./faults/run-protections";
import type { SceneDeps } from "./faults/scene";
import { SIDE_BRANCHES_DIFFERENCE } from "./faults/side-branches";
import { type LocalCloud, SENDER_ADDRESS, startLocalCloud } from "./local-cloud";
import { ensureImage } from "./machine/base-image";
import { type Engine, provideEngine } from "./machine/container-engine";
import { preparePython } from "./machine/moto";
import { configureTerraform, findTerraform } from "./machine/terraform";
import type { Workspace } from "./machine/workspace";
import { checkMetrics } from "./metrics";
import { Operator } from "./operator";
import { ActivityPage } from "./page/activity-page";
import { openInBrowser } from "./page/open";
import type { Progress } from "./progress";
import { DIFFERENCES, writeLocalConfig } from "./settings";
import { RehearsedStack } from "./stack";
import { renderTable } from "./table";
import { Timeline } from "./timeline";
import { Visitor } from "./visitor";

/** How long one push may take to go live, in seconds of this machine. */
const GO_LIVE_SECONDS = 180;

const TEST_PORT = 8080;

export interface RehearsalOptions {
  readonly config: Config;
  /** How many times faster than on AWS the waits are. */
  readonly timeScale: number;
  /** Leaves everything running after the second push, until the run is interrupted. */
  readonly keep: boolean;
  /** Opens the activity page in the user's browser. */
  readonly open: boolean;
  /** Plays these against the deployed stack instead of the two pushes. */
  readonly faults?: readonly Fault[];
  /** Takes every protection out in turn, instead of the two pushes. */
  readonly protections?: boolean;
}

/**
 * Deploys the stack against the local AWS, pushes two versions, looks, and takes the stack down again.
 * @returns what was wrong, in sentences
 * @throws Error when it cannot go on
 */
export async function rehearse(
  workspace: Workspace,
  progress: Progress,
  options: RehearsalOptions,
): Promise<string[]> {
  const { config, timeScale } = options;
  const { say } = progress;
  say(`Waits that take seconds on AWS are divided by ${timeScale} (--time-scale); work takes what it takes.`);
  say(
    `Different from what would be deployed:\n${[...DIFFERENCES, ...(options.faults || options.protections ? [SIDE_BRANCHES_DIFFERENCE] : [])].map((line) => `  ${line}`).join("\n")}`,
  );

  const timeline = new Timeline();
  progress.follow(timeline);
  const page = await ActivityPage.start(workspace, timeline);
  say(`Watch it at ${page.url}`);
  if (options.open) openInBrowser(page.url, say);
  const terraform = await findTerraform();
  say(
    `${terraform.kind} ${terraform.version}; AWS provider ${terraform.awsProviderVersion ? `${terraform.awsProviderVersion} from ${terraform.mirror?.folder}` : "from its registry"}`,
  );
  const [engine, python] = await Promise.all([provideEngine(workspace, say), preparePython(workspace, say)]);
  for (const image of baseImages()) say(`${image}: ${await ensureImage(workspace, engine, image, say)}`);

  const cloud = await progress.step("Starting the local AWS, the registry and Backlog", () =>
    startLocalCloud({
      ...{ workspace, engine, python, config, timeScale, timeline, say },
      onDelivery: page.onDelivery,
      onBuildLog: page.onBuildLog,
    }),
  );
  page.attach(cloud, `${config.project.name}-${config.project.env}`);
  const env = {
    ...process.env,
    ...configureTerraform(terraform, {
      configuration: workspace.runSubfolder("terraform"),
      cache: workspace.cacheFolder,
    }),
  };
  const configFile = writeLocalConfig(workspace.runFolder, config, {
    senderCidr: `${SENDER_ADDRESS}/32`,
    knownHosts: cloud.backlog.hostKeyLine,
    secretArn: cloud.secretArn,
  });
  const before = await cloud.contents();
  const stack = await RehearsedStack.synthesise(
    { workspace, aws: cloud.aws, terraform, env, progress: (line) => say(`  ${line}`) },
    configFile,
  );
  await progress.step(
    `cdktf deploy ${stack.name} (${stack.resourceCount} resources; a load balancer takes a minute)`,
    () => stack.deploy(),
  );
  const outputs = await stack.outputs();
  cloud.backlog.setHookUrl(cloud.webhookUrl(outputs.webhook_url!));

  const running: Run = { workspace, progress, options, engine, cloud, stack, outputs, timeline };
  const faults = await play(running);

  const plan = await progress.step("terraform plan", () => stack.plan());
  if (plan !== undefined) faults.push(`terraform plan after both deployments is not empty:\n${plan}`);
  if (options.keep) await stayUp(workspace, say, cloud, outputs);
  await progress.step("cdktf destroy", () => stack.destroy());
  const left = [...(await cloud.contents())].filter((thing) => !before.has(thing));
  faults.push(...left.map((thing) => `left in the account after destroy: ${thing}`));
  return faults;
}

interface Run {
  readonly workspace: Workspace;
  readonly progress: Progress;
  readonly options: RehearsalOptions;
  readonly engine: Engine;
  readonly cloud: LocalCloud;
  readonly stack: RehearsedStack;
  readonly outputs: Readonly<Record<string, string>>;
  readonly timeline: Timeline;
}

/** A push, when people saw it, and what was wrong. */
export interface Outcome extends Released {
  readonly imagePushedAt: number | undefined;
  readonly seenOnTestAt: number | undefined;
  readonly seenLiveAt: number | undefined;
  readonly faults: readonly string[];
}

async function pushAndTell(run: Run): Promise<string[]> {
  const releases = await pushTwice(run);
  run.progress.say(`\n${renderTable(run.timeline, releases)}\n`);
  return [...releases.flatMap(({ faults }) => faults), ...(await checkMetrics(run.cloud.aws))];
}

function play(run: Run): Promise<string[]> {
  const { options, progress, stack } = run;
  const { faults } = options;
  if (options.protections) {
    return withScene(run, (deps) => runProtections(PROTECTIONS, FAULTS, stack, deps, progress.say));
  }
  if (faults) return withScene(run, (deps) => runFaults(faults, deps, progress.say));
  return pushAndTell(run);
}

/** What faults play with, somebody among it who asks production all the time. */
async function withScene(run: Run, task: (deps: SceneDeps) => Promise<string[]>): Promise<string[]> {
  const { workspace, cloud, outputs, options } = run;
  const application = await startApplication(run);
  // What each fault goes back to.
  await application.commit("Starter", {});
  const production = new Visitor(listenerUrls(cloud, outputs).production);
  try {
    return await task({
      ...run,
      config: options.config,
      application,
      production,
      timeScale: options.timeScale,
      signal: workspace.signal,
    });
  } finally {
    await production.stop();
  }
}

function startApplication({ workspace, cloud, options }: Run): Promise<Application> {
  return Application.start({
    folder: join(workspace.runFolder, "application"),
    remote: cloud.backlog.remote,
    env: { ...process.env, GIT_SSH_COMMAND: cloud.backlog.developerSshCommand },
    config: options.config,
  });
}

async function pushTwice(run: Run): Promise<Outcome[]> {
  const { cloud, outputs } = run;
  const application = await startApplication(run);
  const urls = listenerUrls(cloud, outputs);
  const visits = { production: new Visitor(urls.production), test: new Visitor(urls.test) };
  try {
    const outcomes: Outcome[] = [];
    for (const version of ["1 (rehearsed)", "2 (rehearsed)"]) {
      outcomes.push(await release(run, application, version, visits));
    }
    return outcomes;
  } finally {
    await Promise.all([visits.production.stop(), visits.test.stop()]);
  }
}

async function release(
  { workspace, progress, options, cloud, outputs, timeline }: Run,
  application: Application,
  version: string,
  visits: { production: Visitor; test: Visitor },
): Promise<Outcome> {
  const { name, env } = options.config.project;
  const operator = new Operator(cloud.aws, `${name}-${env}`, options.config.backlogDockerBuild.deployment);
  return progress.step(`Pushing version ${version}`, async () => {
    const pushedAt = Date.now();
    const commit = await application.release(version);
    const gone = timeline.passed("old version gone", commit, GO_LIVE_SECONDS, workspace.signal);
    await Promise.all([gone, operator.attend(gone)]);
    const released = { commit, mark: `version ${version}<`, pushedAt };
    return {
      ...released,
      imagePushedAt: imageOf(cloud.registry, outputs, commit)?.pushedAt,
      seenOnTestAt: visits.test.firstSeen(released.mark),
      seenLiveAt: visits.production.firstSeen(released.mark),
      faults: [
        ...checkTraffic(released, visits),
        ...(await checkImage(cloud.aws, cloud.registry, outputs, commit)),
      ],
    };
  });
}

function listenerUrls(cloud: LocalCloud, outputs: Readonly<Record<string, string>>) {
  const production = new URL(outputs.production_url!).protocol === "https:" ? 443 : 80;
  return { production: cloud.loadBalancers.url(production), test: cloud.loadBalancers.url(TEST_PORT) };
}

async function stayUp(
  workspace: Workspace,
  say: (line: string) => void,
  cloud: LocalCloud,
  outputs: Readonly<Record<string, string>>,
): Promise<void> {
  const urls = listenerUrls(cloud, outputs);
  say(
    [
      "Everything stays up; Ctrl-C takes it down.",
      `  git remote:     ${cloud.backlog.localRemote}`,
      `  push with:      GIT_SSH_COMMAND='${cloud.backlog.developerSshCommand}' git push ${cloud.backlog.remote}`,
      `  production:     ${urls.production}`,
      `  test listener:  ${urls.test}`,
      `  AWS endpoint:   ${cloud.aws.endpoint} (AWS_ACCESS_KEY_ID=${cloud.aws.administrator.accessKeyId}, any secret, region ${cloud.aws.region})`,
      `  logs:           ${workspace.logFolder}`,
    ].join("\n"),
  );
  await new Promise((_, reject) => {
    workspace.signal.addEventListener("abort", () => reject(workspace.signal.reason));
  });
}

/** Images that nothing of the stack makes: what the starter application is built from. The placeholder is the same. */
function baseImages(): string[] {
  const dockerfile = readFileSync(
    join(__dirname, "..", "assets", "application", "docker", "Dockerfile"),
    "utf8",
  );
  return [...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, image]) => image!);
}
