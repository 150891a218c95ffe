import { readPath } from "./json-path";

/** A target's input transformer. */
export interface InputTransformer {
  readonly InputPathsMap?: Readonly<Record<string, string>>;
  readonly InputTemplate: string;
}

/**
 * What the target gets: the template with its variables filled in.
 * A variable that stands outside quotes gets quotes when its value is a text; **values are not escaped** in either
 * place, so a quote or backslash in a value makes broken JSON, here as on AWS.
 *
 * @see https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html
 * @throws Error for a variable that is neither in the map nor predefined
 */
export function transformInput(
  { InputPathsMap = {}, InputTemplate }: InputTransformer,
  event: object,
  rule: { readonly name: string; readonly arn: string },
): string {
  const predefined: Readonly<Record<string, unknown>> = {
    "aws.events.event": event,
    "aws.events.event.json": event,
    "aws.events.event.ingestion-time": new Date().toISOString(),
    "aws.events.rule-arn": rule.arn,
    "aws.events.rule-name": rule.name,
  };
  let isQuoted = false;
  // Escaped characters are stepped over as a pair, so that `\"` does not end a quotation.
  return InputTemplate.replace(/\\[\s\S]|"|<([\w.-]+)>/g, (found, name?: string) => {
    if (found === '"') isQuoted = !isQuoted;
    if (name === undefined) return found;
    const value = variable(name);
    // What the event does not have leaves nothing behind.
    if (value === undefined) return "";
    if (typeof value !== "string") return JSON.stringify(value);
    return isQuoted ? value : `"${value}"`;
  });

  function variable(name: string): unknown {
    if (Object.hasOwn(InputPathsMap, name)) return readPath(InputPathsMap[name]!, event);
    if (Object.hasOwn(predefined, name)) return predefined[name];
    throw new Error(`input template has a variable that is not in the input paths: <${name}>`);
  }
}
