import { AwsProvider } from "@cdktf/provider-aws/lib/provider";
import { TerraformStack } from "cdktf";
import { Account } from "../../modules/account";
import { ServiceRole, type ServiceRoleProps } from "../../modules/service-role";
import { readable, synthesiseWith } from "../support/stack";

function role(props: (account: Account) => Partial<ServiceRoleProps> = () => ({})) {
  return synthesiseWith((app) => {
    const stack = new TerraformStack(app, "stack");
    new AwsProvider(stack, "aws");
    const account = new Account(stack, "account", "eu-west-1");
    new ServiceRole(stack, "role", {
      name: "prefix-worker",
      service: "codebuild.amazonaws.com",
      ...props(account),
    });
    return stack;
  });
}

describe("ServiceRole", () => {
  test("is assumed by its service, without conditions unless they are asked for", () => {
    const stack = role();
    expect(stack.one("aws_iam_role").name).toBe("prefix-worker");
    expect(stack.statements("role/trust")).toEqual([
      {
        sid: "AssumedByService",
        actions: ["sts:AssumeRole"],
        principals: [{ type: "Service", identifiers: ["codebuild.amazonaws.com"] }],
        condition: [],
      },
    ]);
  });

  test("is tied to the account, and to resources where they are named", () => {
    const conditions = (arns?: (account: Account) => string[]) =>
      role((account) => ({ source: { account, ...(arns ? { arns: arns(account) } : {}) } }))
        .statement("role/trust", "AssumedByService")
        .condition.map(({ test, variable, values }: { test: string; variable: string; values: string[] }) => [
          test,
          variable,
          ...values.map(readable),
        ]);
    const account = ["StringEquals", "aws:SourceAccount", "<account>"];
    expect(conditions()).toEqual([account]);
    expect(conditions((of) => [of.arn("codebuild", "project/x")])).toEqual([
      account,
      ["ArnLike", "aws:SourceArn", "arn:<partition>:codebuild:eu-west-1:<account>:project/x"],
    ]);
  });

  test("has its permissions inline, and none when there are none", () => {
    const statements = [{ sid: "Do", actions: ["s3:GetObject"], resources: ["arn:aws:s3:::bucket/key"] }];
    const stack = role(() => ({ statements }));
    expect(stack.statements("role/permissions")).toEqual(statements);
    expect(stack.one("aws_iam_role_policy")).toMatchObject({
      name: "permissions",
      role: "${aws_iam_role.role.name}",
    });
    expect(role().all("aws_iam_role_policy")).toEqual([]);
  });
});
