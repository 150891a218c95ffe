import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { pipeline } from "node:stream/promises";
import { ImageStore, ImmutableTagError } from "./image-store";
import { storeManifest } from "./registry-backend";

/** What decides about each request; all of it is asked for every request, as ECR does. */
export interface RegistryRules {
  /** @returns the access key id that a password was given to, or undefined for one that is unknown or too old */
  authenticate(password: string): string | undefined;
  /** @throws Error with AWS's words when the principal may not do `action` (e.g. `ecr:PutImage`) */
  authorize(accessKeyId: string, action: string, repository: string): Promise<void>;
  /** @returns undefined for a repository that does not exist */
  repository(name: string): Promise<{ readonly immutable: boolean } | undefined>;
}

export interface RegistryFront {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  /** Breaks off, in the middle of its body, each request that `cuts` says so of; `undefined`: none. */
  cutUploads(cuts: ((method: string, path: string) => boolean) | undefined): void;
  close(): Promise<void>;
}

/** ECR's limit for one manifest. */
const LARGEST_MANIFEST = 4 * 1024 * 1024;

/**
 * A registry that answers as ECR does, in front of a plain one that keeps the bytes: every request has a principal and
 * needs that principal's permission, repositories are never made by a push, tags of an immutable repository stay.
 * Left out: layers are sent from here, where ECR redirects to S3; a repository in another account.
 * @see https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html
 * @see https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html
 */
export async function startRegistryFront(
  backend: string,
  store: ImageStore,
  rules: RegistryRules,
): Promise<RegistryFront> {
  let cuts: Parameters<RegistryFront["cutUploads"]>[0];
  const server = createServer((incoming, outgoing) => {
    if (cuts?.(incoming.method ?? "", incoming.url ?? "")) {
      incoming.once("data", () => incoming.destroy());
      return;
    }
    answer(backend, store, rules, incoming, outgoing).catch((error: unknown) => refuse(outgoing, error));
  });
  // A layer may take longer than any limit that suits other requests.
  server.requestTimeout = 0;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    cutUploads: (next) => {
      cuts = next;
    },
    close: () => closeServer(server),
  };
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
  }
}

function refuse(outgoing: ServerResponse, error: unknown): void {
  const refusal =
    error instanceof Refusal
      ? error
      : error instanceof ImmutableTagError
        ? new Refusal(400, "TAG_INVALID", error.message)
        : new Refusal(500, "UNKNOWN", error instanceof Error ? error.message : String(error));
  if (outgoing.headersSent) {
    outgoing.destroy();
    return;
  }
  outgoing.writeHead(refusal.status, {
    "Content-Type": "application/json; charset=utf-8",
    "Docker-Distribution-Api-Version": "registry/2.0",
    // The rest of a refused upload is not read.
    Connection: "close",
    ...refusal.headers,
  });
  outgoing.end(JSON.stringify({ errors: [{ code: refusal.code, message: refusal.message }] }));
}

/** One of the registry's URLs, with the permission it needs. */
interface Call {
  readonly repository: string;
  readonly action: string;
  readonly kind: "manifest" | "blob" | "tags";
  /** Tag or digest of a manifest. */
  readonly reference: string;
}

/** @see https://distribution.github.io/distribution/spec/api/#methods */
const CALLS: readonly {
  readonly path: RegExp;
  readonly kind: Call["kind"];
  readonly actions: Record<string, string>;
}[] = [
  {
    path: /^\/v2\/(.+)\/manifests\/([^/]+)$/,
    kind: "manifest",
    actions: { GET: "ecr:BatchGetImage", HEAD: "ecr:BatchGetImage", PUT: "ecr:PutImage" },
  },
  {
    path: /^\/v2\/(.+)\/blobs\/uploads\/?$/,
    kind: "blob",
    actions: { POST: "ecr:InitiateLayerUpload" },
  },
  {
    path: /^\/v2\/(.+)\/blobs\/uploads\/([^/]+)$/,
    kind: "blob",
    actions: {
      GET: "ecr:UploadLayerPart",
      PATCH: "ecr:UploadLayerPart",
      DELETE: "ecr:UploadLayerPart",
      PUT: "ecr:CompleteLayerUpload",
    },
  },
  {
    path: /^\/v2\/(.+)\/blobs\/(sha256:[0-9a-f]{64})$/,
    kind: "blob",
    actions: { GET: "ecr:GetDownloadUrlForLayer", HEAD: "ecr:BatchCheckLayerAvailability" },
  },
  { path: /^\/v2\/(.+)\/tags\/list$/, kind: "tags", actions: { GET: "ecr:ListImages" } },
];

function parseCall(method: string, path: string): Call {
  for (const { path: pattern, kind, actions } of CALLS) {
    const match = pattern.exec(path);
    if (match) {
      const action = actions[method];
      if (!action) {
        break;
      }
      return { repository: match[1]!, action, kind, reference: match[2] ?? "" };
    }
  }
  // Deletion and the catalogue exist in ECR's API only.
  throw new Refusal(405, "UNSUPPORTED", `ECR does not know ${method} ${path}`);
}

