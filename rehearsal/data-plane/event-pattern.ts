/** A pattern: objects nest, lists hold the values or operators of which one must match. */
export type EventPattern = { readonly [field: string]: EventPattern | readonly unknown[] };

/**
 * Whether an event matches a rule's pattern.
 *
 * Left out: `numeric`, `cidr` and `$or`.
 *
 * @see https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
 * @throws Error for an operator it does not know: an event is never let through, or lost, by guessing
 */
export function matchesPattern(pattern: EventPattern, event: unknown): boolean {
  return Object.entries(pattern).every(([field, expected]) => {
    const value = fieldOf(event, field);
    if (!Array.isArray(expected)) return matchesPattern(expected as EventPattern, value);
    return expected.some((matcher) => matchesOne(matcher, value));
  });
}

/** @throws Error for what `matchesPattern` could not evaluate on some event, and for what AWS refuses in a rule */
export function checkPattern(pattern: unknown): void {
  if (!isObject(pattern)) throw new Error("an event pattern is an object");
  if (Object.keys(pattern).length === 0) throw new Error("an event pattern must not be empty");
  for (const [field, expected] of Object.entries(pattern)) {
    if (field === "$or") throw new Error("event pattern operator is not supported by the rehearsal: $or");
    if (!Array.isArray(expected)) checkPattern(expected);
    else if (expected.length === 0) throw new Error(`event pattern field ${field} has an empty list`);
    else for (const matcher of expected) matchesOne(matcher, "any text");
  }
}

function matchesOne(matcher: unknown, value: unknown): boolean {
  if (isObject(matcher)) {
    const [[operator = "", operand] = [], ...more] = Object.entries(matcher);
    if (more.length > 0)
      throw new Error(`event pattern has two operators in one: ${JSON.stringify(matcher)}`);
    if (operator === "exists") return (value !== undefined && !isObject(value)) === operand;
    const matches = valueTest(operator, operand);
    return valuesOf(value).some(matches);
  }
  return valuesOf(value).some((one) => one === matcher);
}

function valueTest(operator: string, operand: unknown): (value: unknown) => boolean {
  if (operator === "anything-but") {
    if (isObject(operand)) {
      const [[inner = "", innerOperand] = []] = Object.entries(operand);
      const texts = [innerOperand].flat();
      const tests = texts.map((text) => textTest(inner, text));
      return (value) => !tests.some((test) => test(value));
    }
    const refused = [operand].flat();
    return (value) => !refused.includes(value);
  }
  return textTest(operator, operand);
}

function textTest(operator: string, operand: unknown): (value: unknown) => boolean {
  const test = Object.hasOwn(TEXT_TESTS, operator) ? TEXT_TESTS[operator] : undefined;
  if (!test) throw new Error(`event pattern operator is not supported by the rehearsal: ${operator}`);
  if (typeof operand !== "string") throw new Error(`event pattern operator ${operator} needs a text`);
  return (value) => typeof value === "string" && test(value, operand);
}

const TEXT_TESTS: Readonly<Record<string, (value: string, operand: string) => boolean>> = {
  prefix: (value, operand) => value.startsWith(operand),
  suffix: (value, operand) => value.endsWith(operand),
  "equals-ignore-case": (value, operand) => value.toLowerCase() === operand.toLowerCase(),
  wildcard: (value, operand) => {
    // A backslash makes the next character plain: `\*` and `\\`.
    const source = operand.replace(/\\([\\*])|\*|[.+?^${}()|[\]\\]/g, (found, plain?: string) =>
      found === "*" ? "[\\s\\S]*" : `\\${plain ?? found}`,
    );
    return new RegExp(`^${source}$`).test(value);
  },
};

/** A list in the event matches when one of its values does. */
function valuesOf(value: unknown): readonly unknown[] {
  if (value === undefined || isObject(value)) return [];
  return Array.isArray(value) ? value : [value];
}

function fieldOf(event: unknown, field: string): unknown {
  return isObject(event) && Object.hasOwn(event, field) ? event[field] : undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
