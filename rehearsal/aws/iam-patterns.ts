/** Condition keys of a request with their values. */
export type Context = Readonly<Record<string, string | readonly string[]>>;

/** Whether `text` matches a policy's pattern: `*` stands for any characters, `?` for one. */
export function globMatches(pattern: string, text: string): boolean {
  const source = pattern.replace(/[.+^${}()|[\]\\*?]/g, (c) =>
    c === "*" ? "[\\s\\S]*" : c === "?" ? "[\\s\\S]" : `\\${c}`,
  );
  return new RegExp(`^${source}$`).test(text);
}

/**
 * Fills in policy variables: `${aws:PrincipalAccount}` and the like from the request's context.
 * Undefined when the request lacks one: then the statement does not apply.
 *
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
 * @throws Error for a variable with a default value and for the escapes `${*}`, `${?}`, `${$}`: not needed here
 */
export function withVariables(pattern: string, context: Context): string | undefined {
  let isComplete = true;
  const filled = pattern.replace(/\$\{([^}]*)\}/g, (whole, name: string) => {
    if (!/^[\w:/-]+$/.test(name)) throw new Error(`policy variable is not supported: ${whole}`);
    const value = contextValue(context, name);
    if (value === undefined) isComplete = false;
    return String(value);
  });
  return isComplete ? filled : undefined;
}

/** The value of a condition key, whose name has no upper and lower case. */
export function contextValue(context: Context, key: string): Context[string] | undefined {
  const name = Object.keys(context).find((candidate) => candidate.toLowerCase() === key.toLowerCase());
  return name === undefined ? undefined : context[name];
}
