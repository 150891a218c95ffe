import { BlockList, isIP, isIPv6 } from "node:net";
import { type Context, contextValue, globMatches, withVariables } from "./iam-patterns";

/** Compares one value of the request with one of the policy. */
type Comparison = (actual: string, expected: string) => boolean;

const lower =
  (compare: Comparison): Comparison =>
  (actual, expected) =>
    compare(actual.toLowerCase(), expected.toLowerCase());
const equals: Comparison = (actual, expected) => actual === expected;
const like: Comparison = (actual, expected) => globMatches(expected, actual);
const numeric =
  (compare: (difference: number) => boolean): Comparison =>
  (actual, expected) =>
    compare(Number(actual) - Number(expected));

/** The operators without their negations, `...IfExists` and set forms. */
const OPERATORS: Readonly<Record<string, Comparison>> = {
  StringEquals: equals,
  StringEqualsIgnoreCase: lower(equals),
  StringLike: like,
  ArnEquals: arnMatches,
  ArnLike: arnMatches,
  Bool: lower(equals),
  IpAddress: addressIsIn,
  NumericEquals: numeric((difference) => difference === 0),
  NumericLessThan: numeric((difference) => difference < 0),
  NumericLessThanEquals: numeric((difference) => difference <= 0),
  NumericGreaterThan: numeric((difference) => difference > 0),
  NumericGreaterThanEquals: numeric((difference) => difference >= 0),
};

/** Negated operator -> the operator it negates. A key that is missing makes these true. */
const NEGATIONS: Readonly<Record<string, string>> = {
  StringNotEquals: "StringEquals",
  StringNotEqualsIgnoreCase: "StringEqualsIgnoreCase",
  StringNotLike: "StringLike",
  ArnNotEquals: "ArnEquals",
  ArnNotLike: "ArnLike",
  NotIpAddress: "IpAddress",
  NumericNotEquals: "NumericEquals",
};

/**
 * Whether all conditions of a statement hold.
 *
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
 * @throws Error for an operator it does not know
 */
export function conditionsHold(
  conditions: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
  context: Context,
): boolean {
  return Object.entries(conditions).every(([operator, keys]) => {
    const holds = conditionOf(operator);
    return Object.entries(keys).every(([key, values]) => {
      const filled = [values]
        .flat()
        .map((value) => withVariables(String(value), context))
        .filter((value) => value !== undefined);
      return holds(contextValue(context, key), filled);
    });
  });
}

/** The test of one condition key: what the request has (if anything) against the policy's values. */
type Condition = (actual: Context[string] | undefined, expected: readonly string[]) => boolean;

function conditionOf(operator: string): Condition {
  if (operator === "Null") {
    return (actual, expected) => expected.some((value) => (value === "true") === (actual === undefined));
  }
  const [, set, name = "", ifExists] = /^(?:(For\w+):)?(\w+?)(IfExists)?$/.exec(operator) ?? [];
  const isNegated = Object.hasOwn(NEGATIONS, name);
  const base = NEGATIONS[name] ?? name;
  const compare = Object.hasOwn(OPERATORS, base) ? OPERATORS[base] : undefined;
  if (!compare || (set && set !== "ForAllValues" && set !== "ForAnyValue")) {
    throw new Error(`policy condition operator is not supported: ${operator}`);
  }
  const one = (actual: string, expected: readonly string[]) =>
    isNegated !== expected.some((value) => compare(actual, value));

  return (actual, expected) => {
    if (actual === undefined) return isNegated || ifExists !== undefined || set === "ForAllValues";
    const values = [actual].flat();
    if (set === "ForAnyValue") return values.some((value) => one(value, expected));
    // Several values without a set operator: AWS calls that undefined, so the stricter reading counts.
    return values.every((value) => one(value, expected));
  };
}

/** ARNs are compared part by part: a `*` does not reach over a colon, except in the last part. */
function arnMatches(actual: string, expected: string): boolean {
  const actualParts = arnParts(actual);
  const expectedParts = arnParts(expected);
  return (
    actualParts.length === expectedParts.length &&
    expectedParts.every((part, index) => globMatches(part, actualParts[index]!))
  );
}

function arnParts(arn: string): string[] {
  const parts = arn.split(":");
  return [...parts.slice(0, 5), ...(parts.length > 5 ? [parts.slice(5).join(":")] : [])];
}

function addressIsIn(address: string, range: string): boolean {
  const [network = "", prefix] = range.split("/");
  if (!isIP(network)) throw new Error(`policy condition has no address range: ${range}`);
  if (!isIP(address)) return false;
  const family = isIPv6(network) ? "ipv6" : "ipv4";
  const list = new BlockList();
  list.addSubnet(network, prefix === undefined ? (family === "ipv6" ? 128 : 32) : Number(prefix), family);
  return list.check(address, isIPv6(address) ? "ipv6" : "ipv4");
}
