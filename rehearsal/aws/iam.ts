import { conditionsHold } from "./iam-conditions";
import { type Context, globMatches, withVariables } from "./iam-patterns";

/** One statement of a policy, as IAM's grammar has it. */
export interface Statement {
  readonly Sid?: string;
  readonly Effect: "Allow" | "Deny";
  readonly Principal?: Principals;
  readonly NotPrincipal?: Principals;
  readonly Action?: string | readonly string[];
  readonly NotAction?: string | readonly string[];
  readonly Resource?: string | readonly string[];
  readonly NotResource?: string | readonly string[];
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** `"*"`, or principals by kind: `AWS`, `Service`, ... */
export type Principals = "*" | Readonly<Record<string, string | readonly string[]>>;

/** A policy: of a role, of a resource, or a role's trust policy. */
export interface PolicyDocument {
  readonly Version?: string;
  readonly Id?: string;
  readonly Statement: Statement | readonly Statement[];
}

/** Who asks: a service by its name, or a role's session by its ARNs (session and role). Nobody known: leave it out. */
export interface Principal {
  readonly service?: string;
  readonly arns?: readonly string[];
}

/** What is asked for. */
export interface IamRequest {
  readonly action: string;
  /** ARN, or `*` for an action without resource level; left out for `sts:AssumeRole` (trust policies have none). */
  readonly resource?: string;
  readonly principal?: Principal;
  /** Condition keys that are present; names are compared without regard to case. */
  readonly context?: Context;
}

/** `implicitDeny`: no statement speaks of it. */
export type Decision = "allow" | "deny" | "implicitDeny";

/**
 * Evaluates policies of one kind together: an explicit deny wins, then an allow, else nothing is allowed.
 * For a call inside one account either the role's policies or the resource's policy must allow, and none may deny.
 *
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
 * @throws Error for a condition operator or policy element it does not know: nothing is allowed by guessing
 */
export function evaluate(policies: readonly PolicyDocument[], request: IamRequest): Decision {
  let decision: Decision = "implicitDeny";
  for (const statement of policies.flatMap((policy) => listOf(policy.Statement))) {
    if (!applies(statement, request)) continue;
    if (statement.Effect === "Deny") return "deny";
    decision = "allow";
  }
  return decision;
}

function applies(statement: Statement, request: IamRequest): boolean {
  return (
    principalMatches(statement, request.principal) &&
    actionMatches(statement, request.action) &&
    resourceMatches(statement, request) &&
    conditionsHold(statement.Condition ?? {}, request.context ?? {})
  );
}

function actionMatches(statement: Statement, action: string): boolean {
  // Actions know no upper and lower case: "s3:getobject" is s3:GetObject.
  const isAmong = (patterns: string | readonly string[]) =>
    listOf(patterns).some((pattern) => globMatches(pattern.toLowerCase(), action.toLowerCase()));
  if (statement.NotAction !== undefined) return !isAmong(statement.NotAction);
  if (statement.Action === undefined)
    throw new Error("policy statement has neither `Action` nor `NotAction`");
  return isAmong(statement.Action);
}

function resourceMatches(statement: Statement, { resource, context = {} }: IamRequest): boolean {
  const isAmong = (patterns: string | readonly string[]) =>
    listOf(patterns).some((pattern) => {
      const filled = withVariables(pattern, context);
      return filled !== undefined && globMatches(filled, resource ?? "");
    });
  if (statement.NotResource !== undefined) return !isAmong(statement.NotResource);
  // Trust policies have no resource: the role that carries them is meant.
  if (statement.Resource === undefined) return true;
  return isAmong(statement.Resource);
}

function principalMatches(statement: Statement, principal: Principal | undefined): boolean {
  if (statement.NotPrincipal !== undefined) return !isNamed(statement.NotPrincipal, principal, "Deny");
  // A role's own policies name no principal: they speak of the role.
  if (statement.Principal === undefined) return true;
  return isNamed(statement.Principal, principal, statement.Effect);
}

function isNamed(principals: Principals, principal: Principal | undefined, effect: "Allow" | "Deny") {
  if (principals === "*") return true;
  return Object.entries(principals).some(([kind, names]) =>
    listOf(names).some((name) => {
      if (kind === "Service") return name === principal?.service;
      if (kind !== "AWS") return false;
      if (name === "*") return true;
      const arns = principal?.arns ?? [];
      // The account as principal hands the decision to the roles' own policies: it denies, but allows nobody by itself.
      const account = /^(?:arn:aws[\w-]*:iam::)?(\d{12})(?::root)?$/.exec(name)?.[1];
      if (account) return effect === "Deny" && arns.some((arn) => arn.split(":")[4] === account);
      return arns.includes(name);
    }),
  );
}

function listOf<T>(value: T | readonly T[]): readonly T[] {
  return Array.isArray(value) ? value : [value as T];
}
