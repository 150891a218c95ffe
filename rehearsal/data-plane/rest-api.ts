import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import {
  APIGatewayClient,
  GetStageCommand,
  type GetStageCommandOutput,
  type MethodSetting,
  NotFoundException,
} from "@aws-sdk/client-api-gateway";
import type { AwsRequest, AwsResponse, LocalAws } from "../aws/local-aws";
import { type Deployment, loadDeployment } from "./rest-api-deployment";
import { answer, MAX_BODY_BYTES, type Stage, type StageAnswer, type StageRequest } from "./rest-api-request";
import { TokenBucket } from "./token-bucket";

/**
 * API Gateway's front: serves the deployed stages of every REST API at `/restapis/<id>/<stage>/...`.
 *
 * A stage serves what its deployment froze, so a change that no deployment follows is not served: the REST API is
 * read at the moment a deployment is made. (One that was made before this started is read when it is first served.)
 * Throttling and stage variables belong to the stage and work at once. The sender's address is the TCP peer's.
 * Left out: custom domains, TLS, usage plans, canaries, throttling settings of single methods, the account's limits.
 *
 * @see https://docs.aws.amazon.com/apigateway/latest/developerguide/how-to-deploy-api.html
 * @see https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-resource-policies.html
 * @see https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-request-throttling.html
 */
export interface RestApiOptions {
  /** Address to listen on. @default 127.0.0.1 */
  readonly host?: string;
  /** @default a free one */
  readonly port?: number;
  /** How long a sender may take for a whole request, in milliseconds. @default 30000 */
  readonly requestTimeoutMs?: number;
}

export interface RestApi {
  /** URL of a path (without leading slash) at a stage. */
  url(restApiId: string, stage: string, path: string): string;
  close(): Promise<void>;
}

/** Starts it, before anything is deployed, so that every deployment is seen when it is made. */
export async function startRestApi(aws: LocalAws, options: RestApiOptions = {}): Promise<RestApi> {
  const { host = "127.0.0.1", port = 0, requestTimeoutMs = 30_000 } = options;
  const client = new APIGatewayClient(aws.clientConfig());
  const stages = new Stages(client);
  aws.handle("apigateway", "Unknown", async (request, next) => {
    const response = await next();
    await stages.noticeDeployment(request, response);
    return response;
  });

  const server = createServer(
    { requestTimeout: requestTimeoutMs, headersTimeout: requestTimeoutMs, connectionsCheckingInterval: 500 },
    (incoming, outgoing) => {
      // A sender that hangs up in the middle gets no answer, and there is nothing to report.
      serve(aws, stages, incoming).then(
        (response) => send(outgoing, response),
        () => outgoing.destroy(),
      );
    },
  );
  server.listen(port, host);
  await once(server, "listening");
  const origin = `http://${host}:${(server.address() as AddressInfo).port}`;

  return {
    url: (restApiId, stage, path) => `${origin}/restapis/${restApiId}/${stage}/${path}`,
    close: async () => {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
      client.destroy();
    },
  };
}

async function serve(aws: LocalAws, stages: Stages, incoming: IncomingMessage): Promise<StageAnswer> {
  const body = await readBody(incoming);
  const response = await route(aws, stages, incoming, body).catch(
    (error: Error): StageAnswer => ({
      ...ownAnswer(500, "Internal server error"),
      reason: `the REST API cannot be served: ${error.message}`,
    }),
  );
  report(aws, response, body);
  return response;
}

