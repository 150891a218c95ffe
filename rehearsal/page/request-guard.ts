import { timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";

/** The header that carries the page's token: a form cannot send it, and another page's script must ask first. */
export const TOKEN_HEADER = "x-rehearsal-token";

/** Sent with every answer: the page takes nothing from elsewhere, and nobody else takes anything from it. */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  "Content-Security-Policy": [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "img-src 'self' data:",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join("; "),
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Cache-Control": "no-store",
};

/** What is wrong with a request to the page's server on this port; `undefined` when nothing is. */
export function refusal(
  { method, path, headers }: { method: string; path: string; headers: IncomingHttpHeaders },
  port: number,
  token: string,
): { status: number; reason: string } | undefined {
  // A name of somebody else's that leads to this machine would make that somebody's page ours in the browser's eyes.
  const hosts = [`127.0.0.1:${port}`, `localhost:${port}`];
  if (!hosts.includes(headers.host ?? "")) return { status: 403, reason: "this host name is not served" };
  const site = headers["sec-fetch-site"];
  // A link may lead to the page itself; nothing else of it is for other pages.
  if (path !== "/" && site !== undefined && site !== "same-origin" && site !== "none") {
    return { status: 403, reason: "not for other pages" };
  }
  if (method === "GET" || method === "HEAD") return undefined;
  if (method !== "POST") return { status: 405, reason: "GET or POST" };
  if (headers.origin !== `http://${headers.host}`) return { status: 403, reason: "not from this page" };
  if (!/^application\/json(;|$)/.test(headers["content-type"] ?? "")) {
    return { status: 415, reason: "application/json is expected" };
  }
  if (!sameText(String(headers[TOKEN_HEADER] ?? ""), token)) {
    return { status: 403, reason: "the page is of an earlier run: load it again" };
  }
  return undefined;
}

function sameText(one: string, other: string): boolean {
  const [left, right] = [Buffer.from(one), Buffer.from(other)];
  return left.length === right.length && timingSafeEqual(left, right);
}
