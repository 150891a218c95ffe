import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { decodeJsonencode } from "../support/jsonencode";
import { type Json, synthesise } from "../support/stack";
import { VARIANTS } from "../support/variants";

const shipped = synthesise();
const direct = synthesise(VARIANTS.direct);
const everything = synthesise(VARIANTS.everything);
const ownSecret = synthesise(VARIANTS["own secret"]);
const all = [shipped, direct, everything, ownSecret];

test("the addresses are a contract: another one means that Terraform replaces something", () => {
  const addresses = (stack: typeof shipped) => stack.blocks.map(({ address }) => address).sort();
  const known = new Set(addresses(shipped));
  expect({
    shipped: addresses(shipped),
    "more with everything switched on": addresses(everything).filter((address) => !known.has(address)),
    "more with direct delivery": addresses(direct).filter((address) => !known.has(address)),
  }).toMatchSnapshot();
});

test("is one stack, named after the environment", () => {
  expect(shipped.json["//"].metadata.stackName).toBe("backlog-docker-build-backlog-cicd");
});

describe("providers", () => {
  test("are pinned, and tag every resource", () => {
    expect(shipped.json.terraform.required_providers).toEqual({
      aws: { source: "aws", version: "6.25.0" },
      local: { source: "hashicorp/local", version: expect.stringMatching(/^\d+\.\d+\.\d+$/) },
      tls: { source: "hashicorp/tls", version: expect.stringMatching(/^\d+\.\d+\.\d+$/) },
    });
    expect(shipped.json.provider.aws).toEqual([
      {
        region: "ap-northeast-1",
        default_tags: [{ tags: { Project: "backlog-cicd", ManagedBy: "terraform" } }],
      },
    ]);
  });

  test("are not asked for tls and local with a secret of the user's own, and no key is anywhere", () => {
    expect(Object.keys(ownSecret.json.provider)).toEqual(["aws"]);
    expect(Object.keys(ownSecret.json.terraform.required_providers)).toEqual(["aws"]);
    expect(ownSecret.blocks.filter(({ type }) => /^(tls|local|aws_secretsmanager)_/.test(type))).toEqual([]);
    expect(Object.keys(ownSecret.json.output)).not.toContain("public_key");
  });

  test.each([
    ["aws_eip", "vpc"],
    ["aws_api_gateway_deployment", "stage_name"],
    ["aws_api_gateway_account", "reset_on_delete"],
    ["aws_cloudwatch_event_bus", "log_config"],
    ["aws_ecr_repository", "image_tag_mutability_exclusion_filter"],
    ["aws_codebuild_project", "auto_retry_limit"],
    ["aws_s3_bucket", "bucket_region"],
  ])("of both major versions know what is said of %s: no %s", (type, attribute) => {
    const blocks = all.flatMap((stack) => stack.all(type));
    expect(blocks.length).toBeGreaterThan(0);
    expect(blocks.filter(({ body }) => attribute in body)).toEqual([]);
  });

  test("of both major versions know what is referred to", () => {
    const unknown =
      /aws_ecs_service\.\w+\.arn\b|aws_s3_bucket\.\w+\.bucket_region\b|aws_api_gateway_deployment\.\w+\.(invoke_url|execution_arn)\b|data\.aws_region\./;
    expect(all.map(({ json }) => unknown.exec(JSON.stringify(json))?.[0])).toEqual(all.map(() => undefined));
  });

  test("of version 5 know no region on a resource", () => {
    for (const { blocks } of all) expect(blocks.filter(({ body }) => "region" in body)).toEqual([]);
  });
});

describe("state", () => {
  test("is local, beside the folder that synth clears, and relative", () => {
    expect(shipped.json.terraform.backend).toEqual({
      local: { path: "../../../.state/backlog-docker-build-backlog-cicd.tfstate" },
    });
  });

  test("is in S3, encrypted and locked by a file", () => {
    expect(ownSecret.json.terraform.backend).toEqual({
      s3: {
        bucket: "states",
        key: "backlog-container-pipeline/backlog-docker-build-backlog-cicd.tfstate",
        region: "ap-northeast-1",
        encrypt: true,
        use_lockfile: true,
      },
    });
  });

  test("is in Terraform Cloud, where no key file is written", () => {
    const cloud = synthesise({ state: { type: "cloud", organization: "acme", workspace: "pipeline" } });
    expect(cloud.json.terraform.backend).toBeUndefined();
    expect(cloud.json.terraform.cloud).toEqual({
      hostname: "app.terraform.io",
      organization: "acme",
      workspaces: { name: "pipeline" },
    });
    expect(cloud.all("local_file")).toEqual([]);
    expect(Object.keys(cloud.json.provider)).toEqual(["aws", "tls"]);
    expect(cloud.json.output).toHaveProperty("public_key");
    expect(cloud.json.output).not.toHaveProperty("public_key_file");
  });
});

