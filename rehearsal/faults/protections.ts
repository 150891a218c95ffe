import type { Resources } from "../stack";

/** Something of the product that stands between a fault and a loss. */
export interface Protection {
  readonly name: string;
  /** Takes it out of what was synthesised, and nothing else. */
  takeOut(resources: Resources): void;
  /** The fault that does harm without it. */
  readonly fault: string;
  /** What that fault's run must then complain of, so that it does not fail for another reason. */
  readonly harm: RegExp;
}

/** Those of the first system whose absence a fault run shows. */
export const PROTECTIONS: readonly Protection[] = [
  {
    name: "superseded check",
    takeOut: fromBuildspec("     check_branch\n", "     :\n"),
    fault: "4a",
    harm: /was expected to end as "superseded", got: published/,
  },
  {
    name: "conditional publish",
    takeOut: fromBuildspec('[[ -z $etag ]] || condition=(--if-match "$etag")', "condition=()"),
    fault: "4b",
    harm: /was expected to end as "superseded", got: published/,
  },
  {
    name: "duplicate check: the token",
    takeOut: fromStateMachine(({ StartBuild }) => {
      delete StartBuild.Parameters["IdempotencyToken.$"];
    }),
    fault: "3a",
    harm: /one build was expected, got: 2/,
  },
  {
    name: "duplicate check: the published artifact",
    takeOut: fromBuildspec('[[ $published != "$content" ]] ||', "true ||"),
    fault: "3a",
    harm: /was expected to end as "repeated", got: published/,
  },
  {
    name: "error mapping: refused calls",
    takeOut: fromAnswers("400"),
    fault: "2a",
    harm: /was expected to end as "image only", got: Backlog gave up after 400/,
  },
  {
    name: "error mapping: events not taken",
    takeOut: fromAnswers("200"),
    fault: "2c",
    harm: /not within \d+ s: [0-9a-f]{10} ends/,
  },
  {
    name: "state machine's retry",
    takeOut: fromStateMachine(({ StartBuild }) => {
      delete StartBuild.Retry;
    }),
    fault: "1a",
    harm: /was expected to end as "image only", got: BuildNotStarted/,
  },
  {
    name: "dead letter: the state machine's",
    takeOut: fromStateMachine((states) => {
      delete states.StartBuild.Catch;
      // Nothing leads to them any more.
      delete states.DeadLetter;
      delete states.NotStarted;
    }),
    fault: "1b",
    harm: /not within \d+ s: [0-9a-f]{10} ends/,
  },
  {
    name: "dead letter: the push rule's",
    takeOut: fromTarget("trigger"),
    fault: "14b",
    harm: /not within \d+ s: [0-9a-f]{10} ends/,
  },
  {
    name: "dead letter: the artifact rule's",
    takeOut: fromTarget("pipeline"),
    fault: "10c",
    harm: /not within \d+ s: the alarm artifact-dead-letters fires/,
  },
  {
    name: "host key pinning",
    takeOut: fromBuildspec("StrictHostKeyChecking $strict", "StrictHostKeyChecking no"),
    fault: "6c",
    harm: /was expected to end as "build failed", got: image only/,
  },
  {
    name: "rollback events",
    takeOut: ({ aws_codedeploy_deployment_group }) => {
      onlyOne(aws_codedeploy_deployment_group).auto_rollback_configuration = { enabled: false };
    },
    fault: "8a",
    harm: /not within \d+ s: a rollback has succeeded/,
  },
];

type Resource = Resources[string][string];

function fromBuildspec(text: string, instead: string): Protection["takeOut"] {
  return ({ aws_codebuild_project }) => {
    const { source } = onlyOne(aws_codebuild_project);
    const parts: string[] = source.buildspec.split(text);
    if (parts.length !== 2) {
      throw new Error(`the buildspec was expected to have once, got ${parts.length - 1} times: ${text}`);
    }
    source.buildspec = parts.join(instead);
  };
}

// biome-ignore lint/suspicious/noExplicitAny: the states of a definition, each of its own form
function fromStateMachine(change: (states: Record<string, any>) => void): Protection["takeOut"] {
  return ({ aws_sfn_state_machine }) => {
    const machine = onlyOne(aws_sfn_state_machine);
    const definition = JSON.parse(machine.definition);
    change(definition.States);
    machine.definition = JSON.stringify(definition);
  };
}

/** The template of an answer sets no status any more. */
function fromAnswers(status: string): Protection["takeOut"] {
  return ({ aws_api_gateway_integration_response, aws_api_gateway_deployment }) => {
    const answer = named(`webhook_maps_${status}_`, aws_api_gateway_integration_response);
    answer.response_templates["application/json"] = '{"requestId":"$context.requestId"}';
    // A stage serves what its deployment copied.
    onlyOne(aws_api_gateway_deployment).triggers.answers += ` without ${status}`;
  };
}

function fromTarget(owner: string): Protection["takeOut"] {
  return ({ aws_cloudwatch_event_target }) => {
    delete named(`${owner}_target_`, aws_cloudwatch_event_target).dead_letter_config;
  };
}

function named(prefix: string, resources: Resources[string] = {}): Resource {
  const ids = Object.keys(resources).filter((id) => id.startsWith(prefix));
  return onlyOne(Object.fromEntries(ids.map((id) => [id, resources[id]!])));
}

function onlyOne(resources: Resources[string] = {}): Resource {
  const [one, ...others] = Object.values(resources);
  if (!one || others.length > 0) throw new Error(`one resource was expected, got: ${others.length + 1}`);
  return one;
}
