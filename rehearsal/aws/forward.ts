import { request } from "node:http";
import type { AwsRequest, AwsResponse } from "./local-aws";

/** Headers that belong to one connection, not to the message. */
const HOP_BY_HOP = new Set(["connection", "keep-alive", "transfer-encoding", "expect"]);

/**
 * Passes a request on as it came: same path byte for byte, and same `Host`, since the control plane makes queue
 * URLs out of it.
 */
export function forward(
  to: string,
  { method, url, headers, body }: Pick<AwsRequest, "method" | "url" | "headers" | "body">,
): Promise<AwsResponse> {
  const { hostname, port } = new URL(to);
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        hostname,
        port,
        method,
        path: url,
        headers: { ...endToEnd(headers), "content-length": String(body.length) },
      },
      (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
        incoming.on("error", reject);
        incoming.on("end", () =>
          resolve({
            status: incoming.statusCode!,
            headers: endToEnd(incoming.headers),
            body: Buffer.concat(chunks),
          }),
        );
      },
    );
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

function endToEnd(headers: Readonly<Record<string, string | string[] | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers)
      .filter(([name, value]) => value !== undefined && !HOP_BY_HOP.has(name))
      .map(([name, value]) => [name, [value!].flat().join(", ")]),
  );
}
