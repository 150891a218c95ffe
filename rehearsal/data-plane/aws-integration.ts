import type { Integration } from "@aws-sdk/client-api-gateway";
import type { Credentials, LocalAws } from "../aws/local-aws";
import { GatewayFault } from "./gateway-response";
import { NotPlayed } from "./template-errors";

/** What AWS answered to an integration's request. */
export interface IntegrationAnswer {
  readonly status: number;
  readonly body: string;
}

/** The part of the local AWS that an integration needs. */
export type IntegrationAws = Pick<LocalAws, "endpoint" | "assumeRole">;

const DEFAULT_TIMEOUT_MS = 29_000;

/**
 * Sends `body` to an action of an AWS service, as an integration of the type AWS does: as its credentials role,
 * with no headers but those that the integration sets.
 * Left out: request parameters that are taken from the caller's request, and integrations without a role.
 * @throws GatewayFault when the role cannot be assumed, AWS cannot be reached or does not answer in time
 * @see https://docs.aws.amazon.com/apigateway/latest/api/API_Integration.html
 * @see https://docs.aws.amazon.com/apigateway/latest/developerguide/integration-request-basic-setup.html
 */
export async function callAction(
  aws: IntegrationAws,
  integration: Integration,
  body: string,
): Promise<IntegrationAnswer> {
  const { region, service } = readUri(integration);
  const headers = staticHeaders(integration);
  const credentials = await assume(aws, integration);
  if (!headers.has("x-amz-target") || !headers.get("content-type")?.startsWith("application/x-amz-json-")) {
    // The JSON services find their operation by this header, and read this content type.
    return { status: 404, body: '{"__type":"UnknownOperationException"}' };
  }
  headers.set("authorization", scopeOf(credentials, region, service));
  if (credentials.sessionToken) headers.set("x-amz-security-token", credentials.sessionToken);
  try {
    const signal = AbortSignal.timeout(integration.timeoutInMillis ?? DEFAULT_TIMEOUT_MS);
    const response = await fetch(aws.endpoint, { method: "POST", headers, body, signal });
    return { status: response.status, body: await response.text() };
  } catch (error) {
    const { name, message } = error as Error;
    throw name === "TimeoutError"
      ? new GatewayFault(
          "INTEGRATION_TIMEOUT",
          "Endpoint request timed out",
          `${service} did not answer in time`,
        )
      : new GatewayFault(
          "INTEGRATION_FAILURE",
          "Network error communicating with endpoint",
          `${service} cannot be reached: ${message}`,
        );
  }
}

function readUri({ type, httpMethod, uri = "" }: Integration) {
  const match = /^arn:aws[\w-]*:apigateway:([\w-]+):([\w-]+):(?:action\/\w+|path\/)/.exec(uri);
  if (type !== "AWS" || httpMethod !== "POST" || !match) {
    throw new NotPlayed(`an integration of the type ${type} with ${httpMethod} ${uri}`);
  }
  return { region: match[1]!, service: match[2]! };
}

function staticHeaders({ requestParameters = {} }: Integration): Headers {
  return new Headers(
    Object.entries(requestParameters).map(([target, source]): [string, string] => {
      const name = /^integration\.request\.header\.([\w-]+)$/.exec(target)?.[1];
      const value = /^'([^']*)'$/.exec(source)?.[1];
      if (name === undefined || value === undefined)
        throw new NotPlayed(`the parameter ${target} = ${source}`);
      return [name, value];
    }),
  );
}

async function assume(aws: IntegrationAws, { credentials: roleArn }: Integration): Promise<Credentials> {
  if (!roleArn) throw new NotPlayed("an integration without a role");
  try {
    // API Gateway sends neither aws:SourceAccount nor aws:SourceArn: a trust policy that wants them shuts it out.
    return await aws.assumeRole(roleArn, "apigateway.amazonaws.com");
  } catch (error) {
    throw new GatewayFault(
      "API_CONFIGURATION_ERROR",
      "Internal server error",
      `API Gateway may not assume ${roleArn}: ${(error as Error).message}`,
    );
  }
}

/** The local AWS attributes a request to its principal by this scope; it verifies no signatures. */
function scopeOf({ accessKeyId }: Credentials, region: string, service: string): string {
  const date = new Date().toISOString().slice(0, 10).replaceAll("-", "");
  return `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${date}/${region}/${service}/aws4_request, SignedHeaders=host, Signature=rehearsal`;
}
