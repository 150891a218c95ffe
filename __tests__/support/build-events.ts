import { type EventPattern, matchesPattern } from "../../rehearsal/data-plane/event-pattern";
import { type InputTransformer, transformInput } from "../../rehearsal/data-plane/input-transformer";
import type { Json, Synthesised } from "./stack";

export const COMMIT = "dfac5de786839179987b7f7207e54936048b41ce";
export const BEFORE = "cd33ef0e846548e02cb2ba1e737c401da3f09235";
export const ZEROS = "0".repeat(40);

/** An event of the bus, as the webhook sends it for the shipped configuration. */
export function pushEvent(detail: Record<string, unknown> = {}): Json {
  return {
    source: "backlog.git",
    "detail-type": "Backlog Git Push",
    detail: {
      space: "example",
      project: "PROJ",
      repository: "app",
      ref: "refs/heads/main",
      before: BEFORE,
      after: COMMIT,
      ...detail,
    },
  };
}

/** Whether an event starts a build. */
export function isBuilt(stack: Synthesised, event: Json): boolean {
  const pattern: EventPattern = JSON.parse(
    stack.one("aws_cloudwatch_event_rule", "trigger/rule").event_pattern,
  );
  return matchesPattern(pattern, event);
}

/** What the state machine gets of an event. */
export function machineInput(stack: Synthesised, event: Json): Json {
  const { input_paths, input_template } = stack.one(
    "aws_cloudwatch_event_target",
    "trigger/target",
  ).input_transformer;
  const transformer: InputTransformer = { InputPathsMap: input_paths, InputTemplate: input_template };
  return JSON.parse(transformInput(transformer, event, { name: "rule", arn: "arn" }));
}
