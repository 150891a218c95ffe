import { readPath, writePath } from "./json-path";
import { evaluateIntrinsic } from "./states-intrinsics";

/** A state machine in the Amazon States Language (JSONPath). */
export interface Definition {
  readonly Comment?: string;
  readonly QueryLanguage?: "JSONPath";
  readonly StartAt: string;
  readonly States: Readonly<Record<string, State>>;
}

/** A state of one of the types that the rehearsal plays. */
export interface State {
  readonly Type: string;
  readonly Next?: string;
  readonly End?: boolean;
  readonly Resource?: string;
  readonly Parameters?: unknown;
  readonly Result?: unknown;
  readonly ResultPath?: string | null;
  readonly InputPath?: string;
  readonly OutputPath?: string;
  readonly Seconds?: number;
  readonly Error?: string;
  readonly Cause?: string;
  readonly Retry?: readonly Retrier[];
  readonly Catch?: readonly Catcher[];
}

interface Retrier {
  readonly ErrorEquals: readonly string[];
  readonly IntervalSeconds?: number;
  readonly MaxAttempts?: number;
  readonly BackoffRate?: number;
  readonly MaxDelaySeconds?: number;
  readonly JitterStrategy?: "FULL" | "NONE";
}

interface Catcher {
  readonly ErrorEquals: readonly string[];
  readonly Next: string;
  readonly ResultPath?: string | null;
}

/** An error as a state machine sees it. */
export class StateError extends Error {
  constructor(
    /** What `ErrorEquals` compares, e.g. `CodeBuild.AccountLimitExceededException`. */
    readonly error: string,
    override readonly cause: string,
  ) {
    super(`${error}: ${cause}`);
    this.name = "StateError";
  }
}

/** What a running machine needs of the world. */
export interface Surroundings {
  /** Runs a task. @throws StateError */
  task(resource: string, parameters: unknown): Promise<unknown>;
  wait(seconds: number): Promise<void>;
  /** Told of each retry before its wait. */
  onRetry?(state: string, error: StateError, attempt: number, seconds: number): void;
  /** The context object, `$$`. */
  readonly context?: object;
  /** @default Math.random */
  readonly random?: () => number;
}

const COMMON = ["Type", "Comment", "InputPath", "OutputPath"];
const AFTER = ["Next", "End"];

/** Type of a state -> the fields that are played. */
const FIELDS: Readonly<Record<string, readonly string[]>> = {
  Task: [...COMMON, ...AFTER, "Resource", "Parameters", "ResultPath", "Retry", "Catch"],
  Pass: [...COMMON, ...AFTER, "Parameters", "Result", "ResultPath"],
  Wait: [...COMMON, ...AFTER, "Seconds"],
  Succeed: COMMON,
  Fail: ["Type", "Comment", "Error", "Cause"],
};
const RETRIER = [
  "ErrorEquals",
  "IntervalSeconds",
  "MaxAttempts",
  "BackoffRate",
  "MaxDelaySeconds",
  "JitterStrategy",
];
const CATCHER = ["ErrorEquals", "Next", "ResultPath", "Comment"];

/** Everything in a definition that is wrong, or that the rehearsal does not play; empty when it can be run. */
export function faultsOf(definition: Definition): string[] {
  const faults: string[] = [];
  const known = (where: string, value: object, fields: readonly string[]) => {
    for (const field of Object.keys(value)) {
      if (!fields.includes(field)) faults.push(`${where}: field is not played by the rehearsal: ${field}`);
    }
  };
  const states = definition.States ?? {};
  const exists = (where: string, name: string | undefined) => {
    if (name !== undefined && !Object.hasOwn(states, name))
      faults.push(`${where}: no state is named ${name}`);
  };
  known("machine", definition, ["Comment", "QueryLanguage", "StartAt", "States"]);
  if ((definition.QueryLanguage ?? "JSONPath") !== "JSONPath") {
    faults.push("machine: only the query language JSONPath is played by the rehearsal");
  }
  if (!definition.StartAt) faults.push("machine: StartAt is missing");
  exists("machine", definition.StartAt);
  for (const [name, state] of Object.entries(states)) {
    const fields = Object.hasOwn(FIELDS, state.Type) ? FIELDS[state.Type]! : undefined;
    if (!fields) {
      faults.push(`${name}: type is not played by the rehearsal: ${state.Type}`);
      continue;
    }
    known(name, state, fields);
    exists(name, state.Next);
    if (fields.includes("End") && (state.Next === undefined) === (state.End !== true)) {
      faults.push(`${name}: needs either Next or End`);
    }
    for (const retrier of state.Retry ?? []) known(`${name}.Retry`, retrier, RETRIER);
    for (const catcher of state.Catch ?? []) {
      known(`${name}.Catch`, catcher, CATCHER);
      exists(`${name}.Catch`, catcher.Next);
    }
    for (const list of [state.Retry ?? [], state.Catch ?? []]) faults.push(...misplacedAll(name, list));
  }
  return faults;
}

/** `States.ALL` stands alone, and last. */
function misplacedAll(state: string, list: readonly { readonly ErrorEquals: readonly string[] }[]): string[] {
  return list
    .filter(
      ({ ErrorEquals }, index) =>
        ErrorEquals.includes("States.ALL") && (ErrorEquals.length > 1 || index < list.length - 1),
    )
    .map(() => `${state}: States.ALL must stand alone and last`);
}

