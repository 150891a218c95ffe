import { randomBytes } from "node:crypto";
import { once, setMaxListeners } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { type Account, requirementsOf } from "./actions";
import { errorAnswer, jsonAnswer } from "./api-answer";
import { type ApiRequest, readApiRequest } from "./api-request";
import { forward } from "./forward";
import { callJson } from "./json-api";
import {
  type Activity,
  AwsError,
  type AwsResponse,
  type Credentials,
  type Handler,
  type LocalAws,
} from "./local-aws";
import { deployedPolicies, type Policies, remembering } from "./policies";
import { roleSessions, type Sessions } from "./sessions";

/** What the local AWS is made of. */
export interface LocalAwsOptions {
  /** URL of the control plane (moto). */
  readonly motoUrl: string;
  readonly region: string;
  readonly accountId: string;
  /** How many times faster than on AWS the waits are. */
  readonly timeScale: number;
  readonly onActivity: (activity: Activity) => void;
  /** @default a free one */
  readonly port?: number;
  /** Where policies are read. @default the control plane */
  readonly policies?: Policies;
}

/** The local AWS while it runs. */
export type RunningLocalAws = LocalAws &
  Pick<Sessions, "authorizeService"> & {
    /**
     * Stands in front of whatever plays an action: `next` passes the request on to it. The last one added is asked first.
     * @returns what takes it away again
     */
    intercept(service: string, action: string, handler: Handler): () => void;
    /** Sets how many times faster than on AWS the waits are that begin from now on. */
    setTimeScale(timeScale: number): void;
    /** Ends waits with an error, and the endpoint. */
    close(): Promise<void>;
  };

/**
 * Starts the endpoint of every AWS API on loopback. A call of the administrator passes unchecked; a call of a role's
 * session passes when the role's policies, or the resource's, allow what it needs; any other caller is refused.
 * Then it is played by the handler that is registered for it, or passed on to the control plane.
 */
