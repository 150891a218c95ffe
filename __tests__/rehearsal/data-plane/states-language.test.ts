import {
  type Definition,
  faultsOf,
  runStates,
  type State,
  StateError,
  type Surroundings,
} from "../../../rehearsal/data-plane/states-language";

const machine = (States: Record<string, State>): Definition => ({ StartAt: Object.keys(States)[0]!, States });
const task = (more: Partial<State> = {}): State => ({ Type: "Task", Resource: "r", End: true, ...more });

/** Surroundings whose task fails with each of the errors in turn, then gives `ok`; waits are recorded. */
function surroundings(...errors: string[]) {
  const waits: number[] = [];
  const calls: unknown[] = [];
  const world: Surroundings = {
    task: async (_resource, parameters) => {
      calls.push(parameters);
      const error = errors.shift();
      if (error) throw new StateError(error, "why");
      return "ok";
    },
    wait: async (seconds) => {
      waits.push(seconds);
    },
    context: { Execution: { Name: "n" } },
    random: () => 0.5,
  };
  return { world, waits, calls };
}

describe("runStates", () => {
  test("fills in parameters by path, context and intrinsic function", async () => {
    const { world, calls } = surroundings();
    const Parameters = {
      Plain: "$.ref",
      "Ref.$": "$.ref",
      "Name.$": "$$.Execution.Name",
      List: [{ "Value.$": "States.Format('{}-{}', $.ref, $.n)" }],
    };
    await runStates(machine({ T: task({ Parameters }) }), { ref: "main", n: 1 }, world);
    expect(calls).toEqual([{ Plain: "$.ref", Ref: "main", Name: "n", List: [{ Value: "main-1" }] }]);
  });

  test("backs off between retries up to the longest delay, then gives up", async () => {
    const Retry = [
      {
        ErrorEquals: ["States.TaskFailed"],
        IntervalSeconds: 10,
        BackoffRate: 3,
        MaxAttempts: 4,
        MaxDelaySeconds: 100,
      },
    ];
    const { world, waits, calls } = surroundings("E", "E", "E", "E", "E");
    await expect(runStates(machine({ T: task({ Retry }) }), {}, world)).rejects.toMatchObject({ error: "E" });
    expect(waits).toEqual([10, 30, 90, 100]);
    expect(calls).toHaveLength(5);
  });

  test("waits a random part of the delay with full jitter", async () => {
    const Retry = [{ ErrorEquals: ["States.ALL"], IntervalSeconds: 10, JitterStrategy: "FULL" as const }];
    const { world, waits } = surroundings("E");
    await runStates(machine({ T: task({ Retry }) }), {}, world);
    expect(waits).toEqual([5]);
  });

  test("counts the attempts of each retrier by itself, and has AWS's defaults", async () => {
    const Retry = [{ ErrorEquals: ["A"], MaxAttempts: 1 }, { ErrorEquals: ["B"] }];
    const { world, waits } = surroundings("A", "B", "B");
    await expect(runStates(machine({ T: task({ Retry }) }), {}, world)).resolves.toBe("ok");
    expect(waits).toEqual([1, 1, 2]);
  });

  test("tells of each retry before it waits", async () => {
    const { world } = surroundings("E");
    const onRetry = jest.fn();
    const Retry = [{ ErrorEquals: ["E"], IntervalSeconds: 20 }];
    await runStates(machine({ T: task({ Retry }) }), {}, { ...world, onRetry });
    expect(onRetry).toHaveBeenCalledWith("T", expect.objectContaining({ error: "E" }), 1, 20);
  });

  test.each([
    ["A", ["A"], true],
    ["A", ["B", "A"], true],
    ["A", ["B"], false],
    ["A", ["States.ALL"], true],
    ["A", ["States.TaskFailed"], true],
    ["States.Timeout", ["States.TaskFailed"], false],
    ["States.Timeout", ["States.ALL"], true],
    ["States.Runtime", ["States.ALL"], false],
    ["States.DataLimitExceeded", ["States.TaskFailed"], false],
  ])("error %s against %j: caught %s", async (error, ErrorEquals, isCaught) => {
    const States = {
      T: task({ Catch: [{ ErrorEquals, Next: "Caught" }] }),
      Caught: { Type: "Pass", End: true },
    };
    const run = runStates(machine(States), {}, surroundings(error).world);
    if (isCaught) await expect(run).resolves.toEqual({ Error: error, Cause: "why" });
    else await expect(run).rejects.toMatchObject({ error });
  });

  test("puts what was caught where ResultPath says, beside the input", async () => {
    const States = {
      T: task({ Catch: [{ ErrorEquals: ["States.ALL"], ResultPath: "$.error", Next: "Caught" }] }),
      Caught: { Type: "Pass", End: true },
    };
    await expect(runStates(machine(States), { ref: "main" }, surroundings("E").world)).resolves.toEqual({
      ref: "main",
      error: { Error: "E", Cause: "why" },
    });
  });

  test("throws the result away with a ResultPath of null", async () => {
    const run = runStates(machine({ T: task({ ResultPath: null }) }), { a: 1 }, surroundings().world);
    await expect(run).resolves.toEqual({ a: 1 });
  });

  test("ends with the error of a Fail state", async () => {
    const States = { F: { Type: "Fail", Error: "Dead", Cause: "see the queue" } };
    await expect(runStates(machine(States), {}, surroundings().world)).rejects.toMatchObject({
      error: "Dead",
      cause: "see the queue",
    });
  });

  test("fails, with the path in its cause, when the input has nothing there", async () => {
    const States = { T: task({ Parameters: { "A.$": "$.none" } }) };
    await expect(runStates(machine(States), {}, surroundings().world)).rejects.toMatchObject({
      error: "States.ParameterPathFailure",
      cause: "nothing at $.none",
    });
  });

  test("fails at once on what it does not play, and nothing catches that", async () => {
    const States = { C: { Type: "Choice", Choices: [] } as State };
    await expect(runStates(machine(States), {}, surroundings().world)).rejects.toMatchObject({
      error: "States.Runtime",
      cause: "C: type is not played by the rehearsal: Choice",
    });
  });
});

