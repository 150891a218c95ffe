import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { AwsRequest, Handler, LocalAws } from "../../../rehearsal/aws/local-aws";
import { playImageActions } from "../../../rehearsal/machine/ecr-images";
import { ImageStore } from "../../../rehearsal/machine/image-store";

const manifest = (config: string) =>
  JSON.stringify({ config: { digest: config }, layers: [{ size: 3 }, { size: 4 }] });

describe("playImageActions", () => {
  let backend: Server;
  let status: number;
  let store: ImageStore;
  let handlers: Map<string, Handler>;

  beforeEach(async () => {
    status = 201;
    backend = createServer((_request, response) => response.writeHead(status).end());
    await new Promise<void>((resolve) => backend.listen(0, "127.0.0.1", resolve));
    store = new ImageStore();
    handlers = new Map();
    const aws = {
      accountId: "123456789012",
      handle: (_service: string, action: string, handler: Handler) => handlers.set(action, handler),
    } as unknown as LocalAws;
    playImageActions(aws, store, `127.0.0.1:${(backend.address() as AddressInfo).port}`, async (name) =>
      name === "app" ? { immutable: true } : undefined,
    );
    store.put("app", { manifest: manifest("a"), mediaType: "application/x", tag: "v1" }, true);
  });
  afterEach(() => {
    backend.closeAllConnections();
    backend.close();
  });

  const call = (
    action: string,
    parameters: Record<string, unknown>,
    next = async () => ({ status: 200, headers: {}, body: Buffer.from("{}") }),
  ) =>
    handlers.get(action)!(
      { parameters: { repositoryName: "app", ...parameters } } as unknown as AwsRequest,
      next,
    );
  const digest = ImageStore.digestOf(manifest("a"));

  test("describes what was pushed, with the registry's own digest", async () => {
    expect(await call("DescribeImages", {})).toEqual({
      imageDetails: [
        expect.objectContaining({
          imageDigest: digest,
          imageTags: ["v1"],
          imageSizeInBytes: 7,
          imageManifestMediaType: "application/x",
        }),
      ],
    });
  });

  test("answers for an image that is not there as each action does", async () => {
    const imageIds = [{ imageTag: "none" }];
    await expect(call("DescribeImages", { imageIds })).rejects.toMatchObject({
      code: "ImageNotFoundException",
    });
    expect(await call("BatchGetImage", { imageIds })).toEqual({
      images: [],
      failures: [expect.objectContaining({ failureCode: "ImageNotFound", imageId: { imageTag: "none" } })],
    });
  });

  test("gives another tag to an image by its manifest", async () => {
    const got = (await call("BatchGetImage", { imageIds: [{ imageTag: "v1" }] })) as {
      images: { imageManifest: string }[];
    };
    const imageManifest = got.images[0]!.imageManifest;
    await call("PutImage", { imageManifest, imageTag: "live-v1" });
    expect(await call("ListImages", {})).toEqual({
      imageIds: [
        { imageDigest: digest, imageTag: "v1" },
        { imageDigest: digest, imageTag: "live-v1" },
      ],
    });
    await expect(call("PutImage", { imageManifest, imageTag: "live-v1" })).rejects.toMatchObject({
      code: "ImageAlreadyExistsException",
    });
  });

  test("refuses to move a tag of an immutable repository", async () => {
    await expect(call("PutImage", { imageManifest: manifest("b"), imageTag: "v1" })).rejects.toMatchObject({
      code: "ImageTagAlreadyExistsException",
    });
  });

  test("takes a new manifest only when its layers are there", async () => {
    status = 400;
    await expect(call("PutImage", { imageManifest: manifest("b") })).rejects.toMatchObject({
      code: "LayersNotFoundException",
    });
  });

  test("deletes a tag, and with the last one the image", async () => {
    store.put("app", { manifest: manifest("a"), mediaType: "application/x", tag: "v2" }, true);
    await call("BatchDeleteImage", { imageIds: [{ imageTag: "v1" }] });
    expect(store.find("app", { digest })?.tags).toEqual(new Set(["v2"]));
    await call("BatchDeleteImage", { imageIds: [{ imageDigest: digest }] });
    expect(store.images("app")).toEqual([]);
  });

  test("deletes a repository with images only when told to", async () => {
    await expect(call("DeleteRepository", {})).rejects.toMatchObject({ code: "RepositoryNotEmptyException" });
    await call("DeleteRepository", { force: true });
    expect(store.images("app")).toEqual([]);
  });

  test("knows no repository that does not exist", async () => {
    for (const action of ["DescribeImages", "ListImages", "BatchGetImage", "PutImage", "BatchDeleteImage"]) {
      await expect(call(action, { repositoryName: "other" })).rejects.toMatchObject({
        code: "RepositoryNotFoundException",
      });
    }
  });
});
