/**
 * What a listener's default action answers to a request.
 *
 * Copies: `forward` with weights (a group of weight 0 gets nothing, and no group stands in for another),
 * `redirect` with its placeholders, `fixed-response`; 503 without a registered target, 502 when the target breaks
 * the connection, 504 when it does not answer within a minute; the headers X-Forwarded-For, -Proto and -Port.
 * Left out: authentication, mutual TLS, stickiness, WebSockets, HTTP/2. The weights are kept in turn, not by chance.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-action-types.html
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/x-forwarded-headers.html
 */

import { type IncomingMessage, request, type ServerResponse } from "node:http";
import type { Action } from "@aws-sdk/client-elastic-load-balancing-v2";
import type { TargetGroup } from "./target-group";
import type { Place } from "./task-network";

/** "The load balancer did not receive a response from the target before the idle timeout period elapsed." */
const IDLE_MILLISECONDS = 60_000;

/** Headers that end at each hop. */
const HOP_BY_HOP = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** A target group's share of a forward action. */
export interface Share {
  readonly arn: string;
  readonly weight: number;
}

/** The shares of a forward action; empty for any other. */
export function sharesOf(action: Action | undefined): Share[] {
  if (action?.Type !== "forward") return [];
  const groups = action.ForwardConfig?.TargetGroups ?? [];
  if (groups.length === 0 && action.TargetGroupArn) return [{ arn: action.TargetGroupArn, weight: 1 }];
  return groups.map(({ TargetGroupArn = "", Weight = 1 }) => ({ arn: TargetGroupArn, weight: Weight }));
}

/** Chooses among weighted groups in turn, so that each hundred requests keep the weights. */
export class WeightedTurn {
  private credit = new Map<string, number>();

  next(shares: readonly Share[]): string | undefined {
    const open = shares.filter(({ weight }) => weight > 0);
    if (open.length === 0) return undefined;
    const total = open.reduce((sum, { weight }) => sum + weight, 0);
    const credit = new Map(open.map(({ arn, weight }) => [arn, (this.credit.get(arn) ?? 0) + weight]));
    const [chosen = ""] = [...credit].reduce((best, one) => (one[1] > best[1] ? one : best));
    credit.set(chosen, (credit.get(chosen) ?? 0) - total);
    this.credit = credit;
    return chosen;
  }
}

/** What an action needs to know of its listener. */
export interface ListenerContext {
  readonly protocol: string;
  readonly port: number;
  readonly turn: WeightedTurn;
  group(arn: string): TargetGroup | undefined;
  locate(id: string, port: number): Place | undefined;
}

/** Answers one request by a listener's default action. */
export function answer(
  action: Action | undefined,
  listener: ListenerContext,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): void {
  switch (action?.Type) {
    case "forward":
      forward(sharesOf(action), listener, incoming, outgoing);
      return;
    case "redirect": {
      const redirect = action.RedirectConfig;
      const location = redirectLocation(redirect, listener, incoming);
      outgoing.writeHead(redirect?.StatusCode === "HTTP_301" ? 301 : 302, { Location: location }).end();
      return;
    }
    case "fixed-response": {
      const {
        StatusCode = "200",
        ContentType = "text/plain",
        MessageBody = "",
      } = action.FixedResponseConfig ?? {};
      outgoing.writeHead(Number(StatusCode), { "Content-Type": ContentType }).end(MessageBody);
      return;
    }
    default:
      fail(outgoing, 501, `Action ${action?.Type} is not played by this rehearsal`);
  }
}

function forward(
  shares: readonly Share[],
  listener: ListenerContext,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): void {
  const group = listener.group(listener.turn.next(shares) ?? "");
  const target = group?.pick();
  if (!group || !target) {
    fail(outgoing, 503, "Service Temporarily Unavailable");
    return;
  }
  group.requests += 1;
  const failed = (status: number, reason: string) => {
    group.failures += 1;
    fail(outgoing, status, reason);
  };
  const place = listener.locate(target.id, target.port);
  if (!place) {
    failed(502, "Bad Gateway");
    return;
  }

  target.open += 1;
  outgoing.once("close", () => {
    target.open -= 1;
    toTarget.destroy();
  });
  const { remoteAddress = "" } = incoming.socket;
  const before = incoming.headers["x-forwarded-for"];
  const headers = {
    ...endToEnd(incoming.headers),
    "x-forwarded-for": before ? `${before}, ${remoteAddress}` : remoteAddress,
    "x-forwarded-proto": listener.protocol.toLowerCase(),
    "x-forwarded-port": String(listener.port),
  };
  const toTarget = request({
    ...place,
    method: incoming.method,
    path: incoming.url,
    headers,
    agent: false,
    timeout: IDLE_MILLISECONDS,
  });
  toTarget.on("response", (answered) => {
    if ((answered.statusCode ?? 500) >= 500) group.failures += 1;
    outgoing.writeHead(answered.statusCode ?? 502, endToEnd(answered.headers));
    answered.pipe(outgoing);
    answered.on("error", () => outgoing.destroy());
  });
  toTarget.on("timeout", () => failed(504, "Gateway Time-out"));
  toTarget.on("error", () => {
    if (!outgoing.headersSent) failed(502, "Bad Gateway");
    else outgoing.destroy();
  });
  incoming.pipe(toTarget);
}

function fail(outgoing: ServerResponse, status: number, reason: string): void {
  if (outgoing.headersSent) return;
  const text = `${status} ${reason}`;
  const body = `<html><head><title>${text}</title></head><body><center><h1>${text}</h1></center></body></html>\n`;
  outgoing.writeHead(status, { "Content-Type": "text/html" }).end(body);
}

function endToEnd<T>(headers: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP_BY_HOP.has(name.toLowerCase())));
}

function redirectLocation(
  redirect: Action["RedirectConfig"],
  listener: ListenerContext,
  incoming: IncomingMessage,
): string {
  const { pathname, search } = new URL(incoming.url ?? "/", "http://listener");
  const values: Record<string, string> = {
    protocol: listener.protocol.toLowerCase(),
    host: (incoming.headers.host ?? "").replace(/:\d+$/, ""),
    port: String(listener.port),
    path: pathname.slice(1),
    query: search.slice(1),
  };
  const { Protocol = "#{protocol}", Host = "#{host}", Port = "#{port}", Path, Query } = redirect ?? {};
  const fill = (text: string) => text.replace(/#\{(\w+)\}/g, (_, name: string) => values[name] ?? "");
  const query = fill(Query ?? "#{query}");
  const scheme = fill(Protocol).toLowerCase();
  return `${scheme}://${fill(Host)}:${fill(Port)}${fill(Path ?? "/#{path}")}${query && `?${query}`}`;
}
