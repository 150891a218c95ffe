import { PREFIX_MAX_LENGTH } from "../../config/project";
import { type Block, synthesise } from "../support/stack";
import { VARIANTS } from "../support/variants";

const NAME = "a".repeat(PREFIX_MAX_LENGTH - 4);
const PREFIX = `${NAME}-zzz`;

/** The longest name that AWS takes, and what it may consist of, by the attribute that gives it. */
const LIMITS: Readonly<Record<string, readonly [max: number, form: RegExp]>> = {
  "aws_api_gateway_api_key.name": [1024, /^[\w.-]+$/],
  "aws_api_gateway_rest_api.name": [1024, /^[\w.-]+$/],
  "aws_api_gateway_stage.stage_name": [128, /^[A-Za-z0-9_-]+$/],
  "aws_cloudwatch_dashboard.dashboard_name": [255, /^[A-Za-z0-9_-]+$/],
  "aws_cloudwatch_event_archive.name": [48, /^[.\w-]+$/],
  "aws_cloudwatch_event_bus.name": [256, /^[.\w-]+$/],
  "aws_cloudwatch_event_rule.name": [64, /^[.\w-]+$/],
  "aws_cloudwatch_log_group.name": [512, /^[.\w/#-]+$/],
  "aws_cloudwatch_metric_alarm.alarm_name": [255, /^[ -~]+$/],
  "aws_codebuild_project.name": [150, /^[A-Za-z0-9][A-Za-z0-9_-]+$/],
  "aws_codedeploy_app.name": [100, /^[\w+=,.@-]+$/],
  "aws_codedeploy_deployment_group.deployment_group_name": [100, /^[\w+=,.@-]+$/],
  "aws_codepipeline.name": [100, /^[A-Za-z0-9.@_-]+$/],
  "aws_ecr_repository.name": [256, /^[a-z0-9]+(?:[._-][a-z0-9]+)*$/],
  "aws_ecs_cluster.name": [255, /^[A-Za-z0-9_-]+$/],
  "aws_ecs_service.name": [255, /^[A-Za-z0-9_-]+$/],
  "aws_ecs_task_definition.family": [255, /^[A-Za-z0-9_-]+$/],
  "aws_iam_role.name": [64, /^[\w+=,.@-]+$/],
  "aws_iam_role_policy.name": [128, /^[\w+=,.@-]+$/],
  "aws_lb.name": [32, /^(?!internal-)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$/],
  "aws_lb_target_group.name": [32, /^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$/],
  "aws_s3_bucket.bucket": [63, /^(?!xn--|sthree-|amzn-s3-demo-)[a-z0-9][a-z0-9.-]+[a-z0-9]$/],
  "aws_secretsmanager_secret.name": [512, /^[\w/+=.@-]+$/],
  "aws_security_group.name": [255, /^(?!sg-)[\w ./()#,@[\]+=&;{}!$*:-]+$/],
  "aws_sfn_state_machine.name": [80, /^[A-Za-z0-9_-]+$/],
  "aws_sns_topic.name": [256, /^[A-Za-z0-9_-]+$/],
  "aws_sqs_queue.name": [80, /^[A-Za-z0-9_-]+$/],
};

// Everything that is a name of a thing of this stack, and not a reference to another's.
const NAMING = [
  "name",
  "family",
  "bucket",
  "alarm_name",
  "dashboard_name",
  "stage_name",
  "deployment_group_name",
];

/** With the account's twelve digits where its id is referred to. */
const named = (text: string) =>
  text.replace(/\$\{data\.aws_caller_identity\.\w+\.account_id\}/g, "123456789012");

const namesOf = ({ type, path, body }: Block) =>
  NAMING.filter(
    (attribute) => typeof body[attribute] === "string" && !/^\$\{[^}]*\}$/.test(body[attribute]),
  ).map((attribute) => ({ kind: `${type}.${attribute}`, path, name: named(body[attribute]) }));

const stacks = Object.values(VARIANTS).map((changes) =>
  synthesise({ ...changes, project: { ...changes.project, name: NAME, env: "zzz" } }),
);
const names = stacks.flatMap(({ blocks }) =>
  blocks.filter(({ address }) => !address.startsWith("data.")).flatMap(namesOf),
);

test("the prefix is the longest that the configuration takes", () => {
  expect(PREFIX).toHaveLength(PREFIX_MAX_LENGTH);
  expect(names.filter(({ name }) => name.includes(PREFIX)).length).toBeGreaterThan(100);
});

test("every kind of name in the stack has a known limit, and every limit a name", () => {
  expect([...new Set(names.map(({ kind }) => kind))].sort()).toEqual(Object.keys(LIMITS).sort());
});

test("each name keeps to what AWS takes, with the longest prefix", () => {
  const faults = names.filter(({ kind, name }) => {
    const [max, form] = LIMITS[kind] ?? [0, /^$/];
    return name.length > max || !form.test(name);
  });
  expect(faults).toEqual([]);
});

test("the load balancer's target groups use the limit up: no longer prefix would do", () => {
  const lengths = names
    .filter(({ kind }) => kind === "aws_lb_target_group.name")
    .map(({ name }) => name.length);
  expect(Math.max(...lengths)).toBe(32);
});

test("two things of one kind never have the same name", () => {
  for (const stack of stacks) {
    const all = stack.blocks
      .filter(({ type }) => type !== "aws_iam_role_policy")
      .flatMap(namesOf)
      .map(({ kind, name }) => `${kind} ${name}`);
    expect(all).toEqual([...new Set(all)]);
  }
});

test("CodePipeline's copies expire: their folder is the first 20 characters of the pipeline's name", () => {
  const { name } = stacks[0]!.one("aws_codepipeline");
  const { rule } = stacks[0]!.one("aws_s3_bucket_lifecycle_configuration", "artifacts/expiry");
  const copies = rule.find(({ id }: { id: string }) => id === "pipeline-copies");
  expect(copies.filter).toEqual([{ prefix: `${name.slice(0, 20)}/` }]);
});