describe("faultsOf", () => {
  test("finds none in a machine with retry, catch and dead letter", () => {
    const States = {
      T: task({
        Retry: [{ ErrorEquals: ["States.ALL"] }],
        Catch: [{ ErrorEquals: ["States.ALL"], Next: "D" }],
      }),
      D: task({ Resource: "q" }),
    };
    expect(faultsOf(machine(States))).toEqual([]);
  });

  test.each([
    [{ T: task({ End: false }) }, "T: needs either Next or End"],
    [{ T: task({ Next: "T" }) }, "T: needs either Next or End"],
    [{ T: { ...task(), End: false, Next: "None" } }, "T: no state is named None"],
    [{ T: task({ Catch: [{ ErrorEquals: ["E"], Next: "None" }] }) }, "T.Catch: no state is named None"],
    [
      { T: { ...task(), TimeoutSeconds: 1 } as State },
      "T: field is not played by the rehearsal: TimeoutSeconds",
    ],
    [
      { T: task({ Retry: [{ ErrorEquals: ["States.ALL"] }, { ErrorEquals: ["E"] }] }) },
      "T: States.ALL must stand alone and last",
    ],
    [
      { T: task({ Retry: [{ ErrorEquals: ["States.ALL", "E"] }] }) },
      "T: States.ALL must stand alone and last",
    ],
  ])("finds the fault of %j", (States: Record<string, State>, fault) => {
    expect(faultsOf(machine(States))).toContain(fault);
  });

  test("finds a start that is not there, and another query language", () => {
    expect(faultsOf({ StartAt: "X", States: {} })).toContain("machine: no state is named X");
    const jsonata = { ...machine({ T: task() }), QueryLanguage: "JSONata" } as unknown as Definition;
    expect(faultsOf(jsonata)).toContain(
      "machine: only the query language JSONPath is played by the rehearsal",
    );
  });
});
