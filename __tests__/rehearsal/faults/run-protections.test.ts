import type { Fault } from "../../../rehearsal/faults/fault";
import type { Protection } from "../../../rehearsal/faults/protections";
import { runProtections } from "../../../rehearsal/faults/run-protections";
import type { SceneDeps } from "../../../rehearsal/faults/scene";
import type { Resources } from "../../../rehearsal/stack";
import { Timeline } from "../../../rehearsal/timeline";

const PROTECTION: Protection = {
  name: "the check",
  takeOut: (resources) => {
    delete resources.check;
  },
  fault: "1",
  harm: /two builds/,
};

async function runWith(play: (deployed: Resources) => string) {
  let deployed: Resources = {};
  const stack = {
    apply: async (change: (resources: Resources) => void = () => {}) => {
      deployed = { check: {} };
      change(deployed);
    },
  };
  const deps = {
    cloud: { backlog: { deliveries: [] } },
    timeline: new Timeline(),
    signal: new AbortController().signal,
  } as unknown as SceneDeps;
  const fault: Fault = { id: "1", name: "twice", guards: "the check", play: async () => play(deployed) };
  const said: string[] = [];
  const wrong = await runProtections([PROTECTION], [fault], stack, deps, (line) => said.push(line));
  return { wrong, said: said.join("\n"), deployed };
}

describe("runProtections", () => {
  test("is content when the fault does the harm that the protection keeps away", async () => {
    const { wrong, said } = await runWith(({ check }) => {
      if (!check) throw new Error("one build was expected, got: two builds");
      return "well";
    });
    expect(wrong).toEqual([]);
    expect(said).toMatch(/the check +1 +one build was expected, got: two builds/);
  });

  test("complains when nothing happens without the protection", async () => {
    const { wrong, said } = await runWith(() => "well");
    expect(wrong).toEqual(["without the check fault 1 was expected to fail with /two builds/, got: nothing"]);
    expect(said).toMatch(/the check +1 +FAULT: nothing happened/);
  });

  test("complains when the fault fails for another reason", async () => {
    const { wrong } = await runWith(() => {
      throw new Error("the network is down");
    });
    expect(wrong).toEqual([expect.stringMatching(/got: the network is down$/)]);
  });

  test("deploys what is shipped at the end", async () => {
    expect((await runWith(() => "well")).deployed).toEqual({ check: {} });
  });
});
