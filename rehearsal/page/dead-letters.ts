import { CodePipelineClient, StartPipelineExecutionCommand } from "@aws-sdk/client-codepipeline";
import { SFNClient, StartExecutionCommand } from "@aws-sdk/client-sfn";
import {
  DeleteMessageCommand,
  ListQueuesCommand,
  type Message,
  ReceiveMessageCommand,
  SQSClient,
} from "@aws-sdk/client-sqs";
import type { LocalAws } from "../aws/local-aws";
import { Sequence } from "../data-plane/pace";
import type { DeadLetter } from "./state";

/** What a message asks for once more. */
type Remedy =
  | { readonly kind: "build"; readonly input: string; readonly about: string }
  | { readonly kind: "pipeline"; readonly about: string };

/** SQS hands out ten messages a call. */
const BATCH = 10;

/** Calls for one look: enough for what one run leaves behind, and an end when a queue keeps answering. */
const MOST_CALLS = 20;

/** The dead letters of a deployed stack, and the way back for each. A person looks, so the administrator does. */
export class DeadLetters {
  private readonly sqs: SQSClient;
  private readonly states: SFNClient;
  private readonly pipelines: CodePipelineClient;
  private readonly replays = new Sequence();

  constructor(
    private readonly aws: LocalAws,
    /** Prefix of every name of the stack. */
    private readonly prefix: string,
  ) {
    this.sqs = new SQSClient(aws.clientConfig());
    this.states = new SFNClient(aws.clientConfig());
    this.pipelines = new CodePipelineClient(aws.clientConfig());
  }

  /** Every message that waits, the oldest first; they stay where they are. */
  async list(): Promise<DeadLetter[]> {
    const { QueueUrls = [] } = await this.sqs.send(
      new ListQueuesCommand({ QueueNamePrefix: `${this.prefix}-` }),
    );
    const urls = QueueUrls.filter((url) => url.endsWith("-dead-letters"));
    const found = await Promise.all(
      urls.map(async (url) =>
        [...(await this.messages(url)).values()].map((message) => describe(nameOf(url), message)),
      ),
    );
    return found.flat().sort((a, b) => a.at - b.at);
  }

  /**
   * Starts once more what a message says could not be started, then deletes the message: should the second fail, the
   * push is built twice, which changes nothing, and never not at all.
   * @throws Error when the message is gone or cannot be understood, or when it cannot be started now either
   */
  replay({ queue, id }: { queue: string; id: string }): Promise<void> {
    return this.replays.run(async () => {
      const { QueueUrls = [] } = await this.sqs.send(
        new ListQueuesCommand({ QueueNamePrefix: `${this.prefix}-` }),
      );
      const url = QueueUrls.find((one) => nameOf(one) === queue && queue.endsWith("-dead-letters"));
      if (url === undefined) throw new Error("there is no such queue any more");
      const message = (await this.messages(url)).get(id);
      if (!message) throw new Error("the message is not in the queue any more");
      const remedy = remedyOf(message.Body ?? "");
      if (!remedy) throw new Error("the message is neither a push nor an artifact's event");
      await this.start(remedy);
      await this.sqs.send(new DeleteMessageCommand({ QueueUrl: url, ReceiptHandle: message.ReceiptHandle }));
    });
  }

  close(): void {
    for (const client of [this.sqs, this.states, this.pipelines]) client.destroy();
  }

  private async start(remedy: Remedy): Promise<void> {
    if (remedy.kind === "pipeline") {
      await this.pipelines.send(new StartPipelineExecutionCommand({ name: this.prefix }));
      return;
    }
    const { region, accountId } = this.aws;
    const stateMachineArn = `arn:aws:states:${region}:${accountId}:stateMachine:${this.prefix}-start-build`;
    await this.states.send(new StartExecutionCommand({ stateMachineArn, input: remedy.input }));
  }

  /** Messages by id. Nobody is kept from seeing them meanwhile. */
  private async messages(url: string): Promise<Map<string, Message>> {
    const found = new Map<string, Message>();
    for (let call = 0; call < MOST_CALLS; call += 1) {
      const { Messages = [] } = await this.sqs.send(
        new ReceiveMessageCommand({
          QueueUrl: url,
          MaxNumberOfMessages: BATCH,
          VisibilityTimeout: 0,
          MessageAttributeNames: ["All"],
          MessageSystemAttributeNames: ["SentTimestamp"],
        }),
      );
      const before = found.size;
      for (const message of Messages) found.set(message.MessageId ?? "", message);
      if (Messages.length < BATCH || found.size === before) break;
    }
    return found;
  }
}

/** A message as the page shows it. */
export function describe(
  queue: string,
  { MessageId = "", Body = "", Attributes, MessageAttributes }: Message,
): DeadLetter {
  const remedy = remedyOf(Body);
  return {
    queue,
    id: MessageId,
    about: remedy?.about ?? Body,
    error: MessageAttributes?.ERROR_MESSAGE?.StringValue ?? errorIn(Body),
    at: Number(Attributes?.SentTimestamp ?? 0),
    replays: remedy ? `starts the ${remedy.kind} again` : "",
  };
}

/**
 * What a message's body asks for: the state machine's input with its error beside it, or the whole event that a rule
 * could not hand over. `undefined`: it is neither.
 */
export function remedyOf(body: string): Remedy | undefined {
  const content = objectOf(body);
  const detail =
    typeof content.detail === "object" && content.detail !== null ? (content.detail as object) : {};
  if (content["detail-type"] === "Object Created")
    return { kind: "pipeline", about: "the published artifact" };
  const { ref, before, after } = { ...content, ...detail } as Record<string, unknown>;
  if (typeof ref !== "string" || typeof before !== "string" || typeof after !== "string") return undefined;
  if (![before, after].every((commit) => /^[0-9a-f]{40}$/.test(commit))) return undefined;
  const about = `${ref.replace(/^refs\/heads\//, "")} ${after.slice(0, 10)}`;
  return { kind: "build", input: JSON.stringify({ ref, before, after }), about };
}

function errorIn(body: string): string {
  const { error } = objectOf(body) as { error?: { Error?: unknown; Cause?: unknown } };
  return [error?.Error, error?.Cause].filter((text) => typeof text === "string").join(": ");
}

function objectOf(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function nameOf(url: string): string {
  return url.split("/").at(-1) ?? "";
}
