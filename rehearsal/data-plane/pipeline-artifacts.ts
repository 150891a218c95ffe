/**
 * The artifacts of one pipeline execution: objects in the pipeline's artifact store, written and read in the
 * pipeline's role under `<pipeline>/<artifact>/<random>`.
 *
 * @see https://docs.aws.amazon.com/codepipeline/latest/userguide/welcome-introducing-artifacts.html
 */

import { randomBytes } from "node:crypto";
import type { ArtifactStore } from "@aws-sdk/client-codepipeline";
import { GetObjectCommand, PutObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import { strFromU8, unzipSync } from "fflate";

/** AWS shortens the names of pipeline and artifact to this in the key. */
const NAME_CHARACTERS = 20;

/** Keeps what actions hand to one another. */
export class PipelineArtifacts {
  private readonly keys = new Map<string, string>();

  constructor(
    private readonly pipeline: string,
    private readonly store: ArtifactStore,
  ) {}

  /** Stores what an action produced. */
  async put(s3: S3Client, name: string, body: Uint8Array): Promise<void> {
    const random = randomBytes(6).toString("base64url").replace(/[-_]/g, "x").slice(0, 7);
    const key = `${short(this.pipeline)}/${short(name)}/${random}`;
    const kms = this.store.encryptionKey?.id;
    await s3.send(
      new PutObjectCommand({
        Bucket: this.store.location,
        Key: key,
        Body: body,
        ...(kms ? { ServerSideEncryption: "aws:kms", SSEKMSKeyId: kms } : {}),
      }),
    );
    this.keys.set(name, key);
  }

  /**
   * Reads one file out of an artifact.
   * @throws Error when the artifact or the file is missing, or the artifact is no zip
   */
  async readFile(s3: S3Client, name: string, path: string): Promise<string> {
    const key = this.keys.get(name);
    if (key === undefined) throw new Error(`no earlier action has made the artifact ${name}`);
    const { Body } = await s3.send(new GetObjectCommand({ Bucket: this.store.location, Key: key }));
    const file = unzip((await Body?.transformToByteArray()) ?? new Uint8Array(), name)[path];
    if (!file) throw new Error(`Did not find the file ${path} in the input artifact ${name}`);
    return strFromU8(file);
  }
}

/** @throws Error naming the artifact when it is no zip */
export function unzip(body: Uint8Array, name: string): Record<string, Uint8Array> {
  try {
    return unzipSync(body);
  } catch {
    throw new Error(`the artifact ${name} is not a zip file`);
  }
}

function short(name: string): string {
  return name.slice(0, NAME_CHARACTERS);
}
