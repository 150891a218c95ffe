/**
 * Application Load Balancers: a server on loopback for each listener, which follows the listener as it is deployed.
 *
 * Copies: the default actions and the target groups' health (see the files beside this one), and the answer of
 * DescribeTargetHealth. HTTPS listeners speak plain HTTP here: certificates of the account have no private key on
 * this machine.
 * Left out: further listener rules (refused), network and gateway load balancers, access logs, security groups,
 * the seconds that AWS takes to carry out a change.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-listeners.html
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DescribeTargetHealth.html
 */

import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import {
  DescribeListenersCommand,
  DescribeLoadBalancersCommand,
  DescribeTargetGroupAttributesCommand,
  DescribeTargetGroupsCommand,
  ElasticLoadBalancingV2Client,
  type Listener,
  type TargetGroup as TargetGroupDescription,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { AwsError, type AwsRequest, type AwsResponse, type LocalAws } from "../aws/local-aws";
import { answer, sharesOf, WeightedTurn } from "./listener-action";
import { Sequence } from "./pace";
import { type Locate, TargetGroup, type TargetGroupSettings, type TargetHealth } from "./target-group";

export interface LoadBalancerDependencies {
  /** Finds a target on this machine. */
  readonly locate: Locate;
  /** Port of 127.0.0.1 that a listener should get when it is free. @default a free one */
  readonly portFor?: (listenerPort: number) => number;
}

/** The running load balancers. */
export interface LoadBalancers {
  /**
   * Address on this machine of the listener with this port.
   * @throws Error when there is none
   */
  url(listenerPort: number): string;
  /** Requests sent to a target group so far, and how many of them failed. */
  traffic(targetGroupArn: string): { requests: number; failures: number };
  stop(): Promise<void>;
}

/** What changes listeners or target groups, and so is looked at again before the caller gets the answer. */
const CHANGES = [
  "CreateListener",
  "ModifyListener",
  "DeleteListener",
  "DeleteLoadBalancer",
  "CreateTargetGroup",
  "ModifyTargetGroup",
  "ModifyTargetGroupAttributes",
  "DeleteTargetGroup",
];

const SERVICE = "elasticloadbalancing";

/** Plays the load balancers. */
export function startLoadBalancers(aws: LocalAws, dependencies: LoadBalancerDependencies): LoadBalancers {
  const balancers = new Balancers(aws, dependencies);
  for (const action of CHANGES) {
    aws.handle(SERVICE, action, async (_request, next) => {
      const response = await next();
      if (response.status === 200) await balancers.refresh();
      return response;
    });
  }
  aws.handle(SERVICE, "RegisterTargets", (request, next) => balancers.registerTargets(request, next));
  aws.handle(SERVICE, "DeregisterTargets", (request, next) => balancers.deregisterTargets(request, next));
  aws.handle(SERVICE, "DescribeTargetHealth", (request, next) => balancers.describeHealth(request, next));
  aws.handle(SERVICE, "CreateRule", async () => {
    throw new AwsError(
      "OperationNotPermitted",
      "this rehearsal's load balancer has default actions only, no further listener rules",
    );
  });
  return balancers;
}

class Listening {
  readonly turn = new WeightedTurn();

  constructor(
    public listener: Listener,
    readonly server: Server,
  ) {}

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }
}

class Balancers implements LoadBalancers {
  private readonly client: ElasticLoadBalancingV2Client;
  private readonly listeners = new Map<string, Listening>();
  private readonly groups = new Map<string, TargetGroup>();
  private readonly refreshing = new Sequence();

  constructor(
    private readonly aws: LocalAws,
    private readonly dependencies: LoadBalancerDependencies,
  ) {
    this.client = new ElasticLoadBalancingV2Client(aws.clientConfig());
  }

  url(listenerPort: number): string {
    const found = [...this.listeners.values()].find(({ listener }) => listener.Port === listenerPort);
    if (!found) throw new Error(`no load balancer listens on port ${listenerPort}`);
    return found.url;
  }

