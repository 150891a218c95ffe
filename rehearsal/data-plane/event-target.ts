import type { RunningLocalAws } from "../aws/endpoint";
import { callJson, callQuery } from "../aws/json-api";
import { AwsError, type Credentials } from "../aws/local-aws";
import { type InputTransformer, transformInput } from "./input-transformer";

/** The part of the local AWS that delivery uses. */
export type DeliveryAws = Pick<
  RunningLocalAws,
  "accountId" | "administrator" | "assumeRole" | "authorizeService" | "endpoint" | "region" | "wait"
>;

/** An event as rules see it. */
export interface BusEvent {
  readonly version: "0";
  readonly id: string;
  readonly "detail-type": string;
  readonly source: string;
  readonly account: string;
  readonly time: string;
  readonly region: string;
  readonly resources: readonly string[];
  /** Of a replayed event: which replay. */
  readonly "replay-name"?: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

/** A rule, by what delivery needs of it. */
export interface Rule {
  readonly name: string;
  readonly arn: string;
}

/** A rule's target, as `ListTargetsByRule` has it. */
export interface Target {
  readonly Id: string;
  readonly Arn: string;
  readonly RoleArn?: string;
  readonly Input?: string;
  readonly InputPath?: string;
  readonly InputTransformer?: InputTransformer;
  readonly DeadLetterConfig?: { readonly Arn?: string };
  readonly RetryPolicy?: {
    readonly MaximumRetryAttempts?: number;
    readonly MaximumEventAgeInSeconds?: number;
  };
}

/** How a delivery ended; `error` when the target did not get the event. */
export interface Delivery {
  readonly attempts: number;
  readonly error?: AwsError;
  /** Where the event went instead. */
  readonly deadLetterQueue?: string;
}

const EVENTS = "events.amazonaws.com";

/**
 * Hands an event to a target: 5xx and 429 are tried again by the target's retry policy, every other error is final
 * (also a 400 that says "too many": AWS does not read the code), and then the event goes to the dead-letter queue.
 * The spacing of the attempts is not documented beyond "exponential back-off and jitter".
 *
 * @see https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-retry-policy.html
 * @see https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
 */
export async function deliver(
  aws: DeliveryAws,
  rule: Rule,
  target: Target,
  event: BusEvent,
): Promise<Delivery> {
  const { MaximumRetryAttempts = 185, MaximumEventAgeInSeconds = 86_400 } = target.RetryPolicy ?? {};
  let age = 0;
  for (let retries = 0; ; retries += 1) {
    const error = await invoke(aws, rule, target, event).then(() => undefined, awsError);
    if (!error) return { attempts: retries + 1 };

    const isRetriable = error.status >= 500 || error.status === 429;
    const delay = Math.min(2 ** retries, 600) * (0.5 + Math.random() / 2);
    const exhausted =
      retries >= MaximumRetryAttempts
        ? "MaximumRetryAttempts"
        : age + delay > MaximumEventAgeInSeconds
          ? "MaximumEventAgeInSeconds"
          : undefined;
    if (isRetriable && !exhausted) {
      age += delay;
      await aws.wait(delay);
      continue;
    }
    const queue = target.DeadLetterConfig?.Arn;
    if (!queue) return { attempts: retries + 1, error };
    await sendMessage(aws, rule, undefined, queue, JSON.stringify(event), {
      RULE_ARN: rule.arn,
      TARGET_ARN: target.Arn,
      ERROR_CODE: errorCode(error),
      ERROR_MESSAGE: error.message,
      RETRY_ATTEMPTS: String(retries),
      ...(isRetriable && exhausted ? { EXHAUSTED_RETRY_CONDITION: exhausted } : {}),
    });
    return { attempts: retries + 1, error, deadLetterQueue: queue };
  }
}

async function invoke(aws: DeliveryAws, rule: Rule, target: Target, event: BusEvent): Promise<void> {
  const [, , service, , , ...rest] = target.Arn.split(":");
  const name = rest.join(":").split("/").at(-1)!;
  const input = inputOf(target, event, rule);
  switch (service) {
    case "states":
      await callJson(aws, await roleOf(aws, rule, target), "states", "StartExecution", {
        stateMachineArn: target.Arn,
        input: input ?? JSON.stringify(event),
      });
      return;
    case "codebuild":
      await callJson(aws, await roleOf(aws, rule, target), "codebuild", "StartBuild", {
        projectName: name,
        ...jsonOf(input),
      });
      return;
    case "codepipeline":
      await callJson(aws, await roleOf(aws, rule, target), "codepipeline", "StartPipelineExecution", {
        name,
        ...jsonOf(input),
      });
      return;
    case "sqs":
      await sendMessage(aws, rule, target.RoleArn, target.Arn, input ?? JSON.stringify(event));
      return;
    case "sns": {
      const parameters = {
        Action: "Publish",
        Version: "2010-03-31",
        TopicArn: target.Arn,
        Message: input ?? JSON.stringify(event),
      };
      const caller = await callerFor(aws, rule, target.RoleArn, "sns:Publish", target.Arn);
      await callQuery(aws, caller, "sns", parameters);
      return;
    }
    default:
      throw new AwsError("UnsupportedTarget", `the rehearsal does not deliver to ${service}: ${target.Arn}`);
  }
}

/** The text for the target; undefined when the whole event is meant. */
function inputOf(target: Target, event: BusEvent, rule: Rule): string | undefined {
  if (target.InputPath !== undefined) {
    throw new AwsError("UnsupportedTarget", "the rehearsal does not play a target's InputPath");
  }
  return target.InputTransformer ? transformInput(target.InputTransformer, event, rule) : target.Input;
}

function jsonOf(input: string | undefined): object {
  if (input === undefined) return {};
  try {
    return JSON.parse(input) as object;
  } catch {
    throw new AwsError("InvalidInput", `input for the target is not valid JSON: ${input}`);
  }
}

async function roleOf(aws: DeliveryAws, rule: Rule, target: Target): Promise<Credentials> {
  if (!target.RoleArn) throw new AwsError("AccessDenied", `target ${target.Id} has no role`, 403);
  return aws.assumeRole(target.RoleArn, EVENTS, { arn: rule.arn, account: aws.accountId });
}

/** Queues and topics may be reached by their own policy, in the name of the service, instead of by a role. */
async function callerFor(
  aws: DeliveryAws,
  rule: Rule,
  roleArn: string | undefined,
  action: string,
  resource: string,
): Promise<Credentials> {
  const source = { arn: rule.arn, account: aws.accountId };
  if (roleArn) return aws.assumeRole(roleArn, EVENTS, source);
  await aws.authorizeService(EVENTS, action, resource, source);
  return aws.administrator;
}

async function sendMessage(
  aws: DeliveryAws,
  rule: Rule,
  roleArn: string | undefined,
  queueArn: string,
  MessageBody: string,
  attributes: Readonly<Record<string, string>> = {},
): Promise<void> {
  const caller = await callerFor(aws, rule, roleArn, "sqs:SendMessage", queueArn);
  await callJson(aws, caller, "sqs", "SendMessage", {
    QueueUrl: `${aws.endpoint}/${aws.accountId}/${queueArn.split(":").at(-1)}`,
    MessageBody,
    MessageAttributes: Object.fromEntries(
      Object.entries(attributes).map(([name, StringValue]) => [name, { DataType: "String", StringValue }]),
    ),
  });
}

/** The codes that a dead letter carries, from AWS's list. */
function errorCode({ code, status }: AwsError): string {
  if (/^AccessDenied/.test(code)) return "NO_PERMISSIONS";
  if (/NotFound|DoesNotExist|NonExistent/.test(code)) return "NO_RESOURCE";
  if (status === 429) return "THROTTLING";
  return status >= 500 ? "ERROR_FROM_TARGET" : "SDK_CLIENT_ERROR";
}

function awsError(error: unknown): AwsError {
  if (error instanceof AwsError) return error;
  // Not an answer of the target: the template could not be filled in, or the rehearsal is ending.
  return new AwsError("InternalFailure", (error as Error).message);
}
