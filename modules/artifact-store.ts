import { DataAwsIamPolicyDocument } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document";
import { S3Bucket } from "@cdktf/provider-aws/lib/s3-bucket";
import { S3BucketLifecycleConfiguration } from "@cdktf/provider-aws/lib/s3-bucket-lifecycle-configuration";
import { S3BucketNotification } from "@cdktf/provider-aws/lib/s3-bucket-notification";
import { S3BucketOwnershipControls } from "@cdktf/provider-aws/lib/s3-bucket-ownership-controls";
import { S3BucketPolicy } from "@cdktf/provider-aws/lib/s3-bucket-policy";
import { S3BucketPublicAccessBlock } from "@cdktf/provider-aws/lib/s3-bucket-public-access-block";
import { S3BucketServerSideEncryptionConfigurationA } from "@cdktf/provider-aws/lib/s3-bucket-server-side-encryption-configuration";
import { S3BucketVersioningA } from "@cdktf/provider-aws/lib/s3-bucket-versioning";
import { Construct } from "constructs";
import type { Config } from "../config/schema";
import type { Account } from "./account";

export interface ArtifactStoreProps {
  readonly prefix: string;
  readonly account: Account;
  readonly removal: Config["project"]["removal"];
}

/** The bucket between build and pipeline: its newest artifact is what should be live. */
export class ArtifactStore extends Construct {
  public readonly bucket: S3Bucket;
  /** Key of what builds publish. */
  public readonly artifactKey = "published/artifact.zip";
  public readonly artifactArn: string;

  constructor(scope: Construct, id: string, props: ArtifactStoreProps) {
    super(scope, id);
    const { prefix, account, removal } = props;

    this.bucket = new S3Bucket(this, "Default", {
      bucket: `${prefix}-artifacts-${account.id}`,
      forceDestroy: removal === "destroy",
      lifecycle: { preventDestroy: removal === "retain" },
    });
    this.artifactArn = `${this.bucket.arn}/${this.artifactKey}`;
    const bucket = this.bucket.id;

    const versioning = new S3BucketVersioningA(this, "versioning", {
      bucket,
      versioningConfiguration: { status: "Enabled" },
    });
    new S3BucketServerSideEncryptionConfigurationA(this, "encryption", {
      bucket,
      rule: [{ applyServerSideEncryptionByDefault: { sseAlgorithm: "AES256" } }],
    });
    new S3BucketOwnershipControls(this, "ownership", {
      bucket,
      rule: { objectOwnership: "BucketOwnerEnforced" },
    });
    const closed = new S3BucketPublicAccessBlock(this, "public_access", {
      bucket,
      blockPublicAcls: true,
      blockPublicPolicy: true,
      ignorePublicAcls: true,
      restrictPublicBuckets: true,
    });
    new S3BucketLifecycleConfiguration(this, "expiry", {
      bucket,
      rule: [
        {
          id: "old-versions",
          status: "Enabled",
          filter: [{ prefix: "" }],
          noncurrentVersionExpiration: [{ noncurrentDays: 90 }],
          abortIncompleteMultipartUpload: [{ daysAfterInitiation: 7 }],
        },
        {
          // CodePipeline's own copies, one for each execution, below the first 20 characters of the pipeline's name.
          id: "pipeline-copies",
          status: "Enabled",
          filter: [{ prefix: `${prefix.slice(0, 20)}/` }],
          expiration: [{ days: 90 }],
        },
      ],
      dependsOn: [versioning],
    });
    // Events go to the default bus; S3 may take five minutes until the first one.
    new S3BucketNotification(this, "events", { bucket, eventbridge: true });

    const policy = new DataAwsIamPolicyDocument(this, "tls_only", {
      statement: [
        {
          sid: "DenyWithoutTls",
          effect: "Deny",
          // Everybody and everything: a Deny.
          principals: [{ type: "*", identifiers: ["*"] }],
          actions: ["s3:*"],
          resources: [this.bucket.arn, `${this.bucket.arn}/*`],
          condition: [{ test: "Bool", variable: "aws:SecureTransport", values: ["false"] }],
        },
      ],
    });
    // S3 answers 409 to two changes of a bucket at the same moment.
    new S3BucketPolicy(this, "policy", { bucket, policy: policy.json, dependsOn: [closed] });
  }
}
