import type { IncomingHttpHeaders } from "node:http";
import type { AwsRequest } from "./local-aws";
import { s3Operation } from "./s3-operation";

/** How a service's answers are written. */
export type Protocol = "json" | "cbor" | "query" | "ec2" | "s3" | "rest-json";

/** A request with the protocol its answer has to follow. */
export interface ApiRequest extends AwsRequest {
  readonly protocol: Protocol;
}

/** Signing names of the services here that speak JSON over REST paths, whose operations are not told apart. */
const REST_JSON = new Set(["apigateway"]);

/**
 * Reads service, operation, caller and parameters out of an HTTP request. Undefined when it carries no SigV4
 * credential scope (neither the `Authorization` header nor a presigned query).
 *
 * The operation is `Unknown` where a REST path does not tell it; only the administrator may make such calls.
 *
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html
 */
export function readApiRequest(
  method: string,
  url: string,
  incoming: IncomingHttpHeaders,
  body: Buffer,
): ApiRequest | undefined {
  const headers = flat(incoming);
  const { pathname, searchParams: query } = new URL(url, "http://endpoint");
  const scope =
    /Credential=([^,\s]+)/.exec(headers.authorization ?? "")?.[1] ?? query.get("X-Amz-Credential") ?? "";
  const [accessKeyId, , , service] = scope.split("/");
  if (!accessKeyId || !service) return undefined;

  const request = { service: service.toLowerCase(), accessKeyId, method, url, headers, body };
  const target = headers["x-amz-target"];
  if (target) {
    return {
      ...request,
      protocol: "json",
      action: target.slice(target.indexOf(".") + 1),
      parameters: jsonOf(body),
    };
  }
  const rpc = /^\/service\/[^/]+\/operation\/(\w+)$/.exec(pathname)?.[1];
  if (rpc) return { ...request, protocol: "cbor", action: rpc, parameters: {} };
  if (request.service === "s3") {
    return { ...request, protocol: "s3", ...s3Operation(method, pathname, query, headers) };
  }
  if (REST_JSON.has(request.service)) {
    return { ...request, protocol: "rest-json", action: "Unknown", parameters: {} };
  }
  const isForm = headers["content-type"]?.startsWith("application/x-www-form-urlencoded") ?? false;
  const parameters = Object.fromEntries([
    ...query,
    ...(isForm ? new URLSearchParams(body.toString("utf8")) : []),
  ]);
  return {
    ...request,
    protocol: request.service === "ec2" ? "ec2" : "query",
    action: parameters.Action ?? "Unknown",
    parameters,
  };
}

function flat(headers: IncomingHttpHeaders): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, [value ?? ""].flat().join(", ")]),
  );
}

/** The handler, not this reader, answers a body that is no JSON: AWS has an error of its own for that. */
function jsonOf(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8"));
  } catch {
    return {};
  }
}
