import { CloudWatchLogsClient, FilterLogEventsCommand } from "@aws-sdk/client-cloudwatch-logs";
import type { LocalAws } from "../aws/local-aws";

/** The lines that were written to a log group since a moment (milliseconds since the epoch), as CloudWatch has them. */
export async function buildLog(
  aws: Pick<LocalAws, "clientConfig">,
  logGroupName: string,
  startTime: number,
): Promise<string> {
  const logs = new CloudWatchLogsClient(aws.clientConfig());
  const lines: string[] = [];
  let nextToken: string | undefined;
  do {
    const page = await logs.send(new FilterLogEventsCommand({ logGroupName, startTime, nextToken }));
    lines.push(...(page.events ?? []).map(({ message = "" }) => message));
    nextToken = page.nextToken;
  } while (nextToken);
  return lines.join("\n");
}
