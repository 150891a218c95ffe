import { AwsError, type AwsResponse } from "../aws/local-aws";
import { expect, type Fault } from "./fault";

interface Refusal {
  readonly id: string;
  readonly name: string;
  /** Kind of delivery that calls this action. */
  readonly delivery: NonNullable<Fault["delivery"]>;
  /** What the action answers; an error is thrown. */
  readonly answer: AwsError | Record<string, unknown>;
}

const THROTTLED = new AwsError("ThrottlingException", "Rate exceeded");

const REFUSALS: readonly Refusal[] = [
  { id: "2a", name: "PutEvents is throttled", delivery: "bus", answer: THROTTLED },
  {
    id: "2b",
    name: "PutEvents fails with 500",
    delivery: "bus",
    answer: new AwsError("InternalException", "This exception occurs due to unexpected causes", 500),
  },
  {
    id: "2c",
    name: "PutEvents answers 200, but did not take the event",
    delivery: "bus",
    answer: {
      FailedEntryCount: 1,
      Entries: [{ ErrorCode: "InternalFailure", ErrorMessage: "Unable to process the entry" }],
    },
  },
  { id: "2d", name: "StartBuild is throttled", delivery: "direct", answer: THROTTLED },
  {
    id: "2e",
    name: "all builds of the account are taken",
    delivery: "direct",
    answer: new AwsError(
      "AccountLimitExceededException",
      "Cannot have more than 10 builds in queue for the account",
    ),
  },
];

/** The AWS service behind the webhook does not take a push: Backlog must be told so, and send it again. */
export const WEBHOOK_REFUSED: readonly Fault[] = REFUSALS.map(({ answer, ...refusal }) => ({
  ...refusal,
  guards: "the mapping of errors to 503",
  async play(scene) {
    let refused = 0;
    const [service, action] =
      refusal.delivery === "bus" ? ["events", "PutEvents"] : ["codebuild", "StartBuild"];
    scene.restoring(
      scene.cloud.aws.intercept(
        service!,
        action!,
        async (_request, next): Promise<AwsResponse | Record<string, unknown>> => {
          if (refused === 2) return next();
          refused += 1;
          if (answer instanceof AwsError) throw answer;
          return answer;
        },
      ),
    );
    const push = await scene.push(scene.sideBranch());
    await scene.endsAs("image only", push);
    const answers = scene.answersTo(push);
    expect(
      answers.join() === "503,503,200",
      `Backlog was expected to get 503, 503, 200, got: ${answers.join(", ")}`,
    );
    expect(scene.buildsOf(push) === 1, `one build was expected, got: ${scene.buildsOf(push)}`);
    return "Backlog got 503 twice, sent it again; one build";
  },
}));
