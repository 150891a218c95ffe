import type { ConfigInput } from "../../config/schema";
import { type Changes, readable, synthesise } from "../support/stack";
import { VARIANTS } from "../support/variants";

const shipped = synthesise();

describe("WebhookApi's deployment", () => {
  const triggers = (changes: Changes<ConfigInput>) => {
    const stack = synthesise(changes);
    return {
      ...stack.one("aws_api_gateway_deployment").triggers,
      // Its hash is Terraform's to make: what it is made of stands for it here.
      policy: stack.statements("webhook/senders"),
    };
  };
  const before = triggers({});
  const changed = (changes: Changes<ConfigInput>) => {
    const after = triggers(changes);
    return Object.keys(before).filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]));
  };

  test.each([
    ["the senders", { webhook: { senderCidrs: ["203.0.113.0/24"] } }, ["policy"]],
    ["the repository", { backlog: { repository: "other" } }, ["push"]],
    ["the space", { backlog: { space: "other", knownHosts: [], trustOnFirstUse: true } }, ["push"]],
    ["the delivery", { webhook: { delivery: "direct" } }, ["answers", "operation", "push", "target"]],
  ] as const)("is made anew for another choice of %s", (_, changes, names) => {
    expect(changed(changes as Changes<ConfigInput>)).toEqual([...names]);
  });

  test.each([
    ["tags", { project: { tags: { Team: "a" } } }],
    ["the throttling, which is the stage's", { webhook: { rateLimit: 1, burstLimit: 2 } }],
    ["the days of the archive", { webhook: { archiveDays: 1 } }],
    ["the branches, which are the rule's", { backlogDockerBuild: { branch: "other" } }],
    ["the access log, which is the stage's", { webhook: { accessLog: "existingAccountRole" } }],
  ] as const)("stays as it is for other %s", (_, changes) => {
    expect(changed(changes as Changes<ConfigInput>)).toEqual([]);
  });

  test("stays as it is when the senders are named in another order", () => {
    const senderCidrs = ["203.0.113.0/24", "198.51.100.0/24"];
    const policy = (list: string[]) => JSON.stringify(triggers({ webhook: { senderCidrs: list } }).policy);
    expect(policy(senderCidrs)).toBe(policy([...senderCidrs].reverse()));
  });

  test("waits for everything that it takes along", () => {
    const { depends_on } = shipped.one("aws_api_gateway_deployment");
    expect(depends_on.map(readable).sort()).toEqual([
      "aws_api_gateway_gateway_response.webhook_throttled",
      "aws_api_gateway_integration.webhook_integration",
      "aws_api_gateway_integration_response.webhook_maps_200",
      "aws_api_gateway_integration_response.webhook_maps_400",
      "aws_api_gateway_integration_response.webhook_maps_503",
      "aws_api_gateway_rest_api_policy.webhook_policy",
    ]);
  });
});

describe("WebhookApi's secret path", () => {
  test("is a generated value, in the path and the sensitive URL alone", () => {
    const [key] = shipped.all("aws_api_gateway_api_key");
    expect(key!.body).toMatchObject({ enabled: false });
    expect(key!.body).not.toHaveProperty("value");
    const users = shipped.blocks.filter(({ body }) => JSON.stringify(body).includes(`${key!.address}.`));
    expect(users.map(({ path }) => path)).toEqual(["webhook/push"]);
    expect(shipped.one("aws_api_gateway_resource").path_part).toBe(`\${${key!.address}.value}`);
    const outputs = Object.entries<{ value: string }>(shipped.json.output).filter(([, { value }]) =>
      value.includes(`${key!.address}.`),
    );
    expect(outputs).toEqual([["webhook_url", expect.objectContaining({ sensitive: true })]]);
  });

  test.each(Object.entries(VARIANTS))("is written down by no log, metric or trace (%s)", (_, changes) => {
    const stack = synthesise(changes);
    expect(stack.one("aws_api_gateway_stage").xray_tracing_enabled).toBe(false);
    const [settings] = stack.all("aws_api_gateway_method_settings");
    expect(settings!.body.method_path).toBe("*/*");
    expect(settings!.body.settings).toMatchObject({
      logging_level: "OFF",
      data_trace_enabled: false,
      metrics_enabled: false,
    });
    const { access_log_settings } = stack.one("aws_api_gateway_stage");
    expect(access_log_settings?.format ?? "").not.toMatch(/path/i);
  });
});

describe("WebhookApi", () => {
  test("takes one kind of content by one method, and answers by itself in no other case", () => {
    expect(shipped.one("aws_api_gateway_method")).toMatchObject({
      http_method: "POST",
      authorization: "NONE",
    });
    const integration = shipped.one("aws_api_gateway_integration");
    expect(integration).toMatchObject({ type: "AWS", passthrough_behavior: "NEVER" });
    expect(Object.keys(integration.request_templates)).toEqual(["application/x-www-form-urlencoded"]);
  });

  test("puts events on this bus, with this source and type, and nothing else", () => {
    expect(shipped.one("aws_api_gateway_integration").request_parameters).toEqual({
      "integration.request.header.Content-Type": "'application/x-amz-json-1.1'",
      "integration.request.header.X-Amz-Target": "'AWSEvents.PutEvents'",
    });
    expect(shipped.statements("webhook/role/permissions")).toEqual([
      {
        sid: "PutPush",
        actions: ["events:PutEvents"],
        resources: ["${aws_cloudwatch_event_bus.push.arn}"],
        condition: [
          { test: "StringEquals", variable: "events:source", values: ["backlog.git"] },
          { test: "StringEquals", variable: "events:detail-type", values: ["Backlog Git Push"] },
        ],
      },
    ]);
  });

  test("is regional, and throttled as configured", () => {
    expect(shipped.one("aws_api_gateway_rest_api").endpoint_configuration).toEqual({ types: ["REGIONAL"] });
    const { settings } = synthesise({ webhook: { rateLimit: 7, burstLimit: 9 } }).one(
      "aws_api_gateway_method_settings",
    );
    expect(settings).toMatchObject({ throttling_rate_limit: 7, throttling_burst_limit: 9 });
  });

  test("touches the account's own settings only when told to manage them", () => {
    const managing = Object.entries(VARIANTS).map(([name, changes]) => {
      const stack = synthesise(changes);
      const waits = stack.one("aws_api_gateway_stage").depends_on ?? [];
      return [name, stack.all("aws_api_gateway_account").length, waits.length];
    });
    expect(managing).toEqual([
      ["shipped", 0, 0],
      ["direct", 0, 0],
      ["everything", 1, 1],
      ["own secret", 0, 0],
    ]);
  });
});
