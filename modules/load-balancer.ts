import { DataAwsIamPolicyDocument } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document";
import { Lb } from "@cdktf/provider-aws/lib/lb";
import { LbListener } from "@cdktf/provider-aws/lib/lb-listener";
import { LbTargetGroup } from "@cdktf/provider-aws/lib/lb-target-group";
import { S3Bucket } from "@cdktf/provider-aws/lib/s3-bucket";
import { S3BucketLifecycleConfiguration } from "@cdktf/provider-aws/lib/s3-bucket-lifecycle-configuration";
import { S3BucketPolicy } from "@cdktf/provider-aws/lib/s3-bucket-policy";
import { S3BucketPublicAccessBlock } from "@cdktf/provider-aws/lib/s3-bucket-public-access-block";
import { S3BucketServerSideEncryptionConfigurationA } from "@cdktf/provider-aws/lib/s3-bucket-server-side-encryption-configuration";
import { SecurityGroup } from "@cdktf/provider-aws/lib/security-group";
import { VpcSecurityGroupIngressRule } from "@cdktf/provider-aws/lib/vpc-security-group-ingress-rule";
import { Construct } from "constructs";
import type { Config } from "../config/schema";
import type { Account } from "./account";
import type { Network } from "./network";

/** Port of the listener that shows the new version before production does. */
export const TEST_PORT = 8080;

/** @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/describe-ssl-policies.html */
const TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-2021-06";

export interface LoadBalancerProps {
  readonly prefix: string;
  readonly account: Account;
  readonly removal: Config["project"]["removal"];
  readonly settings: Config["backlogDockerBuild"]["service"];
  readonly network: Network;
}

/** Load balancer with a production and a test listener, and the two target groups that CodeDeploy swaps. */
export class LoadBalancer extends Construct {
  public readonly lb: Lb;
  public readonly group: SecurityGroup;
  public readonly production: LbListener;
  public readonly test: LbListener;
  public readonly blue: LbTargetGroup;
  public readonly green: LbTargetGroup;
  public readonly productionUrl: string;
  public readonly testUrl: string;

  constructor(scope: Construct, id: string, props: LoadBalancerProps) {
    super(scope, id);
    const { prefix, removal, settings, network } = props;
    const { certificateArn } = settings;

    this.group = this.openToVisitors(props);
    const log = settings.accessLog ? this.keepAccessLog(props) : undefined;
    this.lb = new Lb(this, "Default", {
      name: prefix,
      loadBalancerType: "application",
      internal: false,
      subnets: network.publicSubnets.map((subnet) => subnet.id),
      securityGroups: [this.group.id],
      dropInvalidHeaderFields: true,
      enableDeletionProtection: removal === "retain",
      lifecycle: { preventDestroy: removal === "retain" },
      ...(log ? { accessLogs: { bucket: log.bucket.bucket, enabled: true }, dependsOn: [log.policy] } : {}),
    });
    this.blue = this.targetGroup("blue", props);
    this.green = this.targetGroup("green", props);

    const secure = certificateArn
      ? { protocol: "HTTPS", certificateArn, sslPolicy: TLS_POLICY }
      : { protocol: "HTTP" };
    // Both groups have a listener from the start: targets of a group without one are not health-checked.
    this.production = this.listener("production", certificateArn ? 443 : 80, secure, this.blue);
    this.test = this.listener("test", TEST_PORT, secure, this.green);
    if (certificateArn) {
      new LbListener(this, "redirect", {
        loadBalancerArn: this.lb.arn,
        port: 80,
        protocol: "HTTP",
        defaultAction: [
          { type: "redirect", redirect: { protocol: "HTTPS", port: "443", statusCode: "HTTP_301" } },
        ],
      });
    }
    const scheme = certificateArn ? "https" : "http";
    this.productionUrl = `${scheme}://${this.lb.dnsName}`;
    this.testUrl = `${scheme}://${this.lb.dnsName}:${TEST_PORT}`;
  }

