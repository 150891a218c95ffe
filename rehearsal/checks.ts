import { DescribeServicesCommand, DescribeTaskDefinitionCommand, ECSClient } from "@aws-sdk/client-ecs";
import type { LocalAws } from "./aws/local-aws";
import type { StoredImage } from "./machine/image-store";
import type { Registry } from "./machine/registry";
import type { Visitor } from "./visitor";

/** What one push has to show. */
export interface Released {
  /** The commit's 40 hex digits. */
  readonly commit: string;
  /** Text of the page that only this version shows. */
  readonly mark: string;
  /** When it was pushed; milliseconds since the epoch. */
  readonly pushedAt: number;
}

/** The visits of one release, production and test listener side by side. */
export interface Visits {
  readonly production: Visitor;
  readonly test: Visitor;
}

/** @returns what is wrong with how a release went live, in sentences; nothing when all is well */
export function checkTraffic({ commit, mark, pushedAt }: Released, { production, test }: Visits): string[] {
  const short = commit.slice(0, 10);
  const faults: string[] = [];
  const live = production.firstSeen(mark);
  const tested = test.firstSeen(mark);
  if (live === undefined) faults.push(`production never answered with ${short}`);
  if (tested === undefined) faults.push(`the test listener never showed ${short}`);
  if (live !== undefined && tested !== undefined && tested >= live) {
    faults.push(`production showed ${short} ${tested - live} ms before the test listener did`);
  }
  const failures = production.failures(pushedAt);
  if (failures.length > 0) {
    const [first] = failures;
    faults.push(
      `${failures.length} of ${production.visits.length} production requests failed while ${short} went live, first: ${first!.status} ${first!.body.slice(0, 200)}`,
    );
  }
  const visits = production.visits.filter(({ at }) => at >= pushedAt);
  if (visits.length < 10) faults.push(`only ${visits.length} production requests were made: too few to tell`);
  return faults;
}

/** The image whose tag is the commit's first ten digits. */
export function imageOf(
  registry: Registry,
  outputs: Readonly<Record<string, string>>,
  commit: string,
): StoredImage | undefined {
  return registry.store.find(repositoryOf(outputs), { tag: commit.slice(0, 10) });
}

function repositoryOf({ repository_url: url = "" }: Readonly<Record<string, string>>): string {
  return url.slice(url.indexOf("/") + 1);
}

/** Checks that the service runs the image whose tag is the commit's first ten digits, by digest. */
export async function checkImage(
  aws: LocalAws,
  registry: Registry,
  outputs: Readonly<Record<string, string>>,
  commit: string,
): Promise<string[]> {
  const tag = commit.slice(0, 10);
  const image = imageOf(registry, outputs, commit);
  if (!image) {
    const tags = registry.store.images(repositoryOf(outputs)).flatMap((one) => [...one.tags]);
    return [`no image has the tag ${tag}, got: ${tags.join(", ") || "no tags"}`];
  }
  const ecs = new ECSClient(aws.clientConfig());
  const { services = [] } = await ecs.send(
    new DescribeServicesCommand({ cluster: outputs.cluster_name, services: [outputs.service_name!] }),
  );
  const primary = services[0]?.taskSets?.find(({ status }) => status === "PRIMARY");
  const { taskDefinition } = await ecs.send(
    new DescribeTaskDefinitionCommand({
      taskDefinition: primary?.taskDefinition ?? services[0]?.taskDefinition,
    }),
  );
  const running = taskDefinition?.containerDefinitions?.[0]?.image;
  const expected = `${outputs.repository_url}@${image.digest}`;
  return running === expected ? [] : [`the service runs ${running}, expected ${expected} (tag ${tag})`];
}