/**
 * Runs a state machine and returns its output.
 *
 * @see https://states-language.net/spec.html
 * @see https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
 * @throws StateError when the execution fails
 */
export async function runStates(
  definition: Definition,
  input: unknown,
  surroundings: Surroundings,
): Promise<unknown> {
  const faults = faultsOf(definition);
  if (faults.length > 0) throw new StateError("States.Runtime", faults.join("; "));
  let name: string | undefined = definition.StartAt;
  let data = input;
  while (name !== undefined) {
    const state: State = definition.States[name]!;
    const outcome: Outcome = await runState(name, state, data, surroundings);
    data = outcome.output;
    name = outcome.next;
  }
  return data;
}

interface Outcome {
  readonly output: unknown;
  readonly next: string | undefined;
}

async function runState(
  name: string,
  state: State,
  rawInput: unknown,
  surroundings: Surroundings,
): Promise<Outcome> {
  if (state.Type === "Fail") throw new StateError(state.Error ?? "", state.Cause ?? "");
  const input = runtime(() => readPath(state.InputPath ?? "$", rawInput));
  try {
    const result = await resultOf(name, state, input, surroundings);
    const merged = mergeResult(state.ResultPath, rawInput, result);
    return { output: runtime(() => readPath(state.OutputPath ?? "$", merged)), next: state.Next };
  } catch (error) {
    if (!(error instanceof StateError)) throw error;
    const catcher = state.Catch?.find(({ ErrorEquals }) => isAmong(error.error, ErrorEquals));
    if (!catcher) throw error;
    const caught = { Error: error.error, Cause: error.cause };
    return { output: mergeResult(catcher.ResultPath, rawInput, caught), next: catcher.Next };
  }
}

async function resultOf(
  name: string,
  state: State,
  input: unknown,
  surroundings: Surroundings,
): Promise<unknown> {
  const parameters =
    state.Parameters === undefined ? input : runtime(() => fill(state.Parameters, input, surroundings));
  switch (state.Type) {
    case "Task":
      return withRetries(name, state.Retry ?? [], surroundings, () =>
        surroundings.task(state.Resource!, parameters),
      );
    case "Wait":
      await surroundings.wait(state.Seconds ?? 0);
      return input;
    default:
      return state.Result ?? parameters;
  }
}

async function withRetries<T>(
  name: string,
  retriers: readonly Retrier[],
  { wait, onRetry, random = Math.random }: Surroundings,
  attempt: () => Promise<T>,
): Promise<T> {
  /** Each retrier counts its own attempts. */
  const attempts = new Map<Retrier, number>();
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof StateError)) throw error;
      const retrier = retriers.find(({ ErrorEquals }) => isAmong(error.error, ErrorEquals));
      const done = (retrier && attempts.get(retrier)) ?? 0;
      if (!retrier || done >= (retrier.MaxAttempts ?? 3)) throw error;
      const { IntervalSeconds = 1, BackoffRate = 2, MaxDelaySeconds = Number.POSITIVE_INFINITY } = retrier;
      const delay = Math.min(IntervalSeconds * BackoffRate ** done, MaxDelaySeconds);
      const seconds = retrier.JitterStrategy === "FULL" ? random() * delay : delay;
      attempts.set(retrier, done + 1);
      onRetry?.(name, error, done + 1, seconds);
      await wait(seconds);
    }
  }
}

function isAmong(error: string, names: readonly string[]): boolean {
  // Faults of the definition or its paths, and results that are too large, can be caught by no wildcard.
  const isTerminal = error === "States.Runtime" || error === "States.DataLimitExceeded";
  return names.some(
    (name) =>
      name === error ||
      (!isTerminal &&
        (name === "States.ALL" || (name === "States.TaskFailed" && error !== "States.Timeout"))),
  );
}

/** Fills in a payload template: a key that ends in `.$` has a path or an intrinsic function as its value. */
function fill(template: unknown, input: unknown, surroundings: Surroundings): unknown {
  if (Array.isArray(template)) return template.map((item) => fill(item, input, surroundings));
  if (typeof template !== "object" || template === null) return template;
  return Object.fromEntries(
    Object.entries(template).map(([key, value]) =>
      key.endsWith(".$")
        ? [key.slice(0, -2), evaluate(String(value), input, surroundings)]
        : [key, fill(value, input, surroundings)],
    ),
  );
}

function evaluate(expression: string, input: unknown, { context = {} }: Surroundings): unknown {
  const read = (path: string) => {
    const value = path.startsWith("$$") ? readPath(path.slice(1), context) : readPath(path, input);
    if (value === undefined) throw new StateError("States.ParameterPathFailure", `nothing at ${path}`);
    return value;
  };
  return expression.startsWith("$") ? read(expression) : evaluateIntrinsic(expression, read);
}

function mergeResult(path: string | null | undefined, input: unknown, result: unknown): unknown {
  if (path === null) return input;
  return runtime(() => writePath(path ?? "$", input, result));
}

/** Whatever goes wrong in paths and templates is the execution's failure, with the reason in it. */
function runtime<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof StateError) throw error;
    throw new StateError("States.Runtime", (error as Error).message);
  }
}