  private targetGroup(
    colour: "blue" | "green",
    { prefix, settings, network }: LoadBalancerProps,
  ): LbTargetGroup {
    return new LbTargetGroup(this, colour, {
      name: `${prefix}-${colour}`,
      vpcId: network.vpc.id,
      targetType: "ip",
      protocol: "HTTP",
      // Each task registers its own port; this one must not change, or a group in use would be replaced.
      port: 80,
      deregistrationDelay: "30",
      healthCheck: {
        path: settings.healthCheckPath,
        matcher: "200-399",
        interval: 15,
        timeout: 5,
        healthyThreshold: 2,
        unhealthyThreshold: 3,
      },
    });
  }

  private listener(
    id: string,
    port: number,
    secure: { protocol: string; certificateArn?: string; sslPolicy?: string },
    target: LbTargetGroup,
  ): LbListener {
    return new LbListener(this, id, {
      loadBalancerArn: this.lb.arn,
      port,
      ...secure,
      defaultAction: [{ type: "forward", targetGroupArn: target.arn }],
      // CodeDeploy points the listeners at the other group with each deployment.
      lifecycle: { ignoreChanges: ["default_action"] },
    });
  }

  private openToVisitors({ prefix, settings, network }: LoadBalancerProps): SecurityGroup {
    const group = new SecurityGroup(this, "group", {
      name: `${prefix}-load-balancer`,
      description: "Load balancer",
      vpcId: network.vpc.id,
      tags: { Name: `${prefix}-load-balancer` },
    });
    const doors = [
      ...(settings.certificateArn ? [443] : []).map((port) => ({ port, cidrs: settings.allowedCidrs })),
      { port: 80, cidrs: settings.allowedCidrs },
      { port: TEST_PORT, cidrs: settings.testAllowedCidrs ?? settings.allowedCidrs },
    ];
    for (const { port, cidrs } of doors) {
      for (const cidr of [...cidrs].sort()) {
        new VpcSecurityGroupIngressRule(this, `from_${cidr.replace(/[./]/g, "_")}_to_${port}`, {
          securityGroupId: group.id,
          description: port === TEST_PORT ? "Test listener" : "Production",
          cidrIpv4: cidr,
          ipProtocol: "tcp",
          fromPort: port,
          toPort: port,
        });
      }
    }
    return group;
  }

  /** @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/enable-access-logging.html */
  private keepAccessLog({ prefix, account, removal }: LoadBalancerProps) {
    const bucket = new S3Bucket(this, "log", {
      bucket: `${prefix}-access-log-${account.id}`,
      forceDestroy: removal === "destroy",
    });
    new S3BucketServerSideEncryptionConfigurationA(this, "log_encryption", {
      bucket: bucket.id,
      // The load balancer writes with S3's own keys only.
      rule: [{ applyServerSideEncryptionByDefault: { sseAlgorithm: "AES256" } }],
    });
    const closed = new S3BucketPublicAccessBlock(this, "log_public_access", {
      bucket: bucket.id,
      blockPublicAcls: true,
      blockPublicPolicy: true,
      ignorePublicAcls: true,
      restrictPublicBuckets: true,
    });
    new S3BucketLifecycleConfiguration(this, "log_expiry", {
      bucket: bucket.id,
      rule: [{ id: "old-logs", status: "Enabled", filter: [{ prefix: "" }], expiration: [{ days: 90 }] }],
    });
    const document = new DataAwsIamPolicyDocument(this, "log_writers", {
      statement: [
        {
          sid: "DeliveredByLoadBalancer",
          principals: [{ type: "Service", identifiers: ["logdelivery.elasticloadbalancing.amazonaws.com"] }],
          actions: ["s3:PutObject"],
          resources: [`${bucket.arn}/AWSLogs/${account.id}/*`],
          condition: [
            {
              test: "ArnLike",
              variable: "aws:SourceArn",
              values: [account.arn("elasticloadbalancing", "loadbalancer/*")],
            },
          ],
        },
        {
          sid: "DenyWithoutTls",
          effect: "Deny",
          // Everybody and everything: a Deny.
          principals: [{ type: "*", identifiers: ["*"] }],
          actions: ["s3:*"],
          resources: [bucket.arn, `${bucket.arn}/*`],
          condition: [{ test: "Bool", variable: "aws:SecureTransport", values: ["false"] }],
        },
      ],
    });
    const policy = new S3BucketPolicy(this, "log_policy", {
      bucket: bucket.id,
      policy: document.json,
      dependsOn: [closed],
    });
    return { bucket, policy };
  }
}
