import type { ConfigInput } from "../../config/schema";
import { type Changes, readable, type Synthesised, synthesise } from "../support/stack";

type NetworkSettings = NonNullable<ConfigInput["backlogDockerBuild"]["network"]>;

const withNetwork = (network: Changes<NetworkSettings>, build = {}) =>
  synthesise({ backlogDockerBuild: { network, build } });

/** Destination of each subnet's default route: subnet -> gateway. */
function routes(stack: Synthesised): Record<string, string> {
  const tables = Object.fromEntries(
    stack.all("aws_route").map(({ body }) => {
      expect(body.destination_cidr_block).toBe("0.0.0.0/0");
      return [body.route_table_id, body.nat_gateway_id ?? body.gateway_id];
    }),
  );
  return Object.fromEntries(
    stack
      .all("aws_route_table_association")
      .map(({ body }) => [readable(body.subnet_id), readable(tables[body.route_table_id])]),
  );
}

describe("Network", () => {
  test("leads the public subnets to the internet, each private one through its zone's NAT", () => {
    expect(routes(withNetwork({}))).toEqual({
      "<aws_subnet.network_public_1.id>": "<aws_internet_gateway.network_internet.id>",
      "<aws_subnet.network_public_2.id>": "<aws_internet_gateway.network_internet.id>",
      "<aws_subnet.network_private_1.id>": "<aws_nat_gateway.network_nat_1.id>",
      "<aws_subnet.network_private_2.id>": "<aws_nat_gateway.network_nat_2.id>",
    });
  });

  test("leads both private subnets through the one NAT", () => {
    expect(routes(withNetwork({ natGateways: 1 }))).toMatchObject({
      "<aws_subnet.network_private_1.id>": "<aws_nat_gateway.network_nat_1.id>",
      "<aws_subnet.network_private_2.id>": "<aws_nat_gateway.network_nat_1.id>",
    });
  });

  test("puts the NAT gateways into public subnets, after the way out", () => {
    const stack = withNetwork({});
    for (const { body } of stack.all("aws_nat_gateway")) {
      expect(readable(body.subnet_id)).toMatch(/^<aws_subnet\.network_public_[12]\.id>$/);
      expect(body.depends_on.map(readable)).toEqual(["aws_route.network_public_internet"]);
    }
    for (const { body } of stack.all("aws_eip")) {
      expect(body.domain).toBe("vpc");
      expect(body.depends_on.map(readable)).toEqual(["aws_internet_gateway.network_internet"]);
    }
  });

  test("places the subnets as configured", () => {
    const stack = withNetwork({
      vpcCidr: "10.0.0.0/16",
      publicSubnetCidrs: ["10.0.0.0/24", "10.0.1.0/24"],
      privateSubnetCidrs: ["10.0.2.0/24", "10.0.3.0/24"],
      zones: ["c", "d"],
    });
    expect(stack.one("aws_vpc").cidr_block).toBe("10.0.0.0/16");
    const places = stack
      .all("aws_subnet")
      .map(({ path, body }) => [path, body.cidr_block, body.availability_zone]);
    expect(places.sort()).toEqual([
      ["network/private_1", "10.0.2.0/24", "ap-northeast-1c"],
      ["network/private_2", "10.0.3.0/24", "ap-northeast-1d"],
      ["network/public_1", "10.0.0.0/24", "ap-northeast-1c"],
      ["network/public_2", "10.0.1.0/24", "ap-northeast-1d"],
    ]);
  });

  test("closes the default security group", () => {
    const group = withNetwork({}).one("aws_default_security_group");
    expect([group.ingress, group.egress]).toEqual([undefined, undefined]);
    expect(group.vpc_id).toMatch(/^\$\{aws_vpc\./);
  });

  describe("its S3 endpoint", () => {
    const allowed = (stack: Synthesised) =>
      stack
        .statements("network/s3_policy")
        .map(({ sid, effect, actions, resources }) => [sid, effect, actions, resources.map(readable)]);
    const layers = [
      "ReadEcrLayers",
      undefined,
      ["s3:GetObject"],
      ["arn:<partition>:s3:::prod-ap-northeast-1-starport-layer-bucket/*"],
    ];

    test("serves the private subnets", () => {
      const endpoint = withNetwork({}).one("aws_vpc_endpoint");
      expect(endpoint).toMatchObject({
        service_name: "com.amazonaws.ap-northeast-1.s3",
        vpc_endpoint_type: "Gateway",
      });
      expect(endpoint.route_table_ids.map(readable)).toEqual([
        "<aws_route_table.network_private_1_table.id>",
        "<aws_route_table.network_private_2_table.id>",
      ]);
    });

    test("lets ECR's layers through, and nothing else", () => {
      expect(allowed(withNetwork({}))).toEqual([layers]);
    });

    test("lets builds in the VPC publish, and whoever may reach configured buckets", () => {
      expect(allowed(withNetwork({ s3EndpointBuckets: ["assets"] }, { inVpc: true }))).toEqual([
        layers,
        [
          "PublishArtifacts",
          undefined,
          ["s3:GetObject", "s3:PutObject", "s3:ListBucket"],
          ["<aws_s3_bucket.artifacts.arn>", "<aws_s3_bucket.artifacts.arn>/*"],
        ],
        [
          "UseConfiguredBuckets",
          undefined,
          ["s3:*"],
          ["arn:<partition>:s3:::assets", "arn:<partition>:s3:::assets/*"],
        ],
      ]);
    });
  });
});
