import type { z } from "zod";

const show = (value: unknown): string => {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 120 ? `${text.slice(0, 117)}...` : text;
};

const at = (input: unknown, path: readonly PropertyKey[]): unknown =>
  path.reduce<unknown>(
    (value, key) =>
      value === null || value === undefined ? undefined : (value as Record<PropertyKey, unknown>)[key],
    input,
  );

const name = (path: readonly PropertyKey[]): string =>
  path
    .map((key, index) =>
      typeof key === "number" ? `[${key}]` : index === 0 ? String(key) : `.${String(key)}`,
    )
    .join("");

function describe(issue: z.core.$ZodIssue, input: unknown): string[] {
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => `\`${name([...issue.path, key])}\` is not a setting`);
  }
  const value = issue.input ?? at(input, issue.path);
  const where = issue.path.length > 0 ? `\`${name(issue.path)}\`` : "the configuration";
  if (value === undefined) return [`${where} is missing: it ${issue.message}`];
  return [`${where} ${issue.message}, got: ${show(value)}`];
}

/**
 * One line for each fault of a configuration: the setting's path, what is allowed and what came.
 * @param input what was checked
 */
export function describeFaults(error: z.ZodError, input: unknown): string[] {
  return error.issues.flatMap((issue) => describe(issue, input));
}
