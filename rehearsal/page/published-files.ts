import { GetObjectCommand, HeadObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { strFromU8, unzipSync } from "fflate";
import type { LocalAws } from "../aws/local-aws";

/** Where builds publish, below the stack's prefix. */
const KEY = "published/artifact.zip";

/** The files that a commit's build published: image, task definition and AppSpec; `undefined` when a newer one has. */
export async function publishedFiles(
  aws: LocalAws,
  prefix: string,
  commit: string,
): Promise<Record<string, string> | undefined> {
  const s3 = new S3Client({ ...aws.clientConfig(), forcePathStyle: true });
  try {
    const object = { Bucket: `${prefix}-artifacts-${aws.accountId}`, Key: KEY };
    const { Metadata, VersionId } = await s3.send(new HeadObjectCommand(object));
    if (Metadata?.commit !== commit) return undefined;
    const { Body } = await s3.send(new GetObjectCommand({ ...object, ...(VersionId ? { VersionId } : {}) }));
    const files = unzipSync((await Body?.transformToByteArray()) ?? new Uint8Array());
    return Object.fromEntries(Object.entries(files).map(([name, bytes]) => [name, strFromU8(bytes)]));
  } finally {
    s3.destroy();
  }
}
