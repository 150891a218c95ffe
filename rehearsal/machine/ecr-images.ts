import { AwsError, type AwsRequest, type LocalAws } from "../aws/local-aws";
import { ImageStore, ImmutableTagError, type StoredImage } from "./image-store";
import { storeManifest } from "./registry-backend";

interface ImageId {
  readonly imageTag?: string;
  readonly imageDigest?: string;
}

/** What the image actions need to know about a repository. */
export type FindRepository = (name: string) => Promise<{ readonly immutable: boolean } | undefined>;

/**
 * Plays the actions of the ECR API that are about images: they answer with what was pushed to the registry.
 * Left out: scan results, replication, lifecycle runs, pages (all images come at once).
 * @see https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_Operations.html
 */
export function playImageActions(
  aws: LocalAws,
  store: ImageStore,
  backend: string,
  repository: FindRepository,
): void {
  const known = async (request: AwsRequest): Promise<{ name: string; immutable: boolean }> => {
    const name = String(request.parameters.repositoryName ?? "");
    const found = await repository(name);
    if (!found) {
      throw new AwsError(
        "RepositoryNotFoundException",
        `The repository with name '${name}' does not exist in the registry with id '${aws.accountId}'`,
      );
    }
    return { name, ...found };
  };
  const find = (name: string, { imageTag, imageDigest }: ImageId): StoredImage | undefined =>
    imageTag === undefined && imageDigest === undefined
      ? undefined
      : store.find(name, {
          ...(imageTag === undefined ? {} : { tag: imageTag }),
          ...(imageDigest === undefined ? {} : { digest: imageDigest }),
        });
  const answerOf = (name: string, image: StoredImage, tag?: string) => ({
    registryId: aws.accountId,
    repositoryName: name,
    imageId: { imageDigest: image.digest, ...(tag === undefined ? {} : { imageTag: tag }) },
    imageManifest: image.manifest,
    imageManifestMediaType: image.mediaType,
  });

  aws.handle("ecr", "DescribeImages", async (request) => {
    const { name } = await known(request);
    const ids = request.parameters.imageIds as ImageId[] | undefined;
    const status = request.parameters.filter?.tagStatus as string | undefined;
    const images = ids
      ? ids.map((id) => find(name, id) ?? notFound(aws, name, id))
      : store.images(name).filter((image) => hasTagStatus(image, status));
    return {
      imageDetails: images.map((image) => ({
        registryId: aws.accountId,
        repositoryName: name,
        imageDigest: image.digest,
        ...(image.tags.size > 0 ? { imageTags: [...image.tags] } : {}),
        imageSizeInBytes: image.sizeInBytes,
        imagePushedAt: image.pushedAt / 1000,
        imageManifestMediaType: image.mediaType,
      })),
    };
  });

  aws.handle("ecr", "ListImages", async (request) => {
    const { name } = await known(request);
    const status = request.parameters.filter?.tagStatus as string | undefined;
    return {
      imageIds: store
        .images(name)
        .filter((image) => hasTagStatus(image, status))
        .flatMap((image) =>
          image.tags.size === 0
            ? [{ imageDigest: image.digest }]
            : [...image.tags].map((imageTag) => ({ imageDigest: image.digest, imageTag })),
        ),
    };
  });

  aws.handle("ecr", "BatchGetImage", async (request) => {
    const { name } = await known(request);
    const ids = (request.parameters.imageIds ?? []) as ImageId[];
    const found = ids.map((id) => ({ id, image: find(name, id) }));
    return {
      images: found.flatMap(({ id, image }) => (image ? [answerOf(name, image, id.imageTag)] : [])),
      failures: found.flatMap(({ id, image }) => (image ? [] : [missing(id)])),
    };
  });

  aws.handle("ecr", "PutImage", async (request) => {
    const { name, immutable } = await known(request);
    const { imageManifest, imageManifestMediaType, imageTag } = request.parameters as Record<
      string,
      string | undefined
    >;
    if (imageManifest === undefined) {
      throw new AwsError("InvalidParameterException", "imageManifest must not be null");
    }
    const mediaType = imageManifestMediaType ?? mediaTypeOf(imageManifest);
    const digest = ImageStore.digestOf(imageManifest);
    const present = store.find(name, { digest });
    if (present && (imageTag === undefined || present.tags.has(imageTag))) {
      throw new AwsError(
        "ImageAlreadyExistsException",
        `Image with digest '${digest}' and tag '${imageTag ?? "null"}' already exists in the repository with name '${name}' in registry with id '${aws.accountId}'`,
      );
    }
    if (
      !present &&
      (await storeManifest(backend, name, { digest, mediaType, manifest: imageManifest })).status >= 300
    ) {
      throw new AwsError(
        "LayersNotFoundException",
        "One or more layers specified in the image could not be found",
      );
    }
    try {
      return {
        image: answerOf(
          name,
          store.put(
            name,
            { manifest: imageManifest, mediaType, ...(imageTag ? { tag: imageTag } : {}) },
            immutable,
          ),
          imageTag,
        ),
      };
    } catch (error) {
      throw error instanceof ImmutableTagError
        ? new AwsError("ImageTagAlreadyExistsException", error.message)
        : error;
    }
  });

  aws.handle("ecr", "BatchDeleteImage", async (request) => {
    const { name } = await known(request);
    const ids = (request.parameters.imageIds ?? []) as ImageId[];
    const removed: ImageId[] = [];
    const failures: ReturnType<typeof missing>[] = [];
    for (const id of ids) {
      const image = find(name, id);
      if (!image) {
        failures.push(missing(id));
        continue;
      }
      const byDigest = id.imageTag === undefined;
      const tags = byDigest ? [...image.tags] : [id.imageTag!];
      removed.push(
        ...(tags.length === 0
          ? [{ imageDigest: image.digest }]
          : tags.map((imageTag) => ({ imageDigest: image.digest, imageTag }))),
      );
      store.remove(name, image, id.imageTag);
    }
    return { imageIds: removed, failures };
  });

  aws.handle("ecr", "DeleteRepository", async (request, next) => {
    const name = String(request.parameters.repositoryName ?? "");
    if (store.images(name).length > 0 && request.parameters.force !== true) {
      throw new AwsError(
        "RepositoryNotEmptyException",
        `The repository with name '${name}' in registry with id '${aws.accountId}' cannot be deleted because it still contains images`,
      );
    }
    const response = await next();
    if (response.status === 200) {
      store.drop(name);
    }
    return response;
  });
}

function hasTagStatus(image: StoredImage, status = "ANY"): boolean {
  return status === "ANY" || (status === "TAGGED") === image.tags.size > 0;
}

function missing(imageId: ImageId) {
  return { imageId, failureCode: "ImageNotFound", failureReason: "Requested image not found" };
}

function notFound(aws: LocalAws, name: string, id: ImageId): never {
  throw new AwsError(
    "ImageNotFoundException",
    `The image with imageId {imageDigest:'${id.imageDigest ?? "null"}', imageTag:'${id.imageTag ?? "null"}'} does not exist within the repository with name '${name}' in the registry with id '${aws.accountId}'`,
  );
}

function mediaTypeOf(manifest: string): string {
  const { mediaType } = JSON.parse(manifest) as { mediaType?: string };
  return mediaType ?? "application/vnd.docker.distribution.manifest.v2+json";
}