test("no key and no secret stands in what is synthesised", () => {
  const keys = /PRIVATE KEY-----[\\nr]*\s*[A-Za-z0-9+/=]{20}|\b(AKIA|ASIA)[A-Z0-9]{16}\b/;
  expect(all.map(({ json }) => keys.exec(JSON.stringify(json))?.[0])).toEqual(all.map(() => undefined));
  const { secret_string } = shipped.one("aws_secretsmanager_secret_version");
  expect(decodeJsonencode(secret_string)).toEqual({
    space_id: "example",
    domain_name: "backlog.jp",
    project_key: "PROJ",
    repository_name: "app",
    ssh_key: expect.stringMatching(/^\$\{tls_private_key\.\w+\.private_key_openssh\}$/),
  });
});

describe("outputs", () => {
  const COMMON = [
    "builds_link",
    "cluster_name",
    "dashboard_link",
    "nat_addresses",
    "pipeline_link",
    "production_url",
    "repository_url",
    "service_name",
    "task_role_name",
    "test_url",
    "topic_arn",
    "webhook_url",
  ];

  test("are these, each with a description", () => {
    expect(Object.keys(shipped.json.output).sort()).toEqual(
      [...COMMON, "public_key", "public_key_file"].sort(),
    );
    expect(Object.keys(ownSecret.json.output).sort()).toEqual(COMMON);
    for (const [name, { description }] of Object.entries<Json>(shipped.json.output)) {
      expect(name).toMatch(/^[a-z_]+$/);
      expect(description).toMatch(/\w{4}/);
    }
  });

  test("hide the webhook's URL, and nothing else", () => {
    const sensitive = Object.entries<Json>(shipped.json.output).filter(([, output]) => output.sensitive);
    expect(sensitive.map(([name]) => name)).toEqual(["webhook_url"]);
  });

  test("show the load balancer's URLs as they are reached", () => {
    const urls = ({ json }: typeof shipped) => [json.output.production_url.value, json.output.test_url.value];
    expect(urls(shipped)).toEqual([
      expect.stringMatching(/^http:\/\/\$\{aws_lb\.\w+\.dns_name\}$/),
      expect.stringMatching(/^http:\/\/\$\{aws_lb\.\w+\.dns_name\}:8080$/),
    ]);
    expect(urls(everything)).toEqual([
      expect.stringMatching(/^https:\/\/\$\{aws_lb\.\w+\.dns_name\}$/),
      expect.stringMatching(/^https:\/\/\$\{aws_lb\.\w+\.dns_name\}:8080$/),
    ]);
  });
});

describe("delivery", () => {
  test("over the bus has an archive, a rule, a state machine and dead letters", () => {
    expect(shipped.one("aws_cloudwatch_event_archive")).toMatchObject({ retention_days: 14 });
    expect(shipped.all("aws_sfn_state_machine")).toHaveLength(1);
    expect(shipped.all("aws_sqs_queue").map(({ path }) => path)).toEqual([
      "pipeline/dead_letters",
      "trigger/dead_letters",
    ]);
  });

  test("straight to the build has none of them, and starts the build with both headers", () => {
    for (const type of [
      "aws_cloudwatch_event_bus",
      "aws_cloudwatch_event_archive",
      "aws_sfn_state_machine",
    ]) {
      expect(direct.all(type)).toEqual([]);
    }
    expect(direct.all("aws_sqs_queue").map(({ path }) => path)).toEqual(["pipeline/dead_letters"]);
    const integration = direct.one("aws_api_gateway_integration");
    expect(integration.uri).toMatch(/:apigateway:ap-northeast-1:codebuild:action\/StartBuild$/);
    expect(integration.request_parameters).toEqual({
      "integration.request.header.Content-Type": "'application/x-amz-json-1.1'",
      "integration.request.header.X-Amz-Target": "'CodeBuild_20161006.StartBuild'",
    });
    expect(direct.statements("webhook/role/permissions")).toEqual([
      expect.objectContaining({ sid: "StartBuild", resources: ["${aws_codebuild_project.build.arn}"] }),
    ]);
  });
});

