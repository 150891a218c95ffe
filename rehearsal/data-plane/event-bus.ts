import { randomUUID } from "node:crypto";
import type { RunningLocalAws } from "../aws/endpoint";
import { callJson } from "../aws/json-api";
import { AwsError, type AwsRequest, type Stage } from "../aws/local-aws";
import { playArchives } from "./event-archive";
import { checkPattern, type EventPattern, matchesPattern } from "./event-pattern";
import { type BusEvent, deliver, type Rule, type Target } from "./event-target";
import { failedEntry, readEntries } from "./put-events";

/** What a service says about itself. */
export interface ServiceEvent {
  /** E.g. `aws.codebuild`. */
  readonly source: string;
  readonly "detail-type": string;
  /** ARNs of what the event is about. */
  readonly resources: readonly string[];
  readonly detail: Readonly<Record<string, unknown>>;
}

/** EventBridge of the local AWS. */
export interface EventBus {
  /** Sends a service's own event to the default bus. */
  emit(event: ServiceEvent): void;
}

/** The part of the local AWS that the buses use. */
export type BusAws = Pick<
  RunningLocalAws,
  | "accountId"
  | "administrator"
  | "assumeRole"
  | "authorizeService"
  | "endpoint"
  | "handle"
  | "region"
  | "report"
  | "wait"
>;

/** Which stage of a push is served by a rule's target, for reports; by the service in its ARN. */
const STAGES: Readonly<Record<string, Stage>> = {
  codebuild: "queued",
  states: "queued",
  codepipeline: "pipeline",
};

/**
 * Plays EventBridge: takes events, and hands them to the targets of the rules that match, as they are deployed at
 * that moment.
 *
 * Left out: the quota of requests, other accounts and regions, schedules, and the minutes until a new rule works.
 *
 * @see https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
 */
export function playEventBus(aws: BusAws): EventBus {
  const call = (operation: string, parameters: object) =>
    callJson(aws, aws.administrator, "events", operation, parameters);
  const archives = playArchives(aws, dispatch);

  aws.handle("events", "PutEvents", async (request) => {
    const results = readEntries(request).map((entry) => {
      const problem = failedEntry(entry);
      if (problem) return problem;
      const event = eventOf({
        source: entry.Source!,
        "detail-type": entry.DetailType!,
        resources: entry.Resources ?? [],
        detail: JSON.parse(entry.Detail!),
      });
      receive(entry.EventBusName ?? "default", event);
      return { EventId: event.id };
    });
    return { FailedEntryCount: results.filter((r) => "ErrorCode" in r).length, Entries: results };
  });

  aws.handle("events", "PutRule", async ({ parameters }: AwsRequest, next) => {
    if (parameters.EventPattern !== undefined) refuseUnplayable(parameters.EventPattern);
    return next();
  });

  return { emit: (event) => receive("default", eventOf(event)) };

  function eventOf(event: ServiceEvent): BusEvent {
    return {
      version: "0",
      id: randomUUID(),
      account: aws.accountId,
      time: new Date().toISOString().replace(/\.\d+Z$/, "Z"),
      region: aws.region,
      ...event,
    };
  }

  /** Takes an event: the caller has its answer before any rule is looked at, as on AWS. */
  function receive(bus: string, event: BusEvent): void {
    const name = bus.split("/").at(-1)!;
    archives.keep(name, event).catch((error) => reportTrouble(event, "filtered", error));
    dispatch(name, event).catch((error) => reportTrouble(event, "filtered", error));
  }

  async function dispatch(bus: string, event: BusEvent, only?: readonly string[]): Promise<void> {
    const rules = await rulesOf(bus);
    const matching = rules.filter(
      (rule) => matchesPattern(rule.pattern, event) && (only === undefined || only.includes(rule.arn)),
    );
    const push = pushOf(event);
    if (push) {
      const names = matching.map((rule) => rule.name).join(", ");
      aws.report({
        ...push,
        stage: "filtered",
        state: names ? "succeeded" : "skipped",
        detail: names ? `taken by rule ${names}` : `no rule of bus ${bus} takes it`,
      });
    }
    await Promise.all(
      matching.map(async (rule) => {
        const { Targets = [] } = await call("ListTargetsByRule", { Rule: rule.name, EventBusName: bus });
        await Promise.all(Targets.map((target: Target) => hand(rule, target, event)));
      }),
    );
  }

  async function hand(rule: Rule, target: Target, event: BusEvent): Promise<void> {
    const stage = STAGES[target.Arn.split(":")[2]!] ?? "filtered";
    try {
      const { error, attempts, deadLetterQueue } = await deliver(aws, rule, target, event);
      if (!error) return;
      const fate = deadLetterQueue
        ? `now a dead letter in ${deadLetterQueue}`
        : "dropped: no dead-letter queue";
      const tries = attempts === 1 ? "" : ` after ${attempts} attempts`;
      throw new Error(`rule ${rule.name} could not reach ${target.Arn}${tries}: ${error.message}; ${fate}`);
    } catch (error) {
      reportTrouble(event, stage, error as Error);
    }
  }

  async function rulesOf(bus: string): Promise<(Rule & { pattern: EventPattern })[]> {
    const { Rules = [] } = await call("ListRules", { EventBusName: bus, Limit: 100 });
    return (
      Rules as { Name: string; Arn: string; State: string; ManagedBy?: string; EventPattern?: string }[]
    )
      .filter((rule) => rule.State === "ENABLED" && rule.EventPattern && !rule.ManagedBy)
      .map((rule) => ({ name: rule.Name, arn: rule.Arn, pattern: JSON.parse(rule.EventPattern!) }));
  }

  function reportTrouble(event: BusEvent, stage: Stage, error: Error): void {
    // The rehearsal is ending: nobody waits for this event any more.
    if (error.name === "AbortError") return;
    aws.report({ ...pushOf(event), stage, state: "failed", detail: error.message });
  }
}

/** Commit and ref of an event that is about a push. */
function pushOf({ detail }: BusEvent): { commit: string; ref: string } | undefined {
  const { ref, after } = detail;
  return typeof ref === "string" && typeof after === "string" ? { ref, commit: after } : undefined;
}

/** What could not be evaluated later is refused when the rule is deployed. */
function refuseUnplayable(pattern: string): void {
  try {
    checkPattern(JSON.parse(pattern));
  } catch (error) {
    throw new AwsError(
      "InvalidEventPatternException",
      `Event pattern is not valid. Reason: ${(error as Error).message}`,
    );
  }
}
