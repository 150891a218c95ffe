import { DescribeServicesCommand, DescribeTaskDefinitionCommand, ECSClient } from "@aws-sdk/client-ecs";
import {
  DescribeListenersCommand,
  DescribeLoadBalancersCommand,
  DescribeTargetGroupsCommand,
  DescribeTargetHealthCommand,
  ElasticLoadBalancingV2Client,
  type Listener,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import type { LocalAws } from "../aws/local-aws";
import { sharesOf } from "../data-plane/listener-action";
import type { LoadBalancers } from "../data-plane/load-balancer";
import type { Registry } from "../machine/registry";
import type { Colour, ListenerView, Traffic, TrafficSample } from "./state";

const COLOURS: readonly Colour[] = ["blue", "green"];

/** Port of the listener that shows the next version first; the other one that forwards is production. */
const TEST_PORT = 8080;

type Counters = Record<Colour, { requests: number; failures: number }>;

/** Looks at the deployed load balancer: who gets which share, how the targets are, how many requests there are. */
export class TrafficWatch {
  private readonly client: ElasticLoadBalancingV2Client;
  private readonly ecs: ECSClient;
  private groups = new Map<Colour, string>();
  /** Task definition -> tag of its image. */
  private readonly tags = new Map<string, string>();
  private last: Counters | undefined;

  constructor(
    aws: LocalAws,
    private readonly balancers: Pick<LoadBalancers, "traffic">,
    private readonly registry: Registry,
    /** Prefix of every name of the stack. */
    private readonly prefix: string,
  ) {
    this.client = new ElasticLoadBalancingV2Client(aws.clientConfig());
    this.ecs = new ECSClient(aws.clientConfig());
  }

  /** Listeners, targets and versions as they are now. */
  async look(): Promise<Traffic> {
    const { TargetGroups = [] } = await this.client.send(new DescribeTargetGroupsCommand({}));
    this.groups = new Map(
      COLOURS.flatMap((colour) => {
        const group = TargetGroups.find(
          ({ TargetGroupName }) => TargetGroupName === `${this.prefix}-${colour}`,
        );
        return group?.TargetGroupArn ? [[colour, group.TargetGroupArn] as const] : [];
      }),
    );
    // The service comes after its load balancer and goes before it: shares and targets are shown all the same.
    const versions = await this.versions().catch(() => new Map<string, string>());
    const groups = await Promise.all(
      [...this.groups].map(async ([colour, TargetGroupArn]) => {
        const { TargetHealthDescriptions = [] } = await this.client.send(
          new DescribeTargetHealthCommand({ TargetGroupArn }),
        );
        const targets = TargetHealthDescriptions.map(({ Target, TargetHealth }) => ({
          id: Target?.Id ?? "",
          state: TargetHealth?.State ?? "unknown",
          reason: TargetHealth?.Description ?? "",
        }));
        return { colour, version: versions.get(TargetGroupArn) ?? "", targets };
      }),
    );
    return { listeners: await this.listeners(), groups };
  }

  /** Requests since the last call; `undefined` before there is a load balancer. Costs nothing. */
  sample(at: number): TrafficSample | undefined {
    if (this.groups.size === 0) return undefined;
    const counters = Object.fromEntries(
      COLOURS.map((colour) => [colour, this.balancers.traffic(this.groups.get(colour) ?? "")]),
    ) as Counters;
    const last = this.last ?? counters;
    this.last = counters;
    const since = (what: "requests" | "failures") => ({
      blue: counters.blue[what] - last.blue[what],
      green: counters.green[what] - last.green[what],
    });
    return { at, requests: since("requests"), failures: since("failures") };
  }

  close(): void {
    this.client.destroy();
    this.ecs.destroy();
  }

  /** Target group -> tag of the image that its tasks run. */
  private async versions(): Promise<Map<string, string>> {
    const { services: [service] = [] } = await this.ecs.send(
      new DescribeServicesCommand({ cluster: this.prefix, services: [this.prefix] }),
    );
    const sets = [...(service ? [service] : []), ...(service?.taskSets ?? [])];
    const versions = sets.flatMap(({ loadBalancers = [], taskDefinition = "" }) =>
      loadBalancers.map(async ({ targetGroupArn = "" }) => {
        return [targetGroupArn, await this.tagOf(taskDefinition)] as const;
      }),
    );
    return new Map(await Promise.all(versions));
  }

  private async tagOf(name: string): Promise<string> {
    const known = this.tags.get(name);
    if (known !== undefined) return known;
    const { taskDefinition } = await this.ecs.send(
      new DescribeTaskDefinitionCommand({ taskDefinition: name }),
    );
    const image = taskDefinition?.containerDefinitions?.[0]?.image ?? "";
    const [, repository = "", digest = ""] = /^[^/]*\/(.*)@(sha256:.*)$/.exec(image) ?? [];
    const stored = this.registry.store.images(repository).find((one) => one.digest === digest);
    const tag = [...(stored?.tags ?? [])].find((one) => /^[0-9a-f]{10}$/.test(one)) ?? "";
    this.tags.set(name, tag);
    return tag;
  }

  private async listeners(): Promise<ListenerView[]> {
    const { LoadBalancers: all = [] } = await this.client.send(new DescribeLoadBalancersCommand({}));
    const balancer = all.find(({ LoadBalancerName }) => LoadBalancerName === this.prefix);
    if (!balancer) return [];
    const { Listeners = [] } = await this.client.send(
      new DescribeListenersCommand({ LoadBalancerArn: balancer.LoadBalancerArn }),
    );
    return Listeners.flatMap((listener) => this.listener(listener) ?? []).sort((a, b) => a.port - b.port);
  }

  private listener({ Port = 0, DefaultActions = [] }: Listener): ListenerView | undefined {
    const forward = DefaultActions.find(({ Type }) => Type === "forward");
    if (!forward) return undefined;
    const shares = sharesOf(forward);
    const total = shares.reduce((sum, { weight }) => sum + weight, 0) || 1;
    const share = (colour: Colour) =>
      (100 * (shares.find(({ arn }) => arn === this.groups.get(colour))?.weight ?? 0)) / total;
    return {
      name: Port === TEST_PORT ? "test listener" : "production",
      port: Port,
      shares: { blue: share("blue"), green: share("green") },
    };
  }
}
