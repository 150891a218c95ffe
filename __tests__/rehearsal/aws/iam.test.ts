import { evaluate, type PolicyDocument, type Statement } from "../../../rehearsal/aws/iam";

const policy = (...Statement: Statement[]): PolicyDocument => ({ Version: "2012-10-17", Statement });
const allow = (more: Partial<Statement> = {}): Statement => ({
  Effect: "Allow",
  Action: "s3:GetObject",
  Resource: "arn:aws:s3:::bucket/key",
  ...more,
});
const deny = (more: Partial<Statement> = {}): Statement => ({ ...allow(more), Effect: "Deny" });
const request = { action: "s3:GetObject", resource: "arn:aws:s3:::bucket/key" };

describe("evaluate", () => {
  test("denies without saying so when no statement speaks of the call", () => {
    expect(evaluate([], request)).toBe("implicitDeny");
    expect(evaluate([policy(allow({ Action: "s3:PutObject" }))], request)).toBe("implicitDeny");
    expect(evaluate([policy(allow({ Resource: "arn:aws:s3:::bucket/other" }))], request)).toBe(
      "implicitDeny",
    );
  });

  test("lets an explicit deny win, in whichever policy and order it stands", () => {
    expect(evaluate([policy(allow()), policy(deny())], request)).toBe("deny");
    expect(evaluate([policy(deny(), allow())], request)).toBe("deny");
  });

  test("takes a single statement that is no list", () => {
    expect(evaluate([{ Statement: allow() }], request)).toBe("allow");
  });

  test.each([
    ["s3:GetObject", true],
    ["s3:getobject", true],
    ["s3:Get*", true],
    ["s3:Get?bject", true],
    ["*", true],
    ["s3:GetObjec", false],
    ["s3:Get", false],
    ["s3:Get.bject", false],
  ])("compares the action with %s", (Action, isAllowed) => {
    expect(evaluate([policy(allow({ Action: ["ecr:PutImage", Action] }))], request)).toBe(
      isAllowed ? "allow" : "implicitDeny",
    );
  });

  test.each([
    ["arn:aws:s3:::bucket/*", true],
    ["arn:aws:s3:::b*y", true],
    ["arn:aws:s3:::bucket/ke?", true],
    ["arn:aws:s3:::Bucket/key", false],
    ["arn:aws:s3:::bucket", false],
    ["arn:aws:s3:::bucket/key/*", false],
  ])("compares the resource with %s, with regard to case", (Resource, isAllowed) => {
    expect(evaluate([policy(allow({ Resource }))], request)).toBe(isAllowed ? "allow" : "implicitDeny");
  });

  test("reads NotAction and NotResource as everything else", () => {
    const everythingBut: Statement = {
      Effect: "Allow",
      NotAction: "s3:Put*",
      NotResource: "arn:aws:s3:::other/*",
    };
    expect(evaluate([policy(everythingBut)], request)).toBe("allow");
    expect(evaluate([policy(everythingBut)], { ...request, action: "s3:PutObject" })).toBe("implicitDeny");
    expect(evaluate([policy(everythingBut)], { ...request, resource: "arn:aws:s3:::other/k" })).toBe(
      "implicitDeny",
    );
  });

  test("fills in policy variables, and skips a statement whose variable the request does not have", () => {
    const own = policy(allow({ Resource: "arn:aws:s3:::bucket/${aws:PrincipalAccount}" }));
    const resource = "arn:aws:s3:::bucket/123456789012";
    expect(
      evaluate([own], { ...request, resource, context: { "aws:PrincipalAccount": "123456789012" } }),
    ).toBe("allow");
    expect(evaluate([own], { ...request, resource })).toBe("implicitDeny");
  });

  describe("with principals", () => {
    const role = "arn:aws:iam::123456789012:role/build";
    const session = "arn:aws:sts::123456789012:assumed-role/build/x";
    const asRole = { ...request, principal: { arns: [session, role] } };
    const asService = { ...request, principal: { service: "events.amazonaws.com" } };

    test.each([
      ["*", asRole, "allow"],
      [{ AWS: "*" }, asRole, "allow"],
      [{ AWS: role }, asRole, "allow"],
      [{ AWS: [session] }, asRole, "allow"],
      [{ AWS: "arn:aws:iam::123456789012:role/other" }, asRole, "implicitDeny"],
      [{ Service: "events.amazonaws.com" }, asRole, "implicitDeny"],
      [{ Service: ["sns.amazonaws.com", "events.amazonaws.com"] }, asService, "allow"],
      [{ Service: "sns.amazonaws.com" }, asService, "implicitDeny"],
      ["*", request, "allow"],
      [{ AWS: role }, request, "implicitDeny"],
    ] as const)("matches %j", (Principal, asked, decision) => {
      expect(evaluate([policy(allow({ Principal }))], asked)).toBe(decision);
    });

    test.each(["123456789012", "arn:aws:iam::123456789012:root"])(
      "lets the account %s deny its roles, but not allow them by itself",
      (AWS) => {
        expect(evaluate([policy(allow({ Principal: { AWS } }))], asRole)).toBe("implicitDeny");
        expect(evaluate([policy(deny({ Principal: { AWS } }))], asRole)).toBe("deny");
      },
    );
  });

  describe("with conditions", () => {
    const decide = (
      operator: string,
      values: Record<string, unknown>,
      context: Record<string, string | string[]>,
    ) => evaluate([policy(allow({ Condition: { [operator]: values } }))], { ...request, context });

    test.each([
      ["StringEquals", "a", "a", true],
      ["StringEquals", "a", "A", false],
      ["StringEquals", ["a", "b"], "b", true],
      ["StringNotEquals", ["a", "b"], "b", false],
      ["StringNotEquals", ["a", "b"], "c", true],
      ["StringEqualsIgnoreCase", "a", "A", true],
      ["StringLike", "re*/?", "refs/x", true],
      ["StringLike", "re*", "xre", false],
      ["StringNotLike", "re*", "refs", false],
      ["Bool", "false", "true", false],
      ["Bool", "false", "false", true],
      ["Bool", true, "true", true],
      ["ArnEquals", "arn:aws:events:eu:1:rule/bus/name", "arn:aws:events:eu:1:rule/bus/name", true],
      ["ArnLike", "arn:aws:events:*:1:rule/*", "arn:aws:events:eu:1:rule/bus/name", true],
      ["ArnLike", "arn:aws:*:rule/*", "arn:aws:events:eu:1:rule/bus/name", false],
      ["ArnNotLike", "arn:aws:events:*:1:rule/*", "arn:aws:events:eu:1:rule/bus/name", false],
      ["IpAddress", ["10.0.0.0/8", "192.0.2.1/32"], "192.0.2.1", true],
      ["IpAddress", "192.0.2.1", "192.0.2.1", true],
      ["IpAddress", "10.0.0.0/8", "11.0.0.1", false],
      ["NotIpAddress", ["10.0.0.0/8", "192.0.2.0/24"], "192.0.2.7", false],
      ["NotIpAddress", ["10.0.0.0/8", "192.0.2.0/24"], "198.51.100.1", true],
      ["IpAddress", "2001:db8::/32", "2001:db8::1", true],
      ["IpAddress", "2001:db8::/32", "192.0.2.1", false],
      ["NumericLessThan", "10", "9", true],
      ["NumericLessThan", "10", "10", false],
      ["NumericGreaterThanEquals", "10", "10", true],
    ])("%s %j holds for %s: %s", (operator, expected, actual, holds) => {
      expect(decide(operator, { "aws:Key": expected }, { "aws:Key": actual })).toBe(
        holds ? "allow" : "implicitDeny",
      );
    });

    test.each([
      ["StringEquals", false],
      ["StringNotEquals", true],
      ["StringEqualsIfExists", true],
      ["ArnLike", false],
      ["ArnNotLike", true],
      ["IpAddress", false],
      ["NotIpAddress", true],
      ["BoolIfExists", true],
      ["ForAllValues:StringEquals", true],
      ["ForAnyValue:StringEquals", false],
    ])("%s with a key that the request does not have: %s", (operator, holds) => {
      const value = operator.includes("Ip") ? "10.0.0.0/8" : "x";
      expect(decide(operator, { "aws:Key": value }, {})).toBe(holds ? "allow" : "implicitDeny");
    });

    test("finds keys whatever their case", () => {
      expect(decide("StringEquals", { "AWS:sourceaccount": "1" }, { "aws:SourceAccount": "1" })).toBe(
        "allow",
      );
    });

    test("needs all operators and all keys to hold", () => {
      const Condition = { StringEquals: { "aws:A": "1", "aws:B": "2" }, Bool: { "aws:C": "true" } };
      const decideAll = (context: Record<string, string>) =>
        evaluate([policy(allow({ Condition }))], { ...request, context });
      expect(decideAll({ "aws:A": "1", "aws:B": "2", "aws:C": "true" })).toBe("allow");
      expect(decideAll({ "aws:A": "1", "aws:B": "2", "aws:C": "false" })).toBe("implicitDeny");
      expect(decideAll({ "aws:A": "1", "aws:B": "3", "aws:C": "true" })).toBe("implicitDeny");
    });

    test("tells with Null whether a key is there", () => {
      expect(decide("Null", { "aws:Key": "true" }, {})).toBe("allow");
      expect(decide("Null", { "aws:Key": "true" }, { "aws:Key": "x" })).toBe("implicitDeny");
      expect(decide("Null", { "aws:Key": "false" }, { "aws:Key": "x" })).toBe("allow");
    });

    test("compares sets of values as asked", () => {
      const values = { "aws:TagKeys": ["a", "b"] };
      expect(decide("ForAllValues:StringEquals", values, { "aws:TagKeys": ["a", "b"] })).toBe("allow");
      expect(decide("ForAllValues:StringEquals", values, { "aws:TagKeys": ["a", "c"] })).toBe("implicitDeny");
      expect(decide("ForAnyValue:StringEquals", values, { "aws:TagKeys": ["c", "b"] })).toBe("allow");
      expect(decide("ForAnyValue:StringEquals", values, { "aws:TagKeys": ["c"] })).toBe("implicitDeny");
    });

    test.each(["DateLessThan", "StringMatches", "BinaryEquals", "ForSomeValues:StringEquals", "constructor"])(
      "throws for the operator %s instead of guessing",
      (operator) => {
        expect(() => decide(operator, { "aws:Key": "x" }, { "aws:Key": "x" })).toThrow(
          `policy condition operator is not supported: ${operator}`,
        );
      },
    );

    test("throws for an address range that is none", () => {
      expect(() => decide("IpAddress", { "aws:SourceIp": "here" }, { "aws:SourceIp": "192.0.2.1" })).toThrow(
        "no address range: here",
      );
    });
  });
});
