import { randomUUID } from "node:crypto";
import { callJson, type JsonService } from "../aws/json-api";
import { type Activity, AwsError, type Credentials, type LocalAws } from "../aws/local-aws";
import { type Definition, faultsOf, runStates, StateError } from "./states-language";

/** The part of the local AWS that state machines use. */
export type StatesAws = Pick<
  LocalAws,
  "accountId" | "administrator" | "assumeRole" | "endpoint" | "handle" | "region" | "report" | "wait"
>;

interface Execution {
  readonly executionArn: string;
  readonly stateMachineArn: string;
  readonly name: string;
  readonly input: string;
  readonly startDate: number;
  readonly status: "RUNNING" | "SUCCEEDED" | "FAILED";
  readonly stopDate?: number;
  readonly output?: string;
  readonly error?: string;
  readonly cause?: string;
}

/** A service integration: which call it makes, and how its parameters and errors are spelt. */
interface Integration {
  readonly service: JsonService;
  readonly operation: string;
  /** Service as it stands before the dot of an error name. */
  readonly errors: string;
  /** Errors that the API's model names; any other has the SDK's general name. */
  readonly modelled: readonly string[];
  readonly general: string;
  /** Step Functions spells all parameters in PascalCase. */
  request(parameters: unknown): unknown;
  response(answer: unknown): unknown;
}

/** @see https://docs.aws.amazon.com/step-functions/latest/dg/integrate-optimized.html */
const INTEGRATIONS: Readonly<Record<string, Integration>> = {
  "arn:aws:states:::codebuild:startBuild": {
    service: "codebuild",
    operation: "StartBuild",
    errors: "CodeBuild",
    modelled: ["AccountLimitExceededException", "InvalidInputException", "ResourceNotFoundException"],
    general: "AWSCodeBuildException",
    request: (parameters) => renamed(parameters, (key) => key[0]!.toLowerCase() + key.slice(1)),
    response: (answer) => renamed(answer, (key) => key[0]!.toUpperCase() + key.slice(1)),
  },
  "arn:aws:states:::sqs:sendMessage": {
    service: "sqs",
    operation: "SendMessage",
    errors: "SQS",
    modelled: [],
    general: "AmazonSQSException",
    request: (parameters) => {
      const { MessageBody, ...others } = parameters as { MessageBody: unknown };
      return {
        ...others,
        MessageBody: typeof MessageBody === "string" ? MessageBody : JSON.stringify(MessageBody),
      };
    },
    response: (answer) => answer,
  },
};

/**
 * Plays Step Functions: runs Standard state machines as they are deployed, each task as the machine's role.
 *
 * Left out: Express machines, the history of events, redrive, versions and aliases, time-outs.
 *
 * @see https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
 */
