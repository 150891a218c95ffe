import { readable, type Synthesised, synthesise } from "../support/stack";
import { VARIANTS } from "../support/variants";

const withService = (service: object) => synthesise({ backlogDockerBuild: { service } });

const doors = (stack: Synthesised) =>
  stack
    .all("aws_vpc_security_group_ingress_rule")
    .filter(({ path }) => path.startsWith("service/load_balancer/"))
    .map(({ address, body }) => [address, body.cidr_ipv4, body.from_port] as const);

describe("LoadBalancer", () => {
  test("has one rule for each network and port, whose address does not depend on the others", () => {
    const one = doors(withService({ allowedCidrs: ["203.0.113.0/24"], testAllowedCidrs: ["192.0.2.0/24"] }));
    expect(one.map(([, cidr, port]) => `${cidr} ${port}`)).toEqual([
      "192.0.2.0/24 8080",
      "203.0.113.0/24 80",
    ]);
    const more = doors(
      withService({
        allowedCidrs: ["198.51.100.0/24", "203.0.113.0/24"],
        testAllowedCidrs: ["192.0.2.0/24", "10.0.0.0/8"],
      }),
    );
    expect(more).toHaveLength(4);
    expect(more).toEqual(expect.arrayContaining(one));
  });

  test("is the same whatever order the networks are named in", () => {
    const networks = ["203.0.113.0/24", "198.51.100.0/24"];
    expect(doors(withService({ allowedCidrs: networks }))).toEqual(
      doors(withService({ allowedCidrs: [...networks].reverse() })),
    );
  });

  test("opens the test listener to those of production unless others are named", () => {
    const ports = doors(withService({ allowedCidrs: ["203.0.113.0/24"] })).map(([, cidr, port]) => [
      cidr,
      port,
    ]);
    expect(ports.sort()).toEqual([
      ["203.0.113.0/24", 80],
      ["203.0.113.0/24", 8080],
    ]);
  });

  test("with a certificate opens 443 too", () => {
    expect(
      doors(synthesise(VARIANTS.everything))
        .map(([, , port]) => port)
        .sort(),
    ).toEqual([443, 80, 8080]);
  });

  test("reaches the tasks on their port, from its own group to theirs alone", () => {
    const stack = withService({ port: 3000 });
    const [balancer, tasks] = [
      "<aws_security_group.service_load_balancer_group.id>",
      "<aws_security_group.service_group.id>",
    ];
    const rule = (type: string, path: string) => {
      const { security_group_id, referenced_security_group_id, ip_protocol, from_port, to_port } = stack.one(
        type,
        path,
      );
      return [
        readable(security_group_id),
        readable(referenced_security_group_id),
        ip_protocol,
        from_port,
        to_port,
      ];
    };
    expect(rule("aws_vpc_security_group_egress_rule", "service/load_balancer_to_tasks")).toEqual([
      balancer,
      tasks,
      "tcp",
      3000,
      3000,
    ]);
    expect(rule("aws_vpc_security_group_ingress_rule", "service/from_load_balancer")).toEqual([
      tasks,
      balancer,
      "tcp",
      3000,
      3000,
    ]);
  });

  test("keeps the target groups' own port whatever the service's is: else a group in use would be replaced", () => {
    for (const port of [80, 3000]) {
      const groups = withService({ port })
        .all("aws_lb_target_group")
        .map(({ body }) => [body.target_type, body.port]);
      expect(groups).toEqual([
        ["ip", 80],
        ["ip", 80],
      ]);
    }
  });

  test("writes its access log only when asked to, once the bucket takes it", () => {
    expect(synthesise().one("aws_lb").access_logs).toBeUndefined();
    const stack = synthesise(VARIANTS.everything);
    const balancer = stack.one("aws_lb");
    expect(balancer.access_logs).toMatchObject({ enabled: true });
    expect(balancer.depends_on.map(readable)).toEqual([
      "aws_s3_bucket_policy.service_load_balancer_log_policy",
    ]);
    const encryption = stack.one("aws_s3_bucket_server_side_encryption_configuration", "log_encryption");
    expect(encryption.rule).toEqual([
      { apply_server_side_encryption_by_default: { sse_algorithm: "AES256" } },
    ]);
    expect(
      stack.statement("service/load_balancer/log_writers", "DeliveredByLoadBalancer").principals,
    ).toEqual([{ type: "Service", identifiers: ["logdelivery.elasticloadbalancing.amazonaws.com"] }]);
  });
});
