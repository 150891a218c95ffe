import { z } from "zod";
import { parseCidr } from "./ipv4";

/** Free text that ends up in Terraform: `${` and `%{` would be evaluated there. */
export const plainText = (max: number) =>
  z
    .string()
    .min(1, "must not be empty")
    .max(max, `must have at most ${max} characters`)
    .refine((text) => !/[$%]\{/.test(text), "must not contain ${ or %{, which Terraform would evaluate");

/** Text of which every character is of a given form. */
export const matching = (form: RegExp, what: string) => z.string().regex(form, `must be ${what}`);

/** A whole number in a closed range. */
export const wholeNumber = (min: number, max: number) =>
  z
    .int(`must be a whole number from ${min} to ${max}`)
    .min(min, `must be from ${min} to ${max}`)
    .max(max, `must be from ${min} to ${max}`);

/** An IPv4 network such as `192.168.0.0/24`. */
export const cidr = z
  .string()
  .refine(
    (text) => parseCidr(text) !== undefined,
    "must be an IPv4 network such as 192.168.0.0/24, without bits behind its prefix",
  );

/** A list without repetitions. */
export const distinct = <T extends z.ZodType<string>>(item: T, min: number, max: number) =>
  z
    .array(item)
    .min(min, `must have at least ${min} ${min === 1 ? "entry" : "entries"}`)
    .max(max, `must have at most ${max} entries`)
    .refine((list) => new Set(list).size === list.length, "must not name the same thing twice");

// What git forbids in a ref (git-check-ref-format), and the double quote, which JSON cannot bear unescaped.
const FORBIDDEN_IN_REFS = /[\p{Cc} "\\~^:?[\u007f]|\.\.|@\{|\/\/|^[/.-]|\/\.|[/.]$|\.lock(\/|$)/u;

const refName = (allowAsterisk: boolean) => (name: string) =>
  name.length > 0 &&
  name.length <= 240 &&
  !FORBIDDEN_IN_REFS.test(name) &&
  (allowAsterisk || !name.includes("*"));

/** The exact name of a branch, without `refs/heads/`. */
export const branchName = z
  .string()
  .refine(
    refName(false),
    'must be a branch name such as "main" or "release/2.0", without refs/heads/ and without *',
  );

/**
 * A branch name in which `*` stands for any characters, as EventBridge's wildcard matching has it.
 * @see https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html#eb-filtering-wildcard-matching
 */
export const branchPattern = z
  .string()
  .refine(refName(true), 'must be a branch name or pattern such as "feature/*", without refs/heads/')
  .refine(
    (pattern) => !pattern.includes("**"),
    "must not contain **: EventBridge refuses consecutive wildcards",
  );

/** A path inside a repository, relative to its root. */
export const repositoryPath = z
  .string()
  .regex(/^[A-Za-z0-9._@+-][A-Za-z0-9._@+/-]*$/, "must be a path relative to the repository's root")
  .max(200, "must have at most 200 characters")
  .refine(
    (path) => !path.split("/").some((part) => part === ".." || part === ""),
    "must not contain .. or //",
  );

/** How long CloudWatch Logs keeps a log group, in days: the values that its API accepts. */
export const logRetentionInDays = z.union(
  [
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
  ].map((days) => z.literal(days)),
  "must be one of CloudWatch's retention periods (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, ...)",
);