export async function startLocalAws(options: LocalAwsOptions): Promise<RunningLocalAws> {
  const { motoUrl, region, accountId, onActivity, port = 0 } = options;
  let { timeScale } = options;
  const id = randomBytes(8).toString("hex");
  const administrator: Credentials = { accessKeyId: `AKIA${id.toUpperCase()}`, secretAccessKey: id };
  const policies =
    options.policies ??
    remembering(deployedPolicies({ endpoint: motoUrl, region, credentials: administrator }, accountId));
  const sessions = roleSessions(policies, region, accountId);
  const handlers = new Map<string, Handler>();
  const interceptors: { readonly key: string; readonly handler: Handler }[] = [];
  const closing = new AbortController();
  // Every wait listens to it.
  setMaxListeners(0, closing.signal);

  const server = createServer((incoming, outgoing) => {
    serve(incoming)
      .catch((error: Error) => jsonAnswer({ __type: "InternalFailure", message: error.message }, 500))
      .then((answer) => send(outgoing, answer));
  });
  // A connection that is closed in the very moment in which a client takes it up again would fail that client's call.
  server.keepAliveTimeout = 0;
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const account: Account = {
    region,
    accountId,
    call: (service, operation, parameters) =>
      callJson({ endpoint, region }, administrator, service, operation, parameters),
  };

  return {
    region,
    accountId,
    endpoint,
    administrator,
    clientConfig: (credentials = administrator) => ({ region, endpoint, credentials, maxAttempts: 1 }),
    assumeRole: sessions.assumeRole,
    authorize: sessions.authorize,
    authorizeService: sessions.authorizeService,
    handle: (service, action, handler) => handlers.set(`${service}:${action}`, handler),
    intercept: (service, action, handler) => {
      const interceptor = { key: `${service}:${action}`, handler };
      interceptors.push(interceptor);
      return () => {
        const index = interceptors.indexOf(interceptor);
        if (index >= 0) interceptors.splice(index, 1);
      };
    },
    setTimeScale: (scale) => {
      timeScale = scale;
    },
    wait: async (seconds) => {
      await sleep((seconds * 1000) / timeScale, undefined, { signal: closing.signal });
    },
    report: (activity) => {
      // What is cut short by the end is no news.
      if (!closing.signal.aborted) onActivity({ ...activity, at: Date.now() });
    },
    close: async () => {
      closing.abort();
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };

  async function serve(incoming: IncomingMessage): Promise<AwsResponse> {
    const body = await bodyOf(incoming);
    const request = readApiRequest(incoming.method!, incoming.url!, incoming.headers, body);
    if (!request) {
      const message = "Request is missing Authentication Token";
      return jsonAnswer({ __type: "MissingAuthenticationTokenException", message }, 403);
    }
    try {
      await permit(request);
      return await hideAbsence(request, await play(request));
    } catch (error) {
      if (error instanceof AwsError) return errorAnswer(request, error);
      // A fault of the rehearsal itself: an answer all the same, which says what it was.
      return errorAnswer(request, new AwsError("InternalFailure", String(error), 500));
    }
  }

  /** Asks the interceptors of an action, then who plays it, then the control plane: each as far as it is passed on. */
  async function play(request: ApiRequest): Promise<AwsResponse> {
    const key = `${request.service}:${request.action}`;
    const handler = handlers.get(key);
    const chain = [
      ...(handler ? [handler] : []),
      ...interceptors.filter((one) => one.key === key).map((one) => one.handler),
    ];
    const pass = (
      [inner, ...others]: readonly Handler[],
      next: () => Promise<AwsResponse>,
    ): Promise<AwsResponse> => {
      if (!inner) return next();
      return pass(others, async () => {
        const answer = await inner(request, next);
        return isResponse(answer) ? answer : jsonAnswer(answer);
      });
    };
    try {
      return await pass(chain, () => forward(motoUrl, request));
    } finally {
      // A policy that changes counts from the next call.
      if (mayChangePolicies(request)) policies.forget?.();
    }
  }

  async function permit(request: ApiRequest): Promise<void> {
    const { accessKeyId, service, action, method, url } = request;
    if (accessKeyId === administrator.accessKeyId) return;
    if (!sessions.has(accessKeyId)) {
      throw new AwsError(
        "UnrecognizedClientException",
        "The security token included in the request is invalid",
        403,
      );
    }
    const requirements = await requirementsOf(request, account);
    if (!requirements) {
      const what = action === "Unknown" ? `${method} ${url.split("?")[0]}` : action;
      throw new AwsError(
        "AccessDenied",
        `the rehearsal does not know which permission ${service} ${what} needs, so no role may call it`,
        403,
      );
    }
    for (const { action, resource, context } of requirements) {
      await sessions.authorize(accessKeyId, action, resource, context);
    }
  }

  /**
   * Who may not list a bucket is not told that an object is absent: 403 instead of 404.
   *
   * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
   */
  async function hideAbsence(request: ApiRequest, answer: AwsResponse): Promise<AwsResponse> {
    const { service, action, accessKeyId, parameters } = request;
    const isAbsent = service === "s3" && answer.status === 404 && /^(Get|Head)Object$/.test(action);
    if (!isAbsent || accessKeyId === administrator.accessKeyId) return answer;
    const bucket = `arn:aws:s3:::${parameters.Bucket}`;
    if (await sessions.isAllowed(accessKeyId, "s3:ListBucket", bucket)) return answer;
    return errorAnswer(request, new AwsError("AccessDenied", "Access Denied", 403));
  }
}

/** Services whose resources have the policies that are evaluated; of S3 and SQS, daily traffic is left out. */
const POLICY_SERVICES = ["iam", "s3", "secretsmanager", "sns", "sqs"];

function mayChangePolicies({ service, action }: Pick<ApiRequest, "service" | "action">): boolean {
  if (!POLICY_SERVICES.includes(service)) return false;
  return !/^(Get|Head|List|Describe|Batch|Upload)|Object|Message|^Publish$/.test(action);
}

async function bodyOf(incoming: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function isResponse(answer: AwsResponse | Record<string, unknown>): answer is AwsResponse {
  return typeof answer.status === "number" && Buffer.isBuffer(answer.body);
}

function send(outgoing: ServerResponse, { status, headers, body }: AwsResponse): void {
  // An answer to HEAD has the length of what GET would answer, and no body.
  const isHead = outgoing.req.method === "HEAD" && headers["content-length"] !== undefined;
  outgoing.writeHead(status, isHead ? headers : { ...headers, "content-length": String(body.length) });
  outgoing.end(body);
}