export function playStateMachines(aws: StatesAws): void {
  const executions = new Map<string, Execution>();

  // Terraform asks before it plans: what cannot be played is refused there, not in the middle of a push.
  aws.handle("states", "ValidateStateMachineDefinition", async ({ parameters }) => {
    const diagnostics = faultsIn(parameters.definition).map((message) => ({
      severity: "ERROR",
      code: "SCHEMA_VALIDATION_FAILED",
      message,
    }));
    return { result: diagnostics.length > 0 ? "FAIL" : "OK", diagnostics, truncated: false };
  });

  aws.handle("states", "StartExecution", async ({ parameters }) => {
    const { stateMachineArn, name = randomUUID(), input = "{}" } = parameters;
    // Asked first, so that a machine that is not there is an answer to the caller.
    const machine = await callJson(aws, aws.administrator, "states", "DescribeStateMachine", {
      stateMachineArn,
    });
    const executionArn = `${stateMachineArn.replace(":stateMachine:", ":execution:")}:${name}`;
    const earlier = executions.get(executionArn);
    if (earlier) {
      const isSame = earlier.input === input && earlier.status === "RUNNING";
      if (isSame) return { executionArn, startDate: earlier.startDate };
      throw new AwsError("ExecutionAlreadyExists", `Execution Already Exists: '${executionArn}'`);
    }
    const data = inputOf(input);
    const execution: Execution = {
      executionArn,
      stateMachineArn,
      name,
      input,
      startDate: Date.now() / 1000,
      status: "RUNNING",
    };
    executions.set(executionArn, execution);
    run(execution, machine, data).catch((error: Error) => {
      // The rehearsal is ending: nobody waits for this execution any more.
      if (error.name !== "AbortError") end(execution, data, "States.Runtime", String(error));
    });
    return { executionArn, startDate: execution.startDate };
  });

  aws.handle("states", "DescribeExecution", async ({ parameters: { executionArn } }) => {
    const execution = executions.get(executionArn);
    if (execution) return { ...execution };
    throw new AwsError("ExecutionDoesNotExist", `Execution Does Not Exist: '${executionArn}'`);
  });

  aws.handle("states", "ListExecutions", async ({ parameters: { stateMachineArn, statusFilter } }) => ({
    executions: [...executions.values()]
      .filter(
        (execution) =>
          execution.stateMachineArn === stateMachineArn &&
          (statusFilter === undefined || execution.status === statusFilter),
      )
      .map(({ executionArn, name, status, startDate, stopDate }) => ({
        executionArn,
        stateMachineArn,
        name,
        status,
        startDate,
        ...(stopDate === undefined ? {} : { stopDate }),
      }))
      // The newest comes first.
      .reverse(),
  }));

  async function run(
    execution: Execution,
    machine: { definition: string; roleArn: string; name: string },
    data: unknown,
  ): Promise<void> {
    const report = (state: Activity["state"], detail: string) =>
      aws.report({ ...pushOf(data), stage: "queued", state, detail });
    report("started", `state machine ${machine.name} has it`);
    try {
      const output = await runStates(JSON.parse(machine.definition), data, {
        task: (resource, parameters) => taskAs(execution, machine.roleArn, resource, parameters),
        wait: aws.wait,
        onRetry: (state, error, attempt, seconds) =>
          report("waiting", `${state}: ${error.cause}; retry ${attempt} in ${Math.round(seconds)} s`),
        context: {
          Execution: {
            Id: execution.executionArn,
            Input: data,
            Name: execution.name,
            RoleArn: machine.roleArn,
            StartTime: new Date(execution.startDate * 1000).toISOString(),
          },
          StateMachine: { Id: execution.stateMachineArn, Name: machine.name },
        },
      });
      executions.set(execution.executionArn, {
        ...execution,
        status: "SUCCEEDED",
        stopDate: Date.now() / 1000,
        output: JSON.stringify(output),
      });
      report("succeeded", `state machine ${machine.name} ended well`);
    } catch (error) {
      if (!(error instanceof StateError)) throw error;
      end(execution, data, error.error, error.cause);
    }
  }

  function end(execution: Execution, data: unknown, error: string, cause: string): void {
    executions.set(execution.executionArn, {
      ...execution,
      status: "FAILED",
      stopDate: Date.now() / 1000,
      error,
      cause,
    });
    aws.report({ ...pushOf(data), stage: "queued", state: "failed", detail: `${error}: ${cause}` });
  }

  async function taskAs(
    execution: Execution,
    roleArn: string,
    resource: string,
    parameters: unknown,
  ): Promise<unknown> {
    const integration = INTEGRATIONS[resource]!;
    try {
      const role: Credentials = await aws.assumeRole(roleArn, "states.amazonaws.com", {
        arn: execution.stateMachineArn,
        account: aws.accountId,
      });
      const { service, operation, request, response } = integration;
      return response(await callJson(aws, role, service, operation, request(parameters)));
    } catch (error) {
      throw error instanceof AwsError ? stateError(integration, error) : error;
    }
  }
}

/** The name and text that Step Functions gives to an error of a service. */
function stateError({ errors, modelled, general }: Integration, error: AwsError): StateError {
  const name = modelled.includes(error.code) ? error.code : general;
  return new StateError(
    `${errors}.${name}`,
    `${error.message} (Service: ${errors}; Status Code: ${error.status}; Error Code: ${error.code})`,
  );
}

function faultsIn(definition: string): string[] {
  try {
    const parsed: Definition = JSON.parse(definition);
    const unknownTasks = Object.entries(parsed.States ?? {})
      .filter(([, state]) => state.Type === "Task" && !Object.hasOwn(INTEGRATIONS, state.Resource ?? ""))
      .map(([name, state]) => `${name}: resource is not played by the rehearsal: ${state.Resource}`);
    return [...faultsOf(parsed), ...unknownTasks];
  } catch (error) {
    return [`the definition is not valid JSON: ${(error as Error).message}`];
  }
}

function inputOf(input: string): unknown {
  try {
    return JSON.parse(input);
  } catch {
    throw new AwsError("InvalidExecutionInput", "Invalid State Machine Execution Input: not valid JSON");
  }
}

/** The push that an execution is about, when its input says so. */
function pushOf(data: unknown): Partial<Pick<Activity, "commit" | "ref">> {
  const { ref, after } = (typeof data === "object" && data !== null ? data : {}) as Record<string, unknown>;
  return {
    ...(typeof ref === "string" ? { ref } : {}),
    ...(typeof after === "string" ? { commit: after } : {}),
  };
}

function renamed(value: unknown, rename: (key: string) => string): unknown {
  if (Array.isArray(value)) return value.map((item) => renamed(item, rename));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [rename(key), renamed(inner, rename)]),
  );
}