describe("settings", () => {
  test("one NAT gateway serves both zones", () => {
    expect(shipped.all("aws_nat_gateway")).toHaveLength(2);
    expect(everything.all("aws_nat_gateway")).toHaveLength(1);
    expect(everything.all("aws_eip")).toHaveLength(1);
  });

  test("arm64 is the build's and the tasks' architecture", () => {
    const architecture = (stack: typeof shipped) => ({
      build: stack.one("aws_codebuild_project").environment.type,
      image: stack.one("aws_codebuild_project").environment.image,
      task: stack.one("aws_ecs_task_definition").runtime_platform.cpu_architecture,
    });
    expect(architecture(shipped)).toEqual({
      build: "LINUX_CONTAINER",
      image: "aws/codebuild/amazonlinux-x86_64-standard:6.0",
      task: "X86_64",
    });
    expect(architecture(everything)).toEqual({
      build: "ARM_CONTAINER",
      image: "aws/codebuild/amazonlinux-aarch64-standard:4.0",
      task: "ARM64",
    });
  });

  test("an approval stands between source and deployment", () => {
    const stages = (stack: typeof shipped) =>
      stack.one("aws_codepipeline").stage.map(({ name }: Json) => name);
    expect(stages(shipped)).toEqual(["Source", "Deploy"]);
    expect(stages(everything)).toEqual(["Source", "Approval", "Deploy"]);
    expect(everything.one("aws_codepipeline").stage[1].action).toEqual([
      expect.objectContaining({ category: "Approval", owner: "AWS", provider: "Manual", version: "1" }),
    ]);
  });

  test("removal: retain protects what cannot be made again, destroy leaves nothing in the way", () => {
    const removal = (stack: typeof shipped) => ({
      loadBalancer: stack.one("aws_lb").enable_deletion_protection,
      images: stack.one("aws_ecr_repository", "images").force_delete,
      artifacts: stack.one("aws_s3_bucket", "artifacts").force_destroy,
      secretForDays: stack.one("aws_secretsmanager_secret").recovery_window_in_days,
    });
    expect(removal(shipped)).toEqual({
      loadBalancer: true,
      images: false,
      artifacts: false,
      secretForDays: 30,
    });
    expect(removal(everything)).toEqual({
      loadBalancer: false,
      images: true,
      artifacts: true,
      secretForDays: 0,
    });
    expect(everything.one("aws_s3_bucket", "log").force_destroy).toBe(true);
  });
});

test("every change that Terraform leaves to others says to whom, right above", () => {
  const folder = join(__dirname, "..", "..", "modules");
  const places = readdirSync(folder).flatMap((file) => {
    const lines = readFileSync(join(folder, file), "utf8").split("\n");
    return lines.flatMap((line, index) =>
      line.includes("ignoreChanges") ? [{ file, above: lines[index - 1]!.trim() }] : [],
    );
  });
  expect(places.length).toBeGreaterThanOrEqual(3);
  expect(places.filter(({ above }) => !/^\/\/ \S+ \S+/.test(above))).toEqual([]);

  const ignoring = shipped.blocks.filter(({ body }) => body.lifecycle?.ignore_changes);
  expect(Object.fromEntries(ignoring.map(({ path, body }) => [path, body.lifecycle.ignore_changes]))).toEqual(
    {
      "credentials/value": ["secret_string"],
      service: ["task_definition", "load_balancer", "desired_count"],
      "service/load_balancer/production": ["default_action"],
      "service/load_balancer/test": ["default_action"],
    },
  );
});

describe("alarms", () => {
  test.each(all.map((stack, index) => [Object.keys(VARIANTS)[index]!, stack] as const))(
    "tell somebody or roll a deployment back (%s)",
    (_, stack) => {
      const group = stack.one("aws_codedeploy_deployment_group").alarm_configuration;
      expect(group.enabled).toBe(true);
      const rollingBack = stack
        .all("aws_cloudwatch_metric_alarm")
        .filter(({ address }) => group.alarms.includes(`\${${address}.alarm_name}`));
      expect(rollingBack).toHaveLength(group.alarms.length);
      for (const alarm of stack.all("aws_cloudwatch_metric_alarm")) {
        if (rollingBack.includes(alarm)) continue;
        expect(alarm.body.alarm_actions).toEqual(["${aws_sns_topic.alerts.arn}"]);
        expect(alarm.body.ok_actions).toEqual(["${aws_sns_topic.alerts.arn}"]);
      }
    },
  );

  test("watch each step that can fail unseen", () => {
    const told = (stack: typeof shipped) =>
      stack
        .all("aws_cloudwatch_metric_alarm")
        .filter(({ body }) => body.alarm_actions)
        .map(({ body }) => body.alarm_name.replace("backlog-cicd-", ""))
        .sort();
    const always = ["artifact-dead-letters", "build-failed", "pipeline-failed", "webhook-4xx", "webhook-5xx"];
    expect(told(direct)).toEqual(always);
    expect(told(shipped)).toEqual([...always, "build-not-started", "push-dead-letters"].sort());
  });

  test("stay quiet while nothing happens", () => {
    for (const { body } of shipped.all("aws_cloudwatch_metric_alarm")) {
      expect(body.treat_missing_data).toBe("notBreaching");
    }
  });

  test("name metrics that AWS has, with all of their dimensions", () => {
    const metrics = shipped
      .all("aws_cloudwatch_metric_alarm")
      .flatMap(({ body }) =>
        body.metric_query
          ? body.metric_query.flatMap(({ metric }: Json) => (metric ? [metric] : []))
          : [{ ...body, stat: body.statistic }],
      );
    for (const { namespace, metric_name, dimensions } of metrics)
      expectMetric(namespace, metric_name, dimensions);
  });

  test("reach people through a topic that CloudWatch may publish to", () => {
    expect(shipped.one("aws_sns_topic").kms_master_key_id).toBeUndefined();
    expect(shipped.statement("alerts/publishers", "PublishedByAlarms").principals).toEqual([
      { type: "Service", identifiers: ["cloudwatch.amazonaws.com"] },
    ]);
  });
});