  traffic(targetGroupArn: string): { requests: number; failures: number } {
    const { requests = 0, failures = 0 } = this.groups.get(targetGroupArn) ?? {};
    return { requests, failures };
  }

  async stop(): Promise<void> {
    for (const group of this.groups.values()) group.stop();
    await Promise.all([...this.listeners.keys()].map((arn) => this.close(arn)));
    this.client.destroy();
  }

  /** Reads what is deployed now, and follows it. */
  refresh(): Promise<void> {
    return this.refreshing.run(() => this.lookAgain(5));
  }

  /** What is listed may be deleted before it is looked at, as several are when a stack goes: then it is listed anew. */
  private async lookAgain(attempts: number): Promise<void> {
    try {
      const listeners = await this.readListeners();
      await this.followGroups(listeners);
      await this.followListeners(listeners);
    } catch (error) {
      if (attempts <= 1 || !/NotFound/.test((error as Error).name)) throw error;
      await this.lookAgain(attempts - 1);
    }
  }

  async registerTargets(request: AwsRequest, next: () => Promise<AwsResponse>): Promise<AwsResponse> {
    const response = await next();
    if (response.status !== 200) return response;
    const group = this.groups.get(request.parameters.TargetGroupArn);
    for (const { id, port } of targetsOf(request)) group?.register(id, port);
    return response;
  }

  async deregisterTargets(request: AwsRequest, next: () => Promise<AwsResponse>): Promise<AwsResponse> {
    const group = this.groups.get(request.parameters.TargetGroupArn);
    if (!group) return next();
    // "If the specified target does not exist, the action returns successfully": the control plane would not.
    const known = targetsOf(request).filter(({ id, port }) => group.deregister(id, port));
    return known.length > 0 ? next() : xml("DeregisterTargets", "");
  }

  async describeHealth(request: AwsRequest, next: () => Promise<AwsResponse>): Promise<AwsResponse> {
    const group = this.groups.get(request.parameters.TargetGroupArn);
    if (!group) return next();
    const members = group.health(targetsOf(request)).map(healthXml).join("");
    return xml("DescribeTargetHealth", `<TargetHealthDescriptions>${members}</TargetHealthDescriptions>`);
  }

  private async readListeners(): Promise<Listener[]> {
    const { LoadBalancers: all = [] } = await this.client.send(new DescribeLoadBalancersCommand({}));
    const found = await Promise.all(
      all
        .filter(({ Type }) => Type === "application")
        .map(({ LoadBalancerArn }) => this.client.send(new DescribeListenersCommand({ LoadBalancerArn }))),
    );
    return found.flatMap(({ Listeners = [] }) => Listeners);
  }

  private async followGroups(listeners: readonly Listener[]): Promise<void> {
    const used = new Set(listeners.flatMap((one) => sharesOf(defaultAction(one)).map(({ arn }) => arn)));
    const { TargetGroups = [] } = await this.client.send(new DescribeTargetGroupsCommand({}));
    for (const description of TargetGroups) {
      const settings = await this.settingsOf(description);
      const group =
        this.groups.get(settings.arn) ?? new TargetGroup(this.aws, this.dependencies.locate, settings);
      group.update(settings, used.has(settings.arn));
      this.groups.set(settings.arn, group);
    }
    for (const [arn, group] of this.groups) {
      if (TargetGroups.some(({ TargetGroupArn }) => TargetGroupArn === arn)) continue;
      group.stop();
      this.groups.delete(arn);
    }
  }

