/**
 * A build's log: lines in a file and, in the role's name, in CloudWatch Logs as the project's `logsConfig` says.
 *
 * @see https://docs.aws.amazon.com/codebuild/latest/APIReference/API_CloudWatchLogsConfig.html
 */

import { createWriteStream, type WriteStream } from "node:fs";
import { finished } from "node:stream/promises";
import {
  CloudWatchLogsClient,
  CreateLogGroupCommand,
  CreateLogStreamCommand,
  type InputLogEvent,
  PutLogEventsCommand,
} from "@aws-sdk/client-cloudwatch-logs";
import type { Credentials, LocalAws } from "../aws/local-aws";
import { Sequence } from "./pace";

/** Events of one PutLogEvents call; AWS takes 10,000 and 1 MB. */
const BATCH = 500;

export interface LogDestination {
  readonly groupName: string;
  readonly streamName: string;
}

/** Takes a build's output in pieces and writes it away line by line. */
export class BuildLog {
  private readonly out: WriteStream;
  private readonly sending = new Sequence();
  private client: CloudWatchLogsClient | undefined;
  private waiting: InputLogEvent[] = [];
  private refused: unknown;
  private rest = "";

  constructor(
    file: string,
    private readonly onLine: (line: string) => void,
  ) {
    this.out = createWriteStream(file, { mode: 0o600 });
  }

  /**
   * Sends the lines to CloudWatch Logs too, the first at once.
   * @throws Error when the role may not write there
   */
  async connect(aws: LocalAws, credentials: Credentials, destination: LogDestination): Promise<void> {
    const client = new CloudWatchLogsClient(aws.clientConfig(credentials));
    const stream = { logGroupName: destination.groupName, logStreamName: destination.streamName };
    const create = () => client.send(new CreateLogStreamCommand(stream));
    try {
      await create().catch(async (error: Error) => {
        if (error.name !== "ResourceNotFoundException") throw error;
        await client.send(new CreateLogGroupCommand({ logGroupName: stream.logGroupName }));
        await create();
      });
      const now = [{ timestamp: Date.now(), message: "[Container] Waiting for agent ping\n" }];
      await client.send(new PutLogEventsCommand({ ...stream, logEvents: now }));
    } catch (error) {
      client.destroy();
      throw error;
    }
    this.client = client;
    this.send = async () => {
      while (this.waiting.length > 0) {
        const logEvents = this.waiting.splice(0, BATCH);
        await client.send(new PutLogEventsCommand({ ...stream, logEvents })).catch((error: unknown) => {
          this.refused ??= error;
        });
      }
    };
  }

  /** A line of CodeBuild's own. */
  say(line: string): void {
    const stamp = new Date().toISOString().replace("T", " ").replace("Z", "").replaceAll("-", "/");
    this.write(`${this.rest === "" ? "" : "\n"}[Container] ${stamp} ${line}\n`);
  }

  /** Output of the commands, already free of secrets. */
  write(text: string): void {
    const lines = (this.rest + text).split("\n");
    this.rest = lines.pop() ?? "";
    for (const line of lines) this.line(line);
  }

  /**
   * Writes what is left.
   * @throws Error when CloudWatch Logs refused lines
   */
  async close(): Promise<void> {
    if (this.rest !== "") this.write("\n");
    this.out.end();
    await finished(this.out);
    await this.sending.run(() => this.send());
    this.client?.destroy();
    if (this.refused) throw this.refused;
  }

  private line(line: string): void {
    this.out.write(`${line}\n`);
    this.onLine(line);
    if (!this.client) return;
    // CloudWatch Logs takes no empty message, so each keeps its line end.
    this.waiting.push({ timestamp: Date.now(), message: `${line}\n` });
    if (this.waiting.length === 1) void this.sending.run(() => this.send());
  }

  private send: () => Promise<void> = async () => {};
}