/** Dimensions of the metrics in use, as each service's page of CloudWatch metrics lists them. */
const DIMENSIONS: Readonly<Record<string, readonly string[][]>> = {
  "AWS/ApiGateway": [["ApiName", "Stage"]],
  "AWS/Events": [["EventBusName", "RuleName"]],
  "AWS/States": [["StateMachineArn"]],
  "AWS/CodeBuild": [["ProjectName"]],
  "AWS/CodePipeline": [["PipelineName"]],
  "AWS/ApplicationELB": [["LoadBalancer"], ["LoadBalancer", "TargetGroup"]],
  "AWS/ECS": [["ClusterName", "ServiceName"]],
  "AWS/SQS": [["QueueName"]],
};

const METRICS: Readonly<Record<string, RegExp>> = {
  "AWS/ApiGateway": /^(Count|4XXError|5XXError)$/,
  "AWS/Events": /^(MatchedEvents|FailedInvocations)$/,
  "AWS/States": /^Executions(Started|Succeeded|Failed)$/,
  "AWS/CodeBuild": /^(Builds|SucceededBuilds|FailedBuilds|Duration|QueuedDuration)$/,
  "AWS/CodePipeline": /^FailedPipelineExecutions$/,
  "AWS/ApplicationELB":
    /^(RequestCount|(Un)?HealthyHostCount|UnHealthyHostCount|HTTPCode_(ELB|Target)_5XX_Count)$/,
  "AWS/ECS": /^(CPU|Memory)Utilization$/,
  "AWS/SQS": /^ApproximateNumberOfMessagesVisible$/,
};

function expectMetric(namespace: string, name: string, dimensions: Record<string, string>): void {
  expect(name).toMatch(METRICS[namespace] ?? /^no such namespace$/);
  expect(DIMENSIONS[namespace]).toContainEqual(Object.keys(dimensions).sort());
  for (const value of Object.values(dimensions)) {
    expect(value).toMatch(/^\$\{aws_\w+\.\w+\.(name|arn|arn_suffix|stage_name)\}$/);
  }
}

describe("the dashboard", () => {
  const widgets = (stack: typeof shipped) =>
    decodeJsonencode(stack.one("aws_cloudwatch_dashboard").dashboard_body).widgets;

  test.each(all.map((stack, index) => [Object.keys(VARIANTS)[index]!, stack] as const))(
    "draws metrics that AWS has, with all of their dimensions (%s)",
    (_, stack) => {
      for (const { properties } of widgets(stack)) {
        expect(properties).toMatchObject({ region: "ap-northeast-1", view: "timeSeries" });
        for (const [namespace, name, ...rest] of properties.metrics) {
          const pairs = rest.flatMap((part: string, index: number) =>
            index % 2 === 0 ? [[part, rest[index + 1]]] : [],
          );
          expectMetric(namespace, name, Object.fromEntries(pairs));
        }
      }
    },
  );

  test("follows a push through the chain, and leaves out what is not there", () => {
    const titles = (stack: typeof shipped) => widgets(stack).map(({ properties }: Json) => properties.title);
    expect(titles(shipped)).toEqual([
      "received",
      "filtered, queued",
      "building, image, artifact",
      "building: seconds",
      "pipeline",
      "test listener, live, old version gone: healthy targets",
      "live: requests by colour",
      "live: errors",
      "live: load of the service",
      "dead letters",
    ]);
    expect(titles(direct)).toEqual(titles(shipped).filter((title: string) => title !== "filtered, queued"));
  });

  test("lays its graphs out without overlap", () => {
    const places = widgets(shipped).map(({ x, y, width, height }: Json) => {
      expect([width, height]).toEqual([8, 6]);
      expect(x + width).toBeLessThanOrEqual(24);
      return `${x} ${y}`;
    });
    expect(new Set(places).size).toBe(places.length);
  });
});
