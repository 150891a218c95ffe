import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { errorAnswer, jsonAnswer } from "../../../rehearsal/aws/api-answer";
import { readApiRequest } from "../../../rehearsal/aws/api-request";
import { startLocalAws } from "../../../rehearsal/aws/endpoint";
import { type Activity, AwsError, type AwsResponse } from "../../../rehearsal/aws/local-aws";

export const REGION = "ap-northeast-1";
export const ACCOUNT = "123456789012";

// biome-ignore lint/suspicious/noExplicitAny: the shape depends on the action
type Answering = (parameters: any, accessKeyId: string, body: Buffer) => unknown;

/** The real endpoint with its permission checks, in front of a control plane that answers as a test tells it. */
export async function startPlayedAws({ timeScale = 1_000 } = {}) {
  const activities: Activity[] = [];
  const control = new Map<string, Answering>();
  /** Actions that no role may do. */
  const denied = new Set<string>();
  /** Every call that reached the control plane. */
  const calls: string[] = [];

  const server = createServer(async (incoming, outgoing) => {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    const request = readApiRequest(incoming.method!, incoming.url!, incoming.headers, body)!;
    const name = `${request.service}:${request.action}`;
    calls.push(name);
    let answer: AwsResponse;
    try {
      const play = control.get(name);
      if (!play) throw new AwsError("NotInThisTest", `${name} has no answer in this test`, 500);
      const result = await play(request.parameters, request.accessKeyId, body);
      answer = isResponse(result)
        ? result
        : request.protocol === "json"
          ? jsonAnswer(result as Record<string, unknown>)
          : xmlAnswer(request.action, result);
    } catch (error) {
      answer = errorAnswer(request, error as AwsError);
    }
    outgoing.writeHead(answer.status, answer.headers).end(answer.body);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");

  const aws = await startLocalAws({
    motoUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    region: REGION,
    accountId: ACCOUNT,
    timeScale,
    onActivity: (activity) => activities.push(activity),
    policies: {
      trustPolicy: async (role) => ({
        Statement: {
          Effect: "Allow",
          Action: "sts:AssumeRole",
          Principal: { Service: `${role}.amazonaws.com` },
        },
      }),
      rolePolicies: async () => [
        { Statement: { Effect: "Allow", Action: "*", Resource: "*" } },
        ...(denied.size > 0
          ? [{ Statement: { Effect: "Deny", Action: [...denied], Resource: "*" } } as const]
          : []),
      ],
      resourcePolicy: async () => undefined,
    },
  });
  return {
    aws,
    activities,
    calls,
    denied,
    control,
    /** The lines that a person would see. */
    lines: () => activities.map(({ stage, state }) => `${stage} ${state}`),
    close: async () => {
      await aws.close();
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

/** A role that `service` may assume. */
export function roleFor(service: string): string {
  return `arn:aws:iam::${ACCOUNT}:role/${service}`;
}

/** Waits until `look` gives something. */
export async function until<T>(look: () => T | Promise<T>, seconds = 5): Promise<NonNullable<T>> {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited ${seconds} s for: ${look}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function isResponse(value: unknown): value is AwsResponse {
  return typeof value === "object" && value !== null && "status" in value && "body" in value;
}

function xmlAnswer(action: string, result: unknown): AwsResponse {
  const text = `<${action}Response><${action}Result>${xml(result)}</${action}Result></${action}Response>`;
  return { status: 200, headers: { "content-type": "text/xml" }, body: Buffer.from(text) };
}

function xml(value: unknown): string {
  if (Array.isArray(value)) return value.map((one) => `<member>${xml(one)}</member>`).join("");
  if (typeof value !== "object" || value === null) return String(value);
  return Object.entries(value)
    .filter(([, one]) => one !== undefined)
    .map(([name, one]) => `<${name}>${xml(one)}</${name}>`)
    .join("");
}
