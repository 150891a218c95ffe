import { CloudwatchEventRule } from "@cdktf/provider-aws/lib/cloudwatch-event-rule";
import { CloudwatchEventTarget } from "@cdktf/provider-aws/lib/cloudwatch-event-target";
import { SfnStateMachine } from "@cdktf/provider-aws/lib/sfn-state-machine";
import { Construct } from "constructs";
import type { Config } from "../config/schema";
import type { Account } from "./account";
import { readJsonAsset } from "./asset";
import { DeadLetterQueue } from "./dead-letter-queue";
import type { ImageBuild } from "./image-build";
import { PUSH_DETAIL_TYPE, PUSH_SOURCE, type PushBus } from "./push-bus";
import { ServiceRole } from "./service-role";

/**
 * The longest event pattern that EventBridge accepts, in characters, unless the account's quota is raised.
 * @see https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html
 */
export const EVENT_PATTERN_MAX_LENGTH = 2048;

export interface BuildTriggerProps {
  readonly prefix: string;
  readonly account: Account;
  readonly bus: PushBus;
  readonly backlog: Config["backlog"];
  /** Refs that are built, `*` for any characters. */
  readonly refs: string[];
  readonly build: ImageBuild;
}

/** Starts a build for each push of a wanted branch: rule, state machine with retries, dead letters. */
export class BuildTrigger extends Construct {
  public readonly stateMachine: SfnStateMachine;
  public readonly deadLetters: DeadLetterQueue;
  public readonly ruleName: string;

  constructor(scope: Construct, id: string, props: BuildTriggerProps) {
    super(scope, id);
    const { prefix, account, bus, backlog, refs, build } = props;

    this.deadLetters = new DeadLetterQueue(this, "dead_letters", `${prefix}-push-dead-letters`);
    const machineName = `${prefix}-start-build`;
    const machineRole = new ServiceRole(this, "machine_role", {
      name: machineName,
      service: "states.amazonaws.com",
      source: { account, arns: [account.arn("states", `stateMachine:${machineName}`)] },
      statements: [
        { sid: "StartBuild", actions: ["codebuild:StartBuild"], resources: [build.project.arn] },
        { sid: "SendDeadLetter", actions: ["sqs:SendMessage"], resources: [this.deadLetters.queue.arn] },
      ],
    });
    this.stateMachine = new SfnStateMachine(this, "machine", {
      name: machineName,
      type: "STANDARD",
      roleArn: machineRole.arn,
      definition: readJsonAsset("push-bus", "start-build.asl.json")
        .replaceAll("<PARTITION>", account.partition)
        .replaceAll("<PROJECT_NAME>", build.project.name)
        .replaceAll("<DEAD_LETTER_QUEUE_URL>", this.deadLetters.queue.url),
      dependsOn: [machineRole.policy!],
    });

    const rule = new CloudwatchEventRule(this, "rule", {
      name: `${prefix}-start-build`,
      description: "Pushes of the branches that are built",
      eventBusName: bus.bus.name,
      eventPattern: patternOf(backlog, refs),
    });
    this.ruleName = rule.name;
    const deadLetterPolicy = this.deadLetters.allowRule(rule.arn);
    const ruleRole = new ServiceRole(this, "rule_role", {
      name: `${prefix}-push-rule`,
      service: "events.amazonaws.com",
      source: { account, arns: [rule.arn] },
      statements: [
        { sid: "StartExecution", actions: ["states:StartExecution"], resources: [this.stateMachine.arn] },
      ],
    });
    new CloudwatchEventTarget(this, "target", {
      rule: rule.name,
      eventBusName: bus.bus.name,
      arn: this.stateMachine.arn,
      roleArn: ruleRole.arn,
      inputTransformer: {
        inputPaths: { ref: "$.detail.ref", before: "$.detail.before", after: "$.detail.after" },
        // EventBridge quotes the values but does not escape them: the webhook lets none through that would need it.
        inputTemplate: '{"ref":<ref>,"before":<before>,"after":<after>}',
      },
      retryPolicy: { maximumEventAgeInSeconds: 24 * 60 * 60, maximumRetryAttempts: 185 },
      deadLetterConfig: { arn: this.deadLetters.queue.arn },
      dependsOn: [ruleRole.policy!, deadLetterPolicy],
    });
  }
}

function patternOf(backlog: Config["backlog"], refs: string[]): string {
  const pattern = JSON.stringify({
    source: [PUSH_SOURCE],
    "detail-type": [PUSH_DETAIL_TYPE],
    detail: {
      space: [backlog.space],
      project: [backlog.projectKey],
      repository: [backlog.repository],
      ref: refs.map((ref) => (ref.includes("*") ? { wildcard: ref } : ref)),
      // A deleted branch.
      after: [{ "anything-but": "0".repeat(40) }],
    },
  });
  if (pattern.length > EVENT_PATTERN_MAX_LENGTH) {
    throw new Error(
      `the event pattern of the branches to build must have at most ${EVENT_PATTERN_MAX_LENGTH} characters (EventBridge's limit), got: ${pattern.length}; fewer or shorter buildOnlyBranches make it fit`,
    );
  }
  return pattern;
}