async function route(
  aws: LocalAws,
  stages: Stages,
  incoming: IncomingMessage,
  body: StageRequest["body"],
): Promise<StageAnswer> {
  const pathname = (incoming.url ?? "/").replace(/[?#].*/s, "");
  const [, restApiId, stageName, path = "/"] = /^\/restapis\/([^/]+)\/([^/]+)(\/.*)?$/.exec(pathname) ?? [];
  const stage = restApiId && stageName ? await stages.find(restApiId, stageName) : undefined;
  if (!stage) return { ...ownAnswer(403, "Forbidden"), reason: "there is no such API or stage" };
  return answer(aws, stage, {
    method: incoming.method ?? "GET",
    path,
    headers: headersOf(incoming),
    body,
    sourceIp: (incoming.socket.remoteAddress ?? "").replace(/^::ffff:/, ""),
  });
}

/** An answer without a deployment that could customise it. */
function ownAnswer(status: number, message: string): StageAnswer {
  return { status, headers: { "content-type": "application/json" }, body: JSON.stringify({ message }) };
}

/** The stages that are deployed, and what their deployments froze. */
class Stages {
  private readonly deployments = new Map<string, Promise<Deployment>>();
  private readonly buckets = new Map<string, TokenBucket>();

  constructor(private readonly client: APIGatewayClient) {}

  /** Reads the REST API when `request` made a deployment of it. */
  async noticeDeployment({ method, url }: AwsRequest, response: AwsResponse): Promise<void> {
    const restApiId = /^\/restapis\/([^/]+)\/deployments\/?$/.exec(new URL(url, "http://api").pathname)?.[1];
    if (method !== "POST" || restApiId === undefined || response.status !== 201) return;
    const { id } = JSON.parse(response.body.toString("utf8")) as { id: string };
    await this.deployment(restApiId, id);
  }

  async find(restApiId: string, name: string): Promise<Stage | undefined> {
    const stage = await this.read(restApiId, name);
    if (stage?.deploymentId === undefined) return undefined;
    const setting = stage.methodSettings?.["*/*"];
    return {
      name,
      deployment: await this.deployment(restApiId, stage.deploymentId),
      variables: stage.variables ?? {},
      admit: (path, method) => this.bucket(`${restApiId}/${name} ${method} ${path}`, setting)?.take() ?? true,
    };
  }

  private async read(restApiId: string, stageName: string): Promise<GetStageCommandOutput | undefined> {
    try {
      return await this.client.send(new GetStageCommand({ restApiId, stageName }));
    } catch (error) {
      if (error instanceof NotFoundException) return undefined;
      throw error;
    }
  }

  private deployment(restApiId: string, id: string): Promise<Deployment> {
    const key = `${restApiId}/${id}`;
    const known = this.deployments.get(key);
    if (known) return known;
    const loading = loadDeployment(this.client, restApiId);
    this.deployments.set(key, loading);
    // What could not be read is read again at the next request.
    loading.catch(() => this.deployments.delete(key));
    return loading;
  }

  private bucket(method: string, setting: MethodSetting | undefined): TokenBucket | undefined {
    const { throttlingRateLimit: rate = -1, throttlingBurstLimit: burst = -1 } = setting ?? {};
    if (rate < 0 || burst < 0) return undefined;
    // Other limits are another bucket.
    const key = `${method} ${rate} ${burst}`;
    const bucket = this.buckets.get(key) ?? new TokenBucket(rate, burst);
    this.buckets.set(key, bucket);
    return bucket;
  }
}

/** Undefined when it is longer than API Gateway takes; the rest is read and thrown away, so that an answer arrives. */
async function readBody(incoming: IncomingMessage): Promise<StageRequest["body"]> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length <= MAX_BODY_BYTES) chunks.push(chunk);
    else chunks.length = 0;
  }
  return length <= MAX_BODY_BYTES ? Buffer.concat(chunks) : undefined;
}

function headersOf({ headers }: IncomingMessage): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, [value ?? ""].flat().join(", ")]),
  );
}

function send(outgoing: ServerResponse, { status, headers, body }: StageAnswer): void {
  outgoing.writeHead(status, headers).end(body);
}

function report(aws: LocalAws, { status, sent, reason }: StageAnswer, body: StageRequest["body"]): void {
  const push = sent === undefined ? undefined : sentPush(sent);
  if (reason === undefined) {
    const detail = `push of ${push?.ref ?? "an unknown ref"} taken, answered ${status}`;
    aws.report({ stage: "received", state: "succeeded", ...push, detail });
    return;
  }
  const cause = sent !== undefined && !push ? `${describePush(body)} is not taken; ${reason}` : reason;
  aws.report({ stage: "received", state: "failed", ...push, detail: `webhook answered ${status}: ${cause}` });
}

/** For people: which repository's push a body is, should it be one. */
function describePush(body: StageRequest["body"]): string {
  try {
    const { ref, repository } = JSON.parse(new URLSearchParams(String(body)).get("payload") ?? "");
    const isPush = typeof ref === "string" && typeof repository.url === "string";
    return isPush ? `a push of ${repository.url.slice(0, 200)}, ${ref.slice(0, 200)},` : "what is no push";
  } catch {
    return "what is no push";
  }
}

/** Commit and ref of the push that was sent to AWS, in an event or in a build's variables; undefined: there is none. */
function sentPush(sent: string): { commit: string; ref: string } | undefined {
  try {
    const { Entries, environmentVariablesOverride } = JSON.parse(sent);
    if (Array.isArray(Entries)) {
      const { ref, after } = JSON.parse(Entries[0].Detail);
      return { ref, commit: after };
    }
    const variables: { name: string; value: string }[] = environmentVariablesOverride;
    const value = (name: string) => variables.find((variable) => variable.name === name)!.value;
    return { ref: value("GIT_REF"), commit: value("GIT_COMMIT") };
  } catch {
    return undefined;
  }
}
