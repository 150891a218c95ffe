import { DataAwsIamPolicyDocument } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document";
import { DefaultSecurityGroup } from "@cdktf/provider-aws/lib/default-security-group";
import { Eip } from "@cdktf/provider-aws/lib/eip";
import { InternetGateway } from "@cdktf/provider-aws/lib/internet-gateway";
import { NatGateway } from "@cdktf/provider-aws/lib/nat-gateway";
import { Route } from "@cdktf/provider-aws/lib/route";
import { RouteTable } from "@cdktf/provider-aws/lib/route-table";
import { RouteTableAssociation } from "@cdktf/provider-aws/lib/route-table-association";
import { Subnet } from "@cdktf/provider-aws/lib/subnet";
import { Vpc } from "@cdktf/provider-aws/lib/vpc";
import { VpcEndpoint } from "@cdktf/provider-aws/lib/vpc-endpoint";
import { Construct } from "constructs";
import type { Config } from "../config/schema";
import type { Account } from "./account";

export interface NetworkProps {
  readonly prefix: string;
  readonly account: Account;
  readonly settings: Config["backlogDockerBuild"]["network"];
  /**
   * Bucket that builds in the VPC publish to.
   * @default none: builds run outside
   */
  readonly artifactBucketArn?: string | undefined;
}

/** A VPC over two zones: public subnets for the load balancer, private ones behind NAT for tasks and builds. */
export class Network extends Construct {
  public readonly vpc: Vpc;
  public readonly publicSubnets: Subnet[] = [];
  public readonly privateSubnets: Subnet[] = [];
  /** Addresses that tasks and builds in the VPC are seen with. */
  public readonly natAddresses: string[] = [];
  /** Without it a private subnet does not reach the internet. */
  public readonly egress: Route[] = [];

  constructor(scope: Construct, id: string, props: NetworkProps) {
    super(scope, id);
    const { prefix, settings } = props;

    this.vpc = new Vpc(this, "vpc", {
      cidrBlock: settings.vpcCidr,
      enableDnsHostnames: true,
      enableDnsSupport: true,
      tags: { Name: prefix },
    });
    // Declaring it without rules takes every rule away, so nothing works by accident of being in no group.
    new DefaultSecurityGroup(this, "closed", { vpcId: this.vpc.id, tags: { Name: `${prefix}-closed` } });

    const gateway = new InternetGateway(this, "internet", { vpcId: this.vpc.id, tags: { Name: prefix } });
    const publicRoutes = new RouteTable(this, "public", {
      vpcId: this.vpc.id,
      tags: { Name: `${prefix}-public` },
    });
    const outward = new Route(this, "public_internet", {
      routeTableId: publicRoutes.id,
      destinationCidrBlock: "0.0.0.0/0",
      gatewayId: gateway.id,
    });

    const nats: NatGateway[] = [];
    const privateTables = settings.zones.map((zone, index) => {
      const availabilityZone = `${props.account.region}${zone}`;
      const publicSubnet = new Subnet(this, `public_${index + 1}`, {
        vpcId: this.vpc.id,
        cidrBlock: settings.publicSubnetCidrs[index]!,
        availabilityZone,
        tags: { Name: `${prefix}-public-${zone}` },
      });
      new RouteTableAssociation(this, `public_${index + 1}_routes`, {
        subnetId: publicSubnet.id,
        routeTableId: publicRoutes.id,
      });
      this.publicSubnets.push(publicSubnet);

      if (index < settings.natGateways) {
        const address = new Eip(this, `nat_${index + 1}_address`, {
          domain: "vpc",
          tags: { Name: `${prefix}-nat-${zone}` },
          dependsOn: [gateway],
        });
        this.natAddresses.push(address.publicIp);
        nats.push(
          new NatGateway(this, `nat_${index + 1}`, {
            allocationId: address.id,
            subnetId: publicSubnet.id,
            tags: { Name: `${prefix}-${zone}` },
            dependsOn: [outward],
          }),
        );
      }

      const privateSubnet = new Subnet(this, `private_${index + 1}`, {
        vpcId: this.vpc.id,
        cidrBlock: settings.privateSubnetCidrs[index]!,
        availabilityZone,
        tags: { Name: `${prefix}-private-${zone}` },
      });
      const table = new RouteTable(this, `private_${index + 1}_table`, {
        vpcId: this.vpc.id,
        tags: { Name: `${prefix}-private-${zone}` },
      });
      new RouteTableAssociation(this, `private_${index + 1}_routes`, {
        subnetId: privateSubnet.id,
        routeTableId: table.id,
      });
      this.egress.push(
        new Route(this, `private_${index + 1}_internet`, {
          routeTableId: table.id,
          destinationCidrBlock: "0.0.0.0/0",
          natGatewayId: (nats[index] ?? nats[0])!.id,
        }),
      );
      this.privateSubnets.push(privateSubnet);
      return table;
    });

    this.addS3Endpoint(props, privateTables);
  }

  /** ECR's layers come from S3: through the endpoint they cost no NAT traffic. */
  private addS3Endpoint(props: NetworkProps, tables: RouteTable[]): void {
    const { account, settings, artifactBucketArn } = props;
    const bucketArn = (name: string) => `arn:${account.partition}:s3:::${name}`;
    const everybody = [{ type: "*", identifiers: ["*"] }];
    const policy = new DataAwsIamPolicyDocument(this, "s3_policy", {
      statement: [
        {
          // Without it no image can be pulled: ECR hands out addresses in this bucket, and NAT is no way round.
          // https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html#ecr-minimum-s3-perms
          sid: "ReadEcrLayers",
          principals: everybody,
          actions: ["s3:GetObject"],
          resources: [bucketArn(`prod-${account.region}-starport-layer-bucket/*`)],
        },
        ...(artifactBucketArn
          ? [
              {
                sid: "PublishArtifacts",
                principals: everybody,
                actions: ["s3:GetObject", "s3:PutObject", "s3:ListBucket"],
                resources: [artifactBucketArn, `${artifactBucketArn}/*`],
              },
            ]
          : []),
        ...(settings.s3EndpointBuckets.length > 0
          ? [
              {
                sid: "UseConfiguredBuckets",
                principals: everybody,
                // All of S3, on these buckets alone: what a task may do there is for its own role to say.
                actions: ["s3:*"],
                resources: settings.s3EndpointBuckets.flatMap((name) => [
                  bucketArn(name),
                  bucketArn(`${name}/*`),
                ]),
              },
            ]
          : []),
      ],
    });
    new VpcEndpoint(this, "s3", {
      vpcId: this.vpc.id,
      serviceName: `com.amazonaws.${account.region}.s3`,
      vpcEndpointType: "Gateway",
      routeTableIds: tables.map((table) => table.id),
      policy: policy.json,
      tags: { Name: `${props.prefix}-s3` },
    });
  }
}
