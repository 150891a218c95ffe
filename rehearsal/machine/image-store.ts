import { createHash } from "node:crypto";

/** An image as ECR knows it. */
export interface StoredImage {
  readonly digest: string;
  readonly manifest: string;
  readonly mediaType: string;
  /** Sum of the compressed layers. */
  readonly sizeInBytes: number;
  /** Milliseconds since the epoch. */
  readonly pushedAt: number;
  readonly tags: Set<string>;
}

/** A tag of an immutable repository that another image has. */
export class ImmutableTagError extends Error {
  constructor(repository: string, tag: string) {
    super(
      `The image tag '${tag}' already exists in the '${repository}' repository and cannot be overwritten because the repository is immutable.`,
    );
    this.name = "ImmutableTagError";
  }
}

/**
 * The images and tags of all repositories. The registry behind it keeps the bytes, by digest only: what a tag may
 * mean is decided here, once for pushes and for the ECR API.
 */
export class ImageStore {
  private readonly repositories = new Map<string, Map<string, StoredImage>>();

  /** @returns the digest of a manifest */
  static digestOf(manifest: string | Buffer): string {
    return `sha256:${createHash("sha256").update(manifest).digest("hex")}`;
  }

  /** All images of a repository, oldest first. */
  images(repository: string): StoredImage[] {
    return [...(this.repositories.get(repository)?.values() ?? [])];
  }

  /** Finds an image by tag or digest; by both when both are given. */
  find(repository: string, id: { readonly tag?: string; readonly digest?: string }): StoredImage | undefined {
    return this.images(repository).find(
      (image) =>
        (id.digest === undefined || image.digest === id.digest) &&
        (id.tag === undefined || image.tags.has(id.tag)),
    );
  }

  /** @throws ImmutableTagError when the repository is immutable and another image has the tag */
  checkTag(repository: string, tag: string, digest: string, immutable: boolean): void {
    const holder = this.find(repository, { tag });
    if (immutable && holder && holder.digest !== digest) {
      throw new ImmutableTagError(repository, tag);
    }
  }

  /**
   * Adds an image, moves the tag to it, or both.
   * @throws ImmutableTagError as `checkTag` does: two pushes of one tag may both have passed that one
   */
  put(
    repository: string,
    image: { readonly manifest: string; readonly mediaType: string; readonly tag?: string },
    immutable: boolean,
  ): StoredImage {
    const digest = ImageStore.digestOf(image.manifest);
    if (image.tag !== undefined) {
      this.checkTag(repository, image.tag, digest, immutable);
    }
    const images = this.repositories.get(repository) ?? new Map<string, StoredImage>();
    this.repositories.set(repository, images);
    const stored = images.get(digest) ?? {
      digest,
      manifest: image.manifest,
      mediaType: image.mediaType,
      sizeInBytes: sizeOf(image.manifest),
      pushedAt: Date.now(),
      tags: new Set<string>(),
    };
    images.set(digest, stored);
    if (image.tag !== undefined) {
      this.find(repository, { tag: image.tag })?.tags.delete(image.tag);
      stored.tags.add(image.tag);
    }
    return stored;
  }

  /** Removes a tag, and with the last one its image; or, without a tag, the image and all its tags. */
  remove(repository: string, image: StoredImage, tag?: string): void {
    if (tag !== undefined) {
      image.tags.delete(tag);
    } else {
      image.tags.clear();
    }
    if (image.tags.size === 0) {
      this.repositories.get(repository)?.delete(image.digest);
    }
  }

  /** Forgets a repository. */
  drop(repository: string): void {
    this.repositories.delete(repository);
  }
}

function sizeOf(manifest: string): number {
  const { layers = [] } = JSON.parse(manifest) as { layers?: { size: number }[] };
  return layers.reduce((sum, { size }) => sum + size, 0);
}
