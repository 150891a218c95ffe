import { CloudWatchClient, DescribeAlarmsCommand, type MetricAlarm } from "@aws-sdk/client-cloudwatch";
import { GetQueueAttributesCommand, GetQueueUrlCommand, SQSClient } from "@aws-sdk/client-sqs";
import type { LocalAws } from "../aws/local-aws";
import type { Happened } from "../timeline";
import { expect } from "./fault";

/** One metric of one resource, as an alarm names it. */
export interface Metric {
  readonly namespace: string;
  readonly name: string;
  readonly dimensions: Readonly<Record<string, string>>;
}

/** Measures a metric since the fault began. @throws Error for a metric that cannot be measured here */
export type Measure = (metric: Metric) => Promise<number>;

/** Activities that count for a metric which AWS sums up. */
const COUNTED: Readonly<Record<string, (one: Happened) => boolean>> = {
  "AWS/CodeBuild FailedBuilds": ({ stage, state }) => stage === "building" && state === "failed",
  "AWS/States ExecutionsFailed": ({ stage, state, detail }) =>
    stage === "queued" && state === "failed" && detail.startsWith("BuildNotStarted"),
  "AWS/CodePipeline FailedPipelineExecutions": ({ stage, state }) =>
    stage === "pipeline" && state === "failed",
  "AWS/ApiGateway 4XXError": ({ detail }) => detail.startsWith("webhook answered 4"),
  "AWS/ApiGateway 5XXError": ({ detail }) => detail.startsWith("webhook answered 5"),
};

/** Measures what happened in a run, and how long queues are now. */
export function measureBy(
  aws: Pick<LocalAws, "clientConfig">,
  activities: () => readonly Happened[],
): Measure {
  return async ({ namespace, name, dimensions }) => {
    if (namespace === "AWS/SQS" && name === "ApproximateNumberOfMessagesVisible") {
      const sqs = new SQSClient(aws.clientConfig());
      const { QueueUrl } = await sqs.send(new GetQueueUrlCommand({ QueueName: dimensions.QueueName }));
      const { Attributes = {} } = await sqs.send(
        new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ["ApproximateNumberOfMessages"] }),
      );
      return Number(Attributes.ApproximateNumberOfMessages);
    }
    const counts = COUNTED[`${namespace} ${name}`];
    expect(counts, `this rehearsal does not measure ${namespace} ${name}`);
    return activities().filter(counts).length;
  };
}

/** Whether an alarm's own condition holds on the metric that it names. @throws Error when there is no such alarm */
export async function isBreached(
  aws: Pick<LocalAws, "clientConfig">,
  alarmName: string,
  measure: Measure,
): Promise<boolean> {
  const watch = new CloudWatchClient(aws.clientConfig());
  const { MetricAlarms = [] } = await watch.send(new DescribeAlarmsCommand({ AlarmNames: [alarmName] }));
  const [alarm] = MetricAlarms;
  expect(alarm, `there is no alarm ${alarmName}`);
  expect(
    alarm.ActionsEnabled !== false && (alarm.AlarmActions ?? []).length > 0,
    `the alarm ${alarmName} tells nobody`,
  );
  const value = await measure({
    namespace: alarm.Namespace ?? "",
    name: alarm.MetricName ?? "",
    dimensions: Object.fromEntries((alarm.Dimensions ?? []).map(({ Name, Value }) => [Name, Value])),
  });
  return compares(alarm, value);
}

function compares(
  { ComparisonOperator, Threshold = 0, EvaluationPeriods }: MetricAlarm,
  value: number,
): boolean {
  expect(EvaluationPeriods === 1, `only alarms of one period are evaluated here, got: ${EvaluationPeriods}`);
  expect(
    ComparisonOperator === "GreaterThanOrEqualToThreshold",
    `not evaluated here: an alarm with ${ComparisonOperator}`,
  );
  return value >= Threshold;
}
