import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import type { Activity, AwsError, Credentials, Handler, LocalAws } from "../../../rehearsal/aws/local-aws";

/** A request that reached the endpoint. */
export interface Received {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** What an endpoint answers; undefined: nothing, for ever. */
export type Answering = (request: Received) => { status?: number; json?: unknown; text?: string } | undefined;

/** An endpoint that answers as it is told, around what a REST API needs of the local AWS. */
export async function startFakeAws(answering: Answering) {
  const received: Received[] = [];
  const reported: Activity[] = [];
  const handlers = new Map<string, Handler>();
  const session: Credentials = { accessKeyId: "ASIAROLE", secretAccessKey: "s", sessionToken: "token-1" };
  const assumed: unknown[][] = [];
  let refusal: AwsError | undefined;

  const server = createServer(async (incoming, outgoing) => {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk);
    const { method = "", url: path = "", headers } = incoming;
    const request = { method, path, headers, body: Buffer.concat(chunks).toString("utf8") };
    received.push(request);
    const answer = answering(request);
    if (!answer) return;
    outgoing.writeHead(answer.status ?? 200, { "content-type": "application/json" });
    outgoing.end(answer.text ?? JSON.stringify(answer.json ?? {}));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const administrator: Credentials = { accessKeyId: "AKIAADMIN", secretAccessKey: "s" };

  const aws: LocalAws = {
    region: "ap-northeast-1",
    accountId: "123456789012",
    endpoint,
    administrator,
    clientConfig: (credentials = administrator) => ({
      region: "ap-northeast-1",
      endpoint,
      credentials,
      maxAttempts: 1,
    }),
    assumeRole: async (...args) => {
      assumed.push(args);
      if (refusal) throw refusal;
      return session;
    },
    authorize: async () => {},
    handle: (service, action, handler) => handlers.set(`${service}:${action}`, handler),
    wait: async () => {},
    report: (activity) => reported.push(activity),
  };
  return {
    aws,
    received,
    reported,
    assumed,
    handlers,
    refuseRole: (error: AwsError) => {
      refusal = error;
    },
    close: async () => {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
