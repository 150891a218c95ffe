import { z } from "zod";
import { parseCidr } from "./ipv4";

/**
 * Text of which every character is of a given form.
 * Forms leave out `${` and `%{`, which Terraform would evaluate.
 */
export const matching = (form: RegExp, what: string) =>
  z.string(`must be ${what}`).regex(form, `must be ${what}`);

/** A whole number in a closed range. */
export const wholeNumber = (min: number, max: number) => {
  const message = `must be a whole number from ${min} to ${max}`;
  return z.int(message).min(min, message).max(max, message);
};

/** A switch. */
export const yesOrNo = () => z.boolean("must be true or false");

/** An IPv4 network such as `192.168.0.0/24`. */
export const cidr = checked(
  (text) => parseCidr(text) !== undefined,
  "must be an IPv4 network such as 192.168.0.0/24, without bits behind its prefix",
);

/** A list without repetitions. */
export const distinct = <T extends z.ZodType<string>>(item: T, min: number, max: number, what: string) =>
  z
    .array(item, `must be a list of ${what}, ${min} to ${max}`)
    .min(min, `must have at least ${min} ${min === 1 ? "entry" : "entries"}`)
    .max(max, `must have at most ${max} entries`)
    .refine((list) => new Set(list).size === list.length, "must not name the same thing twice");

/** A path of plain names, which leads nowhere else: no slash at either end, no `.`, no `..`. */
export const relativePath = (what: string) =>
  matching(/^(?!\.{1,2}(\/|$))[A-Za-z0-9._-]+(\/(?!\.{1,2}(\/|$))[A-Za-z0-9._-]+)*$/, what);

/** A path beside the project's own files, where it outlives a synth. */
export const projectPath = (what: string) =>
  relativePath(`${what} relative to the project, without ..`).refine(
    (path) => !/^cdktf\.out(\/|$)/.test(path),
    "must not lie in cdktf.out: every synth clears it",
  );

// What git forbids in a ref (git-check-ref-format), and what cannot go through the chain as it is: the double quote
// (JSON), characters beyond 16 bits and U+FFFD (the webhook's template takes no surrogates), `${` and `%{` (Terraform).
const FORBIDDEN_IN_REFS =
  /[\p{Cc} "\\~^:?[\ufffd\u{10000}-\u{10ffff}]|\p{Cs}|\.\.|@\{|[$%]\{|\/\/|^[/.-]|\/\.|[/.]$|\.lock(\/|$)/u;

const refName = (allowAsterisk: boolean) => (name: string) =>
  name.length > 0 &&
  name.length <= 240 &&
  !FORBIDDEN_IN_REFS.test(name) &&
  (allowAsterisk || !name.includes("*"));

/** The exact name of a branch, without `refs/heads/`. */
export const branchName = checked(
  refName(false),
  'must be a branch name such as "main" or "release/2.0", without refs/heads/ and without *',
);

/**
 * A branch name in which `*` stands for any characters, as EventBridge's wildcard matching has it.
 * @see https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html#eb-filtering-wildcard-matching
 */
export const branchPattern = checked(
  refName(true),
  'must be a branch name or pattern such as "feature/*", without refs/heads/',
).refine(
  (pattern) => !pattern.includes("**"),
  "must not contain **: EventBridge refuses consecutive wildcards",
);

/** A path inside a repository, relative to its root. */
export const repositoryPath = matching(/^[A-Za-z0-9._@+/-]+$/, "a path relative to the repository's root")
  .max(200, "must have at most 200 characters")
  .refine(
    (path) => !/(^|\/)\.\.(\/|$)|\/\/|^\/|\/$/.test(path),
    "must not contain .., // or a slash at either end",
  );

const RETENTION_DAYS = [
  1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
];

/** How long CloudWatch Logs keeps a log group, in days: the values that its API accepts. */
export const logRetentionInDays = z.union(
  RETENTION_DAYS.map((days) => z.literal(days)),
  `must be one of ${RETENTION_DAYS.join(", ")}`,
);

/** An AWS region. */
export const region = matching(/^[a-z]{2}(-[a-z]+)+-\d$/, "an AWS region such as ap-northeast-1");

function checked(isRight: (text: string) => boolean, message: string) {
  return z.string(message).refine(isRight, message);
}
