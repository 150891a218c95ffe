import { randomUUID } from "node:crypto";
import { GetBucketNotificationConfigurationCommand, S3Client } from "@aws-sdk/client-s3";
import type { AwsRequest, LocalAws } from "../aws/local-aws";
import type { EventBus } from "./event-bus";

/**
 * Plays what S3 does beside storing an object: conditional writes that are atomic, and "Object Created" on the
 * default bus when the bucket's notification configuration has EventBridge on.
 *
 * Left out: the up to five minutes until a newly enabled bucket sends, copies, multipart uploads and every other
 * kind of object event.
 *
 * @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
 */
export function playObjectEvents(
  aws: Pick<LocalAws, "accountId" | "administrator" | "clientConfig" | "handle">,
  emit: EventBus["emit"],
): void {
  const s3 = new S3Client({ ...aws.clientConfig(), forcePathStyle: true });
  const inTurn = turns();
  let sequence = Date.now();

  aws.handle("s3", "PutObject", (request, next) =>
    inTurn(request.url, async () => {
      const answer = await next();
      const { Bucket, Key } = request.parameters;
      if (answer.status !== 200) return answer;
      const setting = await s3.send(new GetBucketNotificationConfigurationCommand({ Bucket }));
      if (!setting.EventBridgeConfiguration) return answer;

      sequence += 1;
      const version = answer.headers["x-amz-version-id"];
      emit({
        source: "aws.s3",
        "detail-type": "Object Created",
        resources: [`arn:aws:s3:::${Bucket}`],
        detail: {
          version: "0",
          bucket: { name: Bucket },
          object: {
            key: Key,
            size: sizeOf(request),
            etag: answer.headers.etag?.replaceAll('"', ""),
            ...(version ? { "version-id": version } : {}),
            sequencer: sequence.toString(16).toUpperCase().padStart(16, "0"),
          },
          "request-id": randomUUID(),
          requester: aws.accountId,
          "source-ip-address": "127.0.0.1",
          reason: "PutObject",
        },
      });
      return answer;
    }),
  );
}

/** A body sent in signed chunks is longer than the object in it. */
function sizeOf({ headers, body }: AwsRequest): number {
  return Number(headers["x-amz-decoded-content-length"] ?? body.length);
}

/**
 * Lets the writes of one object pass one after the other: S3 decides If-Match and If-None-Match atomically, the
 * control plane looks and writes in two steps on several threads.
 */
function turns(): <T>(key: string, work: () => Promise<T>) => Promise<T> {
  const last = new Map<string, Promise<unknown>>();
  return (key, work) => {
    const object = key.split("?")[0]!;
    const turn = (last.get(object) ?? Promise.resolve()).then(work, work);
    last.set(object, turn);
    return turn;
  };
}
