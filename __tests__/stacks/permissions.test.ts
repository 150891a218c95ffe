import { type Block, type Json, readable, type Synthesised, synthesise } from "../support/stack";
import { VARIANTS } from "../support/variants";
import { TRUST, WILDCARDS } from "./permissions";

const stacks: Synthesised[] = Object.values(VARIANTS).map(synthesise);

/** Policy documents of all variants; one that several have appears once for each. */
const documents: Block[] = stacks.flatMap((stack) => stack.all("aws_iam_policy_document"));
const statements = documents.flatMap(({ path, body }) =>
  body.statement.map((statement: Json) => ({ name: `${path} ${statement.sid}`, path, statement })),
);

const collect = <T>(entries: readonly (readonly [string, T])[]): Record<string, T> => {
  const collected: Record<string, T> = {};
  for (const [name, value] of entries) {
    if (name in collected) expect([name, collected[name]]).toEqual([name, value]);
    collected[name] = value;
  }
  return collected;
};

test("each * in a statement has a written reason, and each reason a *", () => {
  const found = collect(
    statements.flatMap(({ name, statement }) => {
      const principals = (statement.principals ?? []).flatMap((one: Json) => one.identifiers);
      const wildcards = [
        ...statement.actions.filter((action: string) => action.includes("*")),
        ...(statement.resources ?? []).filter((resource: string) => resource.includes("*")).map(readable),
        ...(principals.includes("*") ? ["everybody"] : []),
      ];
      return wildcards.length > 0 ? [[name, wildcards] as const] : [];
    }),
  );
  expect(found).toEqual(
    Object.fromEntries(Object.entries(WILDCARDS).map(([name, { wildcards }]) => [name, wildcards])),
  );
});

test("who may assume a role, and on which conditions, has a written reason", () => {
  const trusts = statements.filter(({ statement }) =>
    statement.actions.some((action: string) => action.startsWith("sts:")),
  );
  const found = collect(
    trusts.map(({ path, statement }) => {
      expect(statement.actions).toEqual(["sts:AssumeRole"]);
      expect(statement.principals).toHaveLength(1);
      const [{ type, identifiers }] = statement.principals;
      expect(type).toBe("Service");
      const keys = (statement.condition ?? []).map(({ test, variable }: Json) => `${test} ${variable}`);
      return [path.replace(/\/trust$/, ""), { services: identifiers, keys }] as const;
    }),
  );
  expect(found).toEqual(
    Object.fromEntries(
      Object.entries(TRUST).map(([path, { service, keys }]) => [path, { services: [service], keys }]),
    ),
  );
});

test("no reason is left blank", () => {
  for (const { reason } of [...Object.values(WILDCARDS), ...Object.values(TRUST)]) {
    expect(reason).toMatch(/\w+ \w+.* \w+/);
  }
});

test("API Gateway and CodeDeploy, which send no source keys, are trusted without conditions", () => {
  const silent = ["apigateway.amazonaws.com", "codedeploy.amazonaws.com"];
  const roles = Object.values(TRUST).filter(({ service }) => silent.includes(service));
  expect(roles.length).toBeGreaterThanOrEqual(3);
  expect(roles.flatMap(({ keys }) => keys)).toEqual([]);
});

test("the values of the conditions name this account, and resources of it", () => {
  for (const { statement } of statements) {
    for (const { variable, values } of statement.condition ?? []) {
      if (variable === "aws:SourceAccount") {
        expect(values.map(readable)).toEqual(["<account>"]);
      }
      if (variable === "aws:SourceArn") {
        for (const value of values) {
          expect(readable(value)).toMatch(
            /^(<aws_\w+\.\w+\.arn>|arn:<partition>:[a-z]+:ap-northeast-1:<account>:.+)$/,
          );
        }
      }
    }
  }
});

test("a role is only passed on to the services that run tasks", () => {
  const passing = statements.filter(({ statement }) =>
    statement.actions.some((action: string) => /^iam:(PassRole|\*)$/.test(action)),
  );
  expect(passing.length).toBeGreaterThan(0);
  for (const { statement } of passing) {
    expect(statement.actions).toEqual(["iam:PassRole"]);
    expect(statement.resources.map(readable)).toEqual([
      "<aws_iam_role.service_execution_role.arn>",
      "<aws_iam_role.service_task_role.arn>",
    ]);
    expect(statement.condition).toEqual([
      { test: "StringEquals", variable: "iam:PassedToService", values: expect.any(Array) },
    ]);
    for (const service of statement.condition[0].values) {
      expect(service).toMatch(/^(ecs|ecs-tasks)\.amazonaws\.com$/);
    }
  }
});

test("each statement has a sid of its own in its document", () => {
  for (const { path, body } of documents) {
    const sids = body.statement.map(({ sid }: Json) => sid);
    expect([path, sids]).toEqual([path, [...new Set(sids)]]);
    for (const sid of sids) expect(sid).toMatch(/^[A-Za-z0-9]+$/);
  }
});

test("no statement allows everything but what it names", () => {
  for (const { statement } of statements) {
    expect(Object.keys(statement)).not.toEqual(expect.arrayContaining([expect.stringMatching(/^not_/)]));
  }
});

test("permissions come from these documents alone", () => {
  for (const block of stacks.flatMap(({ blocks }) => blocks)) {
    for (const attribute of ["policy", "assume_role_policy", "inline_policy", "managed_policy_arns"]) {
      const value = block.body[attribute];
      if (value === undefined || block.type === "aws_ecr_lifecycle_policy") continue;
      expect(`${block.path} ${attribute} ${value}`).toMatch(
        / (policy|assume_role_policy) \$\{data\.aws_iam_policy_document\.\w+\.json\}$/,
      );
    }
  }
});

test("the one managed policy is API Gateway's for its log, and only where the configuration asks for it", () => {
  const attachments = stacks.map((stack) =>
    stack.blocks.filter(({ type }) => /^aws_iam_.*(attachment|_policies_exclusive)$/.test(type)),
  );
  expect(attachments.map(({ length }) => length)).toEqual(
    Object.values(VARIANTS).map(({ webhook }) => (webhook?.accessLog === "manageAccountRole" ? 1 : 0)),
  );
  for (const { body } of attachments.flat()) {
    expect(body.policy_arn).toMatch(/:iam::aws:policy\/service-role\/AmazonAPIGatewayPushToCloudWatchLogs$/);
  }
});

test("nobody gets keys: there are no users and groups", () => {
  const types = stacks.flatMap(({ blocks }) => blocks.map(({ type }) => type));
  expect(types.filter((type) => /^aws_iam_(user|group|access_key)/.test(type))).toEqual([]);
});