async function answer(
  backend: string,
  store: ImageStore,
  rules: RegistryRules,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const url = new URL(incoming.url ?? "/", "http://registry");
  const accessKeyId = authenticate(rules, incoming.headers.authorization);
  if (url.pathname === "/v2/" || url.pathname === "/v2") {
    outgoing.writeHead(200, {
      "Content-Type": "application/json",
      "Docker-Distribution-Api-Version": "registry/2.0",
    });
    outgoing.end("{}");
    return;
  }
  const call = parseCall(incoming.method ?? "GET", url.pathname);
  try {
    await rules.authorize(accessKeyId, call.action, call.repository);
  } catch (error) {
    throw new Refusal(403, "DENIED", error instanceof Error ? error.message : String(error));
  }
  const repository = await rules.repository(call.repository);
  if (!repository) {
    throw new Refusal(
      404,
      "NAME_UNKNOWN",
      `The repository with name '${call.repository}' does not exist in the registry`,
    );
  }
  if (call.kind === "tags") {
    const tags = store.images(call.repository).flatMap((image) => [...image.tags]);
    outgoing.writeHead(200, { "Content-Type": "application/json" });
    outgoing.end(JSON.stringify({ name: call.repository, tags: tags.sort() }));
  } else if (call.kind === "blob") {
    await forward(backend, withoutMount(url, incoming), incoming, outgoing);
  } else if (incoming.method === "PUT") {
    await putManifest(backend, store, call, repository.immutable, incoming, outgoing);
  } else {
    const image = store.find(
      call.repository,
      isDigest(call.reference) ? { digest: call.reference } : { tag: call.reference },
    );
    if (!image) {
      throw new Refusal(404, "MANIFEST_UNKNOWN", "Requested image not found");
    }
    await forward(backend, `/v2/${call.repository}/manifests/${image.digest}`, incoming, outgoing);
  }
}

/** ECR takes no layer over from another repository: the client then uploads it. */
function withoutMount(url: URL, incoming: IncomingMessage): string {
  if (incoming.method !== "POST") {
    return incoming.url ?? "/";
  }
  url.searchParams.delete("mount");
  url.searchParams.delete("from");
  return `${url.pathname}${url.search}`;
}

function authenticate(rules: RegistryRules, header: string | undefined): string {
  const [, encoded = ""] = /^Basic (.+)$/i.exec(header ?? "") ?? [];
  const [user, ...password] = Buffer.from(encoded, "base64").toString().split(":");
  const accessKeyId = user === "AWS" ? rules.authenticate(password.join(":")) : undefined;
  if (!accessKeyId) {
    throw new Refusal(401, "UNAUTHORIZED", "Not Authorized", {
      "WWW-Authenticate": 'Basic realm="ecr",service="ecr.amazonaws.com"',
    });
  }
  return accessKeyId;
}

function isDigest(reference: string): boolean {
  return reference.startsWith("sha256:");
}

async function putManifest(
  backend: string,
  store: ImageStore,
  call: Call,
  immutable: boolean,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const body = await readAll(incoming, LARGEST_MANIFEST);
  const digest = ImageStore.digestOf(body);
  const tag = isDigest(call.reference) ? undefined : call.reference;
  if (tag === undefined && call.reference !== digest) {
    throw new Refusal(400, "DIGEST_INVALID", `the manifest's digest is ${digest}, not ${call.reference}`);
  }
  const mediaType =
    incoming.headers["content-type"] ?? "application/vnd.docker.distribution.manifest.v2+json";
  if (tag !== undefined) {
    store.checkTag(call.repository, tag, digest, immutable);
  }
  const stored = await storeManifest(backend, call.repository, { digest, mediaType, manifest: body });
  if (stored.status >= 300) {
    outgoing.writeHead(stored.status, { "Content-Type": "application/json" });
    outgoing.end(stored.body);
    return;
  }
  store.put(
    call.repository,
    { manifest: body.toString(), mediaType, ...(tag === undefined ? {} : { tag }) },
    immutable,
  );
  outgoing.writeHead(201, {
    "Docker-Content-Digest": digest,
    "Docker-Distribution-Api-Version": "registry/2.0",
    Location: `/v2/${call.repository}/manifests/${digest}`,
  });
  outgoing.end();
}

async function readAll(incoming: IncomingMessage, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > limit) {
      throw new Refusal(413, "MANIFEST_INVALID", `a manifest may have ${limit} bytes at most`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Passes a request on to the registry behind as it comes, and the answer back, without keeping either. */
async function forward(
  backend: string,
  path: string,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const { authorization: _secret, host: _host, connection: _connection, ...headers } = incoming.headers;
  const passed = request(`http://${backend}${path}`, { method: incoming.method ?? "GET", headers });
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    passed.once("response", resolve);
    passed.once("error", reject);
  });
  const sent = pipeline(incoming, passed);
  const [response] = await Promise.all([answered, sent]);
  const { connection: _ours, ...answerHeaders } = response.headers;
  outgoing.writeHead(response.statusCode ?? 502, answerHeaders);
  await pipeline(response, outgoing);
}
