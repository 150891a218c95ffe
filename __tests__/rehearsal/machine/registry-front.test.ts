import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { ImageStore } from "../../../rehearsal/machine/image-store";
import { type RegistryFront, startRegistryFront } from "../../../rehearsal/machine/registry-front";

const LAYER = `sha256:${"a".repeat(64)}`;
const manifest = (config: string) =>
  JSON.stringify({ schemaVersion: 2, config: { digest: config }, layers: [{ digest: LAYER, size: 5 }] });

describe("startRegistryFront", () => {
  let backend: Server;
  let front: RegistryFront;
  let store: ImageStore;
  /** What reached the registry behind. */
  let passed: string[];
  let denied: Set<string>;
  let asked: [string, string, string][];
  let layersMissing: boolean;

  beforeEach(async () => {
    passed = [];
    asked = [];
    denied = new Set();
    layersMissing = false;
    const blobs = new Map<string, Buffer>();
    backend = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) {
        chunks.push(chunk as Buffer);
      }
      const body = Buffer.concat(chunks);
      passed.push(`${request.method} ${request.url} ${body.length}`);
      if (request.headers.authorization) {
        passed.push("password!");
      }
      if (request.method === "PUT") {
        if (layersMissing) {
          response.writeHead(400).end('{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN"}]}');
          return;
        }
        blobs.set(request.url!, body);
        response.writeHead(201, { Location: request.url! }).end();
      } else if (request.method === "POST") {
        response.writeHead(202, { Location: `${request.url}some-id` }).end();
      } else {
        const blob = blobs.get(request.url!);
        response.writeHead(blob ? 200 : 404, { "Content-Length": blob?.length ?? 0 }).end(blob);
      }
    });
    await new Promise<void>((resolve) => backend.listen(0, "127.0.0.1", resolve));
    store = new ImageStore();
    front = await startRegistryFront(`127.0.0.1:${(backend.address() as AddressInfo).port}`, store, {
      authenticate: (password) => (password === "pass:word" ? "AKIAONE" : undefined),
      authorize: async (accessKeyId, action, repository) => {
        asked.push([accessKeyId, action, repository]);
        if (denied.has(action)) {
          throw new Error(`${accessKeyId} is not authorized to perform: ${action}`);
        }
      },
      repository: async (name) => ({ fixed: { immutable: true }, "team/loose": { immutable: false } })[name],
    });
  });
  afterEach(async () => {
    await front.close();
    backend.closeAllConnections();
    backend.close();
  });

  const call = async (method: string, path: string, body?: string, password = "pass:word", user = "AWS") => {
    const response = await fetch(`http://${front.host}${path}`, {
      method,
      headers: { Authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}` },
      ...(body === undefined ? {} : { body }),
    });
    const text = await response.text();
    return {
      status: response.status,
      headers: response.headers,
      text,
      error: text.startsWith('{"errors"')
        ? (JSON.parse(text).errors[0] as { code: string; message: string })
        : undefined,
    };
  };

  test("lets in the user AWS with a password that was given out", async () => {
    expect((await call("GET", "/v2/")).status).toBe(200);
    expect(await call("GET", "/v2/", undefined, "wrong")).toMatchObject({
      status: 401,
      error: { code: "UNAUTHORIZED" },
    });
    expect((await call("GET", "/v2/", undefined, "pass:word", "root")).status).toBe(401);
    const anonymous = await fetch(`http://${front.host}/v2/`);
    expect(anonymous.headers.get("www-authenticate")).toMatch(/^Basic realm=/);
  });

  test.each([
    ["GET", "/v2/fixed/manifests/tag", "ecr:BatchGetImage"],
    ["HEAD", "/v2/fixed/manifests/tag", "ecr:BatchGetImage"],
    ["PUT", "/v2/fixed/manifests/tag", "ecr:PutImage"],
    ["GET", `/v2/fixed/blobs/${LAYER}`, "ecr:GetDownloadUrlForLayer"],
    ["HEAD", `/v2/fixed/blobs/${LAYER}`, "ecr:BatchCheckLayerAvailability"],
    ["POST", "/v2/fixed/blobs/uploads/", "ecr:InitiateLayerUpload"],
    ["PATCH", "/v2/fixed/blobs/uploads/some-id", "ecr:UploadLayerPart"],
    ["PUT", `/v2/fixed/blobs/uploads/some-id?digest=${LAYER}`, "ecr:CompleteLayerUpload"],
    ["GET", "/v2/fixed/tags/list", "ecr:ListImages"],
  ])("%s %s needs %s of the caller, on the repository", async (method, path, action) => {
    denied.add(action);
    const answer = await call(method, path, method.startsWith("P") ? "body" : undefined);
    expect(answer.status).toBe(403);
    if (method !== "HEAD") {
      expect(answer.error).toEqual({
        code: "DENIED",
        message: `AKIAONE is not authorized to perform: ${action}`,
      });
    }
    expect(asked).toEqual([["AKIAONE", action, "fixed"]]);
    expect(passed).toEqual([]);
  });

  test("breaks off the uploads that it is told to, and only those", async () => {
    front.cutUploads((method, path) => method === "PATCH" && path.includes("/uploads/"));
    await expect(call("PATCH", "/v2/fixed/blobs/uploads/some-id", "body")).rejects.toThrow();
    expect((await call("POST", "/v2/fixed/blobs/uploads/")).status).toBe(202);
    front.cutUploads(undefined);
    expect((await call("PATCH", "/v2/fixed/blobs/uploads/some-id", "body")).status).toBe(404);
  });

  test("makes no repository on a push", async () => {
    expect(await call("POST", "/v2/new/blobs/uploads/")).toMatchObject({
      status: 404,
      error: { code: "NAME_UNKNOWN" },
    });
    expect(await call("PUT", "/v2/new/manifests/v1", manifest("a"))).toMatchObject({ status: 404 });
    expect(passed).toEqual([]);
  });

  test("keeps a tag of an immutable repository, and takes the same image again", async () => {
    expect((await call("PUT", "/v2/fixed/manifests/v1", manifest("a"))).status).toBe(201);
    expect((await call("PUT", "/v2/fixed/manifests/v1", manifest("a"))).status).toBe(201);
    expect(await call("PUT", "/v2/fixed/manifests/v1", manifest("b"))).toMatchObject({
      status: 400,
      error: {
        code: "TAG_INVALID",
        message:
          "The image tag 'v1' already exists in the 'fixed' repository and cannot be overwritten because the repository is immutable.",
      },
    });
    expect((await call("GET", "/v2/fixed/manifests/v1")).text).toBe(manifest("a"));
  });

  test("lets one of several pushes of one tag win", async () => {
    const answers = await Promise.all(
      ["a", "b", "c", "d"].map((config) => call("PUT", "/v2/fixed/manifests/v1", manifest(config))),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 400, 400, 400]);
  });

  test("moves a tag of a mutable repository", async () => {
    await call("PUT", "/v2/team/loose/manifests/v1", manifest("a"));
    expect((await call("PUT", "/v2/team/loose/manifests/v1", manifest("b"))).status).toBe(201);
    expect((await call("GET", "/v2/team/loose/manifests/v1")).text).toBe(manifest("b"));
    expect(store.images("team/loose").map(({ tags }) => [...tags])).toEqual([[], ["v1"]]);
  });

  test("serves an image by digest, and under a tag that was set elsewhere", async () => {
    const put = await call("PUT", "/v2/fixed/manifests/v1", manifest("a"));
    const digest = ImageStore.digestOf(manifest("a"));
    expect(put.headers.get("docker-content-digest")).toBe(digest);
    store.put("fixed", { manifest: manifest("a"), mediaType: "x", tag: "live-v1" }, true);
    expect((await call("GET", `/v2/fixed/manifests/${digest}`)).text).toBe(manifest("a"));
    expect((await call("GET", "/v2/fixed/manifests/live-v1")).text).toBe(manifest("a"));
    expect(await call("GET", "/v2/fixed/manifests/none")).toMatchObject({
      status: 404,
      error: { code: "MANIFEST_UNKNOWN" },
    });
    expect((await call("GET", "/v2/fixed/tags/list")).text).toBe('{"name":"fixed","tags":["live-v1","v1"]}');
  });

  test("knows no image whose layers are missing", async () => {
    layersMissing = true;
    expect(await call("PUT", "/v2/fixed/manifests/v1", manifest("a"))).toMatchObject({
      status: 400,
      error: { code: "MANIFEST_BLOB_UNKNOWN" },
    });
    expect(store.images("fixed")).toEqual([]);
  });

  test("refuses a manifest under another digest, and one that is too large", async () => {
    expect(await call("PUT", `/v2/fixed/manifests/${LAYER}`, manifest("a"))).toMatchObject({
      error: { code: "DIGEST_INVALID" },
    });
    expect((await call("PUT", "/v2/fixed/manifests/v1", "x".repeat(4 * 1024 * 1024 + 1))).status).toBe(413);
  });

  test("passes layers on whole, without the password, and never from another repository", async () => {
    const layer = "0123456789".repeat(100_000);
    await call("PUT", `/v2/fixed/blobs/uploads/some-id?digest=${LAYER}`, layer);
    await call("POST", `/v2/fixed/blobs/uploads/?mount=${LAYER}&from=team/loose`);
    expect(passed).toEqual([
      `PUT /v2/fixed/blobs/uploads/some-id?digest=${LAYER} 1000000`,
      "POST /v2/fixed/blobs/uploads/ 0",
    ]);
    expect((await call("GET", `/v2/fixed/blobs/${LAYER}`)).status).toBe(404);
  });

  test.each([
    ["DELETE", "/v2/fixed/manifests/v1"],
    ["GET", "/v2/_catalog"],
  ])("does not know %s %s, as ECR", async (method, path) => {
    expect(await call(method, path)).toMatchObject({ status: 405, error: { code: "UNSUPPORTED" } });
  });
});
