import { ListStateMachinesCommand, SFNClient, StartExecutionCommand } from "@aws-sdk/client-sfn";
import {
  DeleteMessageCommand,
  GetQueueUrlCommand,
  ReceiveMessageCommand,
  SQSClient,
} from "@aws-sdk/client-sqs";
import type { Scene } from "./scene";

/** A message of a dead-letter queue. */
export interface DeadLetter {
  readonly queueUrl: string;
  readonly receipt: string;
  // biome-ignore lint/suspicious/noExplicitAny: the state machine's input, or an event
  readonly body: any;
}

/** Receives what a dead-letter queue holds: `push-dead-letters` or `artifact-dead-letters`. */
export async function deadLetters(scene: Scene, queue: string): Promise<DeadLetter[]> {
  const sqs = new SQSClient(scene.cloud.aws.clientConfig());
  const QueueName = `${scene.prefix}-${queue}`;
  const { QueueUrl = "" } = await sqs.send(new GetQueueUrlCommand({ QueueName }));
  const { Messages = [] } = await sqs.send(
    new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 10, VisibilityTimeout: 0 }),
  );
  return Messages.map(({ Body = "", ReceiptHandle = "" }) => ({
    queueUrl: QueueUrl,
    receipt: ReceiptHandle,
    body: JSON.parse(Body),
  }));
}

/** Takes a dead letter out of its queue. */
export async function discard(scene: Scene, { queueUrl, receipt }: DeadLetter): Promise<void> {
  const sqs = new SQSClient(scene.cloud.aws.clientConfig());
  await sqs.send(new DeleteMessageCommand({ QueueUrl: queueUrl, ReceiptHandle: receipt }));
}

/** What the README tells people to do with a push's dead letter: the state machine once more, with its push. */
export async function startAgain(scene: Scene, letter: DeadLetter): Promise<void> {
  const { ref, before, after } = letter.body.detail ?? letter.body;
  const states = new SFNClient(scene.cloud.aws.clientConfig());
  const { stateMachines = [] } = await states.send(new ListStateMachinesCommand({}));
  const machine = stateMachines.find(({ name }) => name === `${scene.prefix}-start-build`);
  await states.send(
    new StartExecutionCommand({
      stateMachineArn: machine?.stateMachineArn,
      input: JSON.stringify({ ref, before, after }),
    }),
  );
  await discard(scene, letter);
}
