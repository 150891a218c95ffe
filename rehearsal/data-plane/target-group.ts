/**
 * A target group: which targets there are, how they are, and which one gets the next request.
 *
 * Copies: checks run only while a listener names the group; one passed check makes a new target healthy, later
 * the thresholds count; a group without a healthy target sends to all of them; draining ends when the last
 * request is answered, at the latest after the deregistration delay.
 * Left out: stickiness, slow start, other algorithms than round robin, zones, HTTPS and gRPC checks.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-target-groups.html
 */
import { request } from "node:http";
import type { LocalAws } from "../aws/local-aws";
import { alarm, pace } from "./pace";
import type { Place } from "./task-network";

export interface TargetGroupSettings {
  readonly arn: string;
  /** Port of targets that are registered without one. */
  readonly port: number;
  readonly healthCheckEnabled: boolean;
  readonly healthCheckPath: string;
  /** A number, or `traffic-port`. */
  readonly healthCheckPort: string;
  readonly healthCheckIntervalSeconds: number;
  readonly healthCheckTimeoutSeconds: number;
  readonly healthyThresholdCount: number;
  readonly unhealthyThresholdCount: number;
  /** Status codes as AWS writes them: `200`, `200,202`, `200-299`. */
  readonly matcher: string;
  readonly deregistrationDelaySeconds: number;
}

/** Finds the place on this machine where a target's port is reached. */
export type Locate = (id: string, port: number) => Place | undefined;

type State = "initial" | "healthy" | "unhealthy" | "unused" | "draining";

export interface TargetHealth {
  readonly id: string;
  readonly port: number;
  readonly healthCheckPort: string;
  readonly state: State;
  readonly reason?: string;
  readonly description?: string;
}

/** One registered target. */
export class Target {
  state: State = "initial";
  reason = "Elb.RegistrationInProgress";
  description = "Target registration is in progress";
  passed = 0;
  failed = 0;
  /** Requests that are being answered. */
  open = 0;

  constructor(
    readonly id: string,
    readonly port: number,
  ) {}
}

/** One target group. */
export class TargetGroup {
  /** Requests that were sent to its targets. */
  requests = 0;
  /** Of those, how many were answered with a 5xx or not at all. */
  failures = 0;

  private targets: Target[] = [];
  private draining: Target[] = [];
  private turn = 0;
  private isUsed = false;
  private stopped = false;

  constructor(
    private readonly aws: LocalAws,
    private readonly locate: Locate,
    private settings: TargetGroupSettings,
  ) {}

  /** Takes over changed settings, and whether a listener names the group now. */
  update(settings: TargetGroupSettings, isUsed: boolean): void {
    this.settings = settings;
    if (isUsed !== this.isUsed) {
      for (const target of this.targets) Object.assign(target, new Target(target.id, target.port));
    }
    this.isUsed = isUsed;
  }

  register(id: string, port = this.settings.port): void {
    if (this.find(this.targets, id, port)) return;
    const target = new Target(id, port);
    this.targets.push(target);
    // Ends with an error only when the rehearsal ends.
    this.watch(target).catch(() => {});
  }

  /** `false` when there is no such target. */
  deregister(id: string, port = this.settings.port): boolean {
    const target = this.find(this.targets, id, port);
    if (!target) return false;
    this.targets = this.targets.filter((one) => one !== target);
    this.draining.push(target);
    this.drain(target).catch(() => {});
    return true;
  }

  /** Health of the targets that were asked for, or of all. */
  health(asked: readonly { id: string; port?: number }[]): TargetHealth[] {
    if (asked.length === 0) return [...this.targets, ...this.draining].map((target) => this.show(target));
    return asked.map(({ id, port = this.settings.port }) => {
      const target = this.find(this.targets, id, port) ?? this.find(this.draining, id, port);
      if (target) return this.show(target);
      return {
        id,
        port,
        healthCheckPort: this.settings.healthCheckPort,
        state: "unused" as const,
        reason: "Target.NotRegistered",
        description: "Target is not registered to the target group",
      };
    });
  }

