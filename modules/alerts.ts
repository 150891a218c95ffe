import { CloudwatchMetricAlarm } from "@cdktf/provider-aws/lib/cloudwatch-metric-alarm";
import { DataAwsIamPolicyDocument } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document";
import { SnsTopic } from "@cdktf/provider-aws/lib/sns-topic";
import { SnsTopicPolicy } from "@cdktf/provider-aws/lib/sns-topic-policy";
import { SnsTopicSubscription } from "@cdktf/provider-aws/lib/sns-topic-subscription";
import { Construct } from "constructs";
import type { Account } from "./account";

export interface AlertsProps {
  readonly prefix: string;
  readonly account: Account;
  /** Who is told. */
  readonly emails: readonly string[];
}

/** One metric of one resource that should stay at nought. */
export interface Watched {
  /** Ends the alarm's name. */
  readonly name: string;
  /** What has happened, and where to look. */
  readonly description: string;
  readonly namespace: string;
  readonly metricName: string;
  readonly dimensions: Record<string, string>;
  /**
   * `Maximum` for a level such as a queue's length, `Sum` for counted failures.
   * @default "Sum"
   */
  readonly statistic?: "Sum" | "Maximum";
}

/** Topic that people subscribe to, and an alarm for each thing that can go wrong unseen. */
export class Alerts extends Construct {
  public readonly topic: SnsTopic;
  private readonly prefix: string;

  constructor(scope: Construct, id: string, props: AlertsProps) {
    super(scope, id);
    this.prefix = props.prefix;
    // Not encrypted with aws/sns: CloudWatch could not publish, and no alarm would ever arrive.
    this.topic = new SnsTopic(this, "Default", { name: `${props.prefix}-alerts` });
    const policy = new DataAwsIamPolicyDocument(this, "publishers", {
      statement: [
        {
          sid: "PublishedByAlarms",
          principals: [{ type: "Service", identifiers: ["cloudwatch.amazonaws.com"] }],
          actions: ["sns:Publish"],
          resources: [this.topic.arn],
          condition: [{ test: "StringEquals", variable: "aws:SourceAccount", values: [props.account.id] }],
        },
      ],
    });
    new SnsTopicPolicy(this, "policy", { arn: this.topic.arn, policy: policy.json });
    for (const email of props.emails) {
      // Named after the address, not its place in the list: else removing one would replace those behind it, and
      // each of them would have to be confirmed again.
      new SnsTopicSubscription(this, `email_${email}`, {
        topicArn: this.topic.arn,
        protocol: "email",
        endpoint: email,
      });
    }
  }

  /** Tells people as soon as the metric leaves nought, and when it is back. */
  public watch(id: string, watched: Watched): CloudwatchMetricAlarm {
    return new CloudwatchMetricAlarm(this, id, {
      alarmName: `${this.prefix}-${watched.name}`,
      alarmDescription: watched.description,
      namespace: watched.namespace,
      metricName: watched.metricName,
      dimensions: watched.dimensions,
      statistic: watched.statistic ?? "Sum",
      period: 60,
      evaluationPeriods: 1,
      threshold: 1,
      comparisonOperator: "GreaterThanOrEqualToThreshold",
      treatMissingData: "notBreaching",
      alarmActions: [this.topic.arn],
      okActions: [this.topic.arn],
    });
  }
}
