import { randomBytes } from "node:crypto";
import { DescribeRepositoriesCommand, ECRClient, RepositoryNotFoundException } from "@aws-sdk/client-ecr";
import type { AwsResponse, LocalAws } from "../aws/local-aws";
import type { Engine } from "./container-engine";
import { playImageActions } from "./ecr-images";
import { ImageStore } from "./image-store";
import { startRegistryBackend } from "./registry-backend";
import { type RegistryFront, startRegistryFront } from "./registry-front";
import type { Workspace } from "./workspace";

/** How long ECR's passwords are good for. */
const TOKEN_LIFETIME_IN_HOURS = 12;

export interface Registry extends Pick<RegistryFront, "cutUploads"> {
  /** `127.0.0.1:PORT`: what stands before the repository's name in an image's name. */
  readonly host: string;
  readonly store: ImageStore;
}

/**
 * Starts the registry and makes the account's ECR API speak of it: repository URIs, passwords, images.
 * Start it before Terraform runs, which keeps the URIs.
 */
export async function startRegistry(
  workspace: Workspace,
  engine: Engine,
  aws: LocalAws,
  say: (line: string) => void,
): Promise<Registry> {
  const store = new ImageStore();
  const tokens = new Map<string, { accessKeyId: string; until: number }>();
  const repository = repositoryFinder(aws);
  const backend = await startRegistryBackend(workspace, engine, say);
  const front = await startRegistryFront(backend, store, {
    authenticate: (password) => {
      const token = tokens.get(password);
      return token && token.until > Date.now() ? token.accessKeyId : undefined;
    },
    authorize: (accessKeyId, action, name) => aws.authorize(accessKeyId, action, arnOf(aws, name)),
    repository,
  });
  workspace.onCleanUp("registry", () => front.close());
  if (!engine.own) {
    workspace.leave({
      kind: "images",
      docker: engine.docker,
      host: engine.host,
      label: engine.label,
      prefix: `${front.host}/`,
    });
  }
  aws.handle("ecr", "GetAuthorizationToken", async (request) => {
    const password = randomBytes(32).toString("base64url");
    const until = Date.now() + TOKEN_LIFETIME_IN_HOURS * 3600 * 1000;
    tokens.set(password, { accessKeyId: request.accessKeyId, until });
    return {
      authorizationData: [
        {
          authorizationToken: Buffer.from(`AWS:${password}`).toString("base64"),
          expiresAt: until / 1000,
          proxyEndpoint: `http://${front.host}`,
        },
      ],
    };
  });
  for (const action of ["CreateRepository", "DescribeRepositories"]) {
    aws.handle("ecr", action, async (_request, next) => withOwnUris(await next(), front.host));
  }
  playImageActions(aws, store, backend, repository);
  return { host: front.host, store, cutUploads: front.cutUploads };
}

function arnOf(aws: LocalAws, name: string): string {
  return `arn:aws:ecr:${aws.region}:${aws.accountId}:repository/${name}`;
}

function repositoryFinder(aws: LocalAws) {
  const ecr = new ECRClient(aws.clientConfig());
  return async (name: string): Promise<{ immutable: boolean } | undefined> => {
    try {
      const answer = await ecr.send(new DescribeRepositoriesCommand({ repositoryNames: [name] }));
      return { immutable: answer.repositories?.[0]?.imageTagMutability === "IMMUTABLE" };
    } catch (error) {
      if (error instanceof RepositoryNotFoundException) {
        return undefined;
      }
      throw error;
    }
  };
}

interface RepositoryAnswer {
  repositoryName?: string;
  repositoryUri?: string;
}

/** ECR's own host name does not exist on this machine. */
function withOwnUris(response: AwsResponse, host: string): AwsResponse {
  if (response.status !== 200) {
    return response;
  }
  const body = JSON.parse(response.body.toString()) as {
    repository?: RepositoryAnswer;
    repositories?: RepositoryAnswer[];
  };
  for (const repository of [body.repository, ...(body.repositories ?? [])]) {
    if (repository?.repositoryUri) {
      repository.repositoryUri = `${host}/${repository.repositoryName}`;
    }
  }
  const { "content-length": _length, "Content-Length": _Length, ...headers } = response.headers;
  return { ...response, headers, body: Buffer.from(JSON.stringify(body)) };
}