  private async settingsOf(group: TargetGroupDescription): Promise<TargetGroupSettings> {
    const { TargetGroupArn } = group;
    const { Attributes = [] } = await this.client.send(
      new DescribeTargetGroupAttributesCommand({ TargetGroupArn }),
    );
    const delay = Attributes.find(({ Key }) => Key === "deregistration_delay.timeout_seconds")?.Value;
    return {
      arn: TargetGroupArn ?? "",
      port: group.Port ?? 80,
      healthCheckEnabled: group.HealthCheckEnabled ?? true,
      healthCheckPath: group.HealthCheckPath ?? "/",
      healthCheckPort: group.HealthCheckPort ?? "traffic-port",
      healthCheckIntervalSeconds: group.HealthCheckIntervalSeconds ?? 30,
      healthCheckTimeoutSeconds: group.HealthCheckTimeoutSeconds ?? 5,
      healthyThresholdCount: group.HealthyThresholdCount ?? 5,
      unhealthyThresholdCount: group.UnhealthyThresholdCount ?? 2,
      matcher: group.Matcher?.HttpCode ?? "200",
      deregistrationDelaySeconds: Number(delay ?? 300),
    };
  }

  private async followListeners(listeners: readonly Listener[]): Promise<void> {
    for (const listener of listeners) {
      const arn = listener.ListenerArn ?? "";
      const listening = this.listeners.get(arn);
      if (listening) listening.listener = listener;
      else this.listeners.set(arn, await this.open(listener));
    }
    const gone = [...this.listeners.keys()].filter(
      (arn) => !listeners.some(({ ListenerArn }) => ListenerArn === arn),
    );
    await Promise.all(gone.map((arn) => this.close(arn)));
  }

  private async open(listener: Listener): Promise<Listening> {
    const { Port = 0, ListenerArn = "" } = listener;
    const server = createServer((incoming, outgoing) => {
      const current = this.listeners.get(ListenerArn);
      const context = {
        protocol: current?.listener.Protocol ?? "HTTP",
        port: Port,
        turn: current?.turn ?? new WeightedTurn(),
        group: (arn: string) => this.groups.get(arn),
        locate: this.dependencies.locate,
      };
      answer(current && defaultAction(current.listener), context, incoming, outgoing);
    });
    await listen(server, this.dependencies.portFor?.(Port) ?? 0);
    return new Listening(listener, server);
  }

  private async close(arn: string): Promise<void> {
    const { server } = this.listeners.get(arn) ?? {};
    this.listeners.delete(arn);
    if (!server) return;
    server.close();
    server.closeAllConnections();
    await once(server, "close");
  }
}

/** Listens on the port, or on a free one when somebody else has it. */
async function listen(server: Server, port: number): Promise<void> {
  try {
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (port === 0 || (code !== "EADDRINUSE" && code !== "EACCES")) throw error;
    await listen(server, 0);
  }
}

/** The action that ends the list; what may stand before it is authentication. */
function defaultAction({ DefaultActions = [] }: Listener) {
  return [...DefaultActions].sort((a, b) => (a.Order ?? 0) - (b.Order ?? 0)).at(-1);
}

/** The targets of a call, from `Targets.member.N.Id` and `.Port`. */
function targetsOf({ parameters }: AwsRequest): { id: string; port?: number }[] {
  const found: { id: string; port?: number }[] = [];
  for (let n = 1; parameters[`Targets.member.${n}.Id`] !== undefined; n += 1) {
    const port = parameters[`Targets.member.${n}.Port`];
    found.push({
      id: String(parameters[`Targets.member.${n}.Id`]),
      ...(port === undefined ? {} : { port: Number(port) }),
    });
  }
  return found;
}

function healthXml(health: TargetHealth): string {
  const { id, port, healthCheckPort, state, reason, description } = health;
  const checked = healthCheckPort === "traffic-port" ? String(port) : healthCheckPort;
  return [
    `<member><HealthCheckPort>${checked}</HealthCheckPort>`,
    `<Target><Id>${id}</Id><Port>${port}</Port></Target>`,
    `<TargetHealth><State>${state}</State>`,
    reason ? `<Reason>${reason}</Reason>` : "",
    description ? `<Description>${description}</Description>` : "",
    "</TargetHealth></member>",
  ].join("");
}

function xml(action: string, result: string): AwsResponse {
  const text =
    `<${action}Response xmlns="http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/">` +
    `<${action}Result>${result}</${action}Result></${action}Response>`;
  return { status: 200, headers: { "content-type": "text/xml" }, body: Buffer.from(text) };
}
