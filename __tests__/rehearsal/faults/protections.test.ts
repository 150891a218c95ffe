import { FAULTS } from "../../../rehearsal/faults/catalogue";
import { PROTECTIONS } from "../../../rehearsal/faults/protections";
import type { Resources } from "../../../rehearsal/stack";
import { synthesise } from "../../support/stack";

const { resource } = synthesise().json as { resource: Resources };

/** What differs between the shipped resources and those without a protection, as `type.argument`. */
function changedBy(name: string): string[] {
  const without = structuredClone(resource);
  PROTECTIONS.find((one) => one.name === name)!.takeOut(without);
  return Object.entries(resource).flatMap(([type, shipped]) =>
    Object.entries(shipped).flatMap(([id, block]) => {
      const other = without[type]![id];
      return Object.keys(block)
        .filter((argument) => JSON.stringify(block[argument]) !== JSON.stringify(other[argument]))
        .map((argument) => `${type}.${argument}`);
    }),
  );
}

const BUILD = ["aws_codebuild_project.source"];
const MACHINE = ["aws_sfn_state_machine.definition"];
const ANSWERS = [
  "aws_api_gateway_deployment.triggers",
  "aws_api_gateway_integration_response.response_templates",
];
const TARGET = ["aws_cloudwatch_event_target.dead_letter_config"];

describe("PROTECTIONS", () => {
  test.each([
    ["superseded check", BUILD],
    ["conditional publish", BUILD],
    ["duplicate check: the token", MACHINE],
    ["duplicate check: the published artifact", BUILD],
    ["error mapping: refused calls", ANSWERS],
    ["error mapping: events not taken", ANSWERS],
    ["state machine's retry", MACHINE],
    ["dead letter: the state machine's", MACHINE],
    ["dead letter: the push rule's", TARGET],
    ["dead letter: the artifact rule's", TARGET],
    ["host key pinning", BUILD],
    ["rollback events", ["aws_codedeploy_deployment_group.auto_rollback_configuration"]],
  ])("%s is taken out of what is shipped, and nothing else", (name, changed) => {
    expect(changedBy(name).sort()).toEqual(changed);
  });

  test("are all named above", () => {
    expect(PROTECTIONS).toHaveLength(12);
  });

  test.each(PROTECTIONS.map(({ name, fault }) => [name, fault]))("%s has the fault %s", (_name, id) => {
    expect(FAULTS.map((fault) => fault.id)).toContain(id);
  });

  test("is not there to be taken out of a stack of another form", () => {
    const [check] = PROTECTIONS;
    const stranger = structuredClone(resource);
    for (const project of Object.values(stranger.aws_codebuild_project!))
      project.source.buildspec = "version: 0.2";
    expect(() => check!.takeOut(stranger)).toThrow(/expected to have once, got 0 times: +check_branch/);
  });
});