  /** The target for the next request; `undefined` when none is registered. */
  pick(): Target | undefined {
    const healthy = this.targets.filter(({ state }) => state === "healthy");
    const candidates = healthy.length > 0 ? healthy : this.targets;
    this.turn += 1;
    return candidates[this.turn % candidates.length];
  }

  stop(): void {
    this.stopped = true;
  }

  private show(target: Target): TargetHealth {
    const { id, port } = target;
    const common = { id, port, healthCheckPort: this.settings.healthCheckPort };
    if (target.state === "healthy") return { ...common, state: "healthy" };
    const { state, reason, description } = this.isUsed || target.state === "draining" ? target : UNUSED;
    return { ...common, state, reason, description };
  }

  private async watch(target: Target): Promise<void> {
    while (!this.stopped && this.targets.includes(target)) {
      if (this.isUsed) {
        const fault = this.settings.healthCheckEnabled ? await this.probe(target) : undefined;
        if (this.isUsed && this.targets.includes(target)) this.judge(target, fault);
      }
      await pace(this.aws, this.settings.healthCheckIntervalSeconds);
    }
  }

  private judge(target: Target, fault: Fault | undefined): void {
    if (fault) {
      target.passed = 0;
      target.failed += 1;
      if (target.failed >= this.settings.unhealthyThresholdCount) target.state = "unhealthy";
      if (target.state === "healthy") return;
      const isInitial = target.state === "initial";
      target.reason = isInitial ? "Elb.InitialHealthChecking" : fault.reason;
      target.description = isInitial ? "Initial health checks in progress" : fault.description;
      return;
    }
    target.failed = 0;
    target.passed += 1;
    const needed = target.state === "initial" ? 1 : this.settings.healthyThresholdCount;
    if (target.passed >= needed) target.state = "healthy";
  }

  private async probe({ id, port }: Target): Promise<Fault | undefined> {
    const { healthCheckPort, healthCheckPath, healthCheckTimeoutSeconds, matcher } = this.settings;
    const place = this.locate(id, healthCheckPort === "traffic-port" ? port : Number(healthCheckPort));
    if (!place) return FAILED;
    const status = await get(place, healthCheckPath, healthCheckTimeoutSeconds * 1000);
    if (status === "timeout") return { reason: "Target.Timeout", description: "Request timed out" };
    if (status === "error") return FAILED;
    if (matches(matcher, status)) return undefined;
    return {
      reason: "Target.ResponseCodeMismatch",
      description: `Health checks failed with these codes: [${status}]`,
    };
  }

  private async drain(target: Target): Promise<void> {
    target.state = "draining";
    target.reason = "Target.DeregistrationInProgress";
    target.description = "Target deregistration is in progress";
    const limit = alarm(this.aws, this.settings.deregistrationDelaySeconds);
    let isOver = false;
    void limit.done.then(() => {
      isOver = true;
    });
    try {
      while (target.open > 0 && !isOver && !this.stopped) await pace(this.aws, 1);
    } finally {
      limit.cancel();
      this.draining = this.draining.filter((one) => one !== target);
    }
  }

  private find(targets: readonly Target[], id: string, port: number): Target | undefined {
    return targets.find((target) => target.id === id && target.port === port);
  }
}

interface Fault {
  readonly reason: string;
  readonly description: string;
}

const FAILED: Fault = { reason: "Target.FailedHealthChecks", description: "Health checks failed" };

const UNUSED = {
  state: "unused" as const,
  reason: "Target.NotInUse",
  description: "Target group is not configured to receive traffic from the load balancer",
};

/** Whether a status is one of those that a matcher names. */
function matches(matcher: string, status: number): boolean {
  return matcher.split(",").some((part) => {
    const [first, last = first] = part.split("-").map(Number);
    return first !== undefined && last !== undefined && status >= first && status <= last;
  });
}

function get(place: Place, path: string, timeout: number): Promise<number | "timeout" | "error"> {
  return new Promise((resolve) => {
    const headers = { "User-Agent": "ELB-HealthChecker/2.0" };
    const outgoing = request({ ...place, path, headers, agent: false, timeout }, (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? "error");
    });
    outgoing.on("timeout", () => {
      resolve("timeout");
      outgoing.destroy();
    });
    outgoing.on("error", () => resolve("error"));
    outgoing.end();
  });
}
