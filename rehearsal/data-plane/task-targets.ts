import {
  DeregisterTargetsCommand,
  DescribeTargetGroupsCommand,
  DescribeTargetHealthCommand,
  ElasticLoadBalancingV2Client,
  RegisterTargetsCommand,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { AwsError, type LocalAws } from "../aws/local-aws";
import { pace } from "./pace";

/** A service's or a task set's. */
export interface LoadBalancer {
  readonly targetGroupArn?: string;
  readonly containerName?: string;
  readonly containerPort?: number;
}

/** Tasks in the target groups of their service, as ECS registers them. */
export class TaskTargets {
  private readonly client: ElasticLoadBalancingV2Client;
  private stopped = false;

  constructor(private readonly aws: LocalAws) {
    this.client = new ElasticLoadBalancingV2Client(aws.clientConfig());
  }

  /** Waits for nothing any more. */
  stop(): void {
    this.stopped = true;
  }

  close(): void {
    this.client.destroy();
  }

  /**
   * ECS takes no target group that no load balancer uses.
   * @throws AwsError `InvalidParameterException`
   */
  async check(loadBalancers: readonly LoadBalancer[] = []): Promise<void> {
    const arns = loadBalancers.flatMap(({ targetGroupArn }) => targetGroupArn ?? []);
    if (arns.length === 0) return;
    const { TargetGroups = [] } = await this.client.send(
      new DescribeTargetGroupsCommand({ TargetGroupArns: arns }),
    );
    const unused = TargetGroups.find(({ LoadBalancerArns = [] }) => LoadBalancerArns.length === 0);
    if (!unused) return;
    throw new AwsError(
      "InvalidParameterException",
      `The target group with targetGroupArn ${unused.TargetGroupArn} does not have an associated load balancer.`,
    );
  }

  /** @returns the target groups that have the task now */
  async register(loadBalancers: readonly LoadBalancer[], address: string | undefined): Promise<string[]> {
    const groups = targetsOf(loadBalancers, address);
    for (const group of groups) await this.client.send(new RegisterTargetsCommand(group));
    return groups.map(({ TargetGroupArn }) => TargetGroupArn);
  }

  /** Settles when no connection of the load balancer leads to the task any more. */
  async deregister(loadBalancers: readonly LoadBalancer[], address: string | undefined): Promise<void> {
    for (const group of targetsOf(loadBalancers, address)) {
      try {
        await this.client.send(new DeregisterTargetsCommand(group));
        while (!this.stopped && (await this.states(group)).includes("draining")) await pace(this.aws, 5);
      } catch (error) {
        // Without target group or registration there is nothing to let go of.
        if (!/NotFound|InvalidTarget/.test((error as Error).name)) throw error;
      }
    }
  }

  /** Whether every target group has all of these tasks, healthy. */
  async areHealthy(loadBalancers: readonly LoadBalancer[], addresses: readonly string[]): Promise<boolean> {
    if (addresses.length === 0) return true;
    for (const { targetGroupArn, containerPort } of loadBalancers) {
      if (!targetGroupArn) continue;
      const Targets = addresses.map((Id) => ({ Id, Port: containerPort }));
      const states = await this.states({ TargetGroupArn: targetGroupArn, Targets });
      if (states.length !== addresses.length || states.some((state) => state !== "healthy")) return false;
    }
    return true;
  }

  private async states(targets: Targets): Promise<string[]> {
    const { TargetHealthDescriptions = [] } = await this.client.send(
      new DescribeTargetHealthCommand(targets),
    );
    return TargetHealthDescriptions.map((one) => one.TargetHealth?.State ?? "unavailable");
  }
}

interface Targets {
  readonly TargetGroupArn: string;
  readonly Targets: { Id: string; Port: number | undefined }[];
}

function targetsOf(loadBalancers: readonly LoadBalancer[], address: string | undefined): Targets[] {
  return loadBalancers.flatMap(({ targetGroupArn, containerPort }) =>
    targetGroupArn && address
      ? [{ TargetGroupArn: targetGroupArn, Targets: [{ Id: address, Port: containerPort }] }]
      : [],
  );
}
