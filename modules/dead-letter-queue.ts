import { DataAwsIamPolicyDocument } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document";
import { SqsQueue } from "@cdktf/provider-aws/lib/sqs-queue";
import { SqsQueuePolicy } from "@cdktf/provider-aws/lib/sqs-queue-policy";
import { Construct } from "constructs";

const DAYS = 24 * 60 * 60;

/** Where what could not be delivered waits for a person, for 14 days (SQS's longest). */
export class DeadLetterQueue extends Construct {
  public readonly queue: SqsQueue;

  constructor(scope: Construct, id: string, name: string) {
    super(scope, id);
    this.queue = new SqsQueue(this, "Default", {
      name,
      messageRetentionSeconds: 14 * DAYS,
      sqsManagedSseEnabled: true,
    });
  }

  /** Lets one rule of EventBridge put in what its target refused. */
  public allowRule(ruleArn: string): SqsQueuePolicy {
    const policy = new DataAwsIamPolicyDocument(this, "senders", {
      statement: [
        {
          sid: "UndeliveredByRule",
          principals: [{ type: "Service", identifiers: ["events.amazonaws.com"] }],
          actions: ["sqs:SendMessage"],
          resources: [this.queue.arn],
          condition: [{ test: "ArnEquals", variable: "aws:SourceArn", values: [ruleArn] }],
        },
      ],
    });
    return new SqsQueuePolicy(this, "policy", { queueUrl: this.queue.id, policy: policy.json });
  }
}
