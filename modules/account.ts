import { DataAwsCallerIdentity } from "@cdktf/provider-aws/lib/data-aws-caller-identity";
import { DataAwsPartition } from "@cdktf/provider-aws/lib/data-aws-partition";
import { Construct } from "constructs";

/** Where the stack is deployed: what ARNs are made of. */
export class Account extends Construct {
  /** The account's 12 digits. */
  public readonly id: string;
  /** AWS region, from the configuration. */
  public readonly region: string;
  /** `aws`, or another partition's name. */
  public readonly partition: string;

  constructor(scope: Construct, id: string, region: string) {
    super(scope, id);
    this.id = new DataAwsCallerIdentity(this, "identity").accountId;
    this.partition = new DataAwsPartition(this, "partition").partition;
    this.region = region;
  }

  /** The ARN of a resource of this account and region. */
  public arn(service: string, resource: string): string {
    return `arn:${this.partition}:${service}:${this.region}:${this.id}:${resource}`;
  }
}
