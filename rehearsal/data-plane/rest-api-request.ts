import { randomUUID } from "node:crypto";
import type { Integration, IntegrationResponse, Method } from "@aws-sdk/client-api-gateway";
import { evaluate } from "../aws/iam";
import { callAction, type IntegrationAnswer, type IntegrationAws } from "./aws-integration";
import { type GatewayAnswer, GatewayFault, gatewayAnswer } from "./gateway-response";
import { javaRegex } from "./java-regex";
import { evaluateTemplate, type TemplateInput } from "./mapping-template";
import type { Deployment } from "./rest-api-deployment";
import { NotPlayed, TemplateError } from "./template-errors";

/**
 * A request's way through a deployed REST API.
 *
 * Copied: resource policy, then path and method, then throttling, then content type and request template, then the
 * integration, then the choice of its response by status, response template and override of the status.
 * Left out, and answered 500 when deployed: authorisers, API keys, request validators, models, other integrations
 * than AWS, parameters taken from the request, caching, binary media types. Left out silently: WAF, logs, CORS.
 *
 * @see https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-authorization-flow.html
 * @see https://docs.aws.amazon.com/apigateway/latest/developerguide/integration-passthrough-behaviors.html
 * @see https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-integration-settings-integration-response.html
 * @see https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html
 */

/** A stage as it serves at this moment. */
export interface Stage {
  readonly name: string;
  readonly deployment: Deployment;
  readonly variables: Readonly<Record<string, string>>;
  /** Takes a request's place in the stage's throttling; false: too many. */
  admit(path: string, method: string): boolean;
}

/** An HTTP request to a stage. */
export interface StageRequest {
  readonly method: string;
  /** Path behind the stage's name, with its leading slash. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Undefined: it was longer than the limit. */
  readonly body: Buffer | undefined;
  /** Address of the TCP peer. */
  readonly sourceIp: string;
}

export interface StageAnswer extends GatewayAnswer {
  /** What was sent to AWS, when it came to that. */
  readonly sent?: string;
  /** Why no push was taken, for people; it never names the path. Undefined for a success. */
  readonly reason?: string;
}

export type StageAws = IntegrationAws & { readonly region: string; readonly accountId: string };

/** API Gateway's limit for a request's body, in bytes. */
export const MAX_BODY_BYTES = 10 * 1024 * 1024;

/** The answer to a request. */
export async function answer(aws: StageAws, stage: Stage, request: StageRequest): Promise<StageAnswer> {
  const requestId = randomUUID();
  const result = await execute(aws, stage, request, requestId).catch((error: Error): StageAnswer => {
    const fault = error instanceof GatewayFault ? error : configurationFault(error.message);
    return { ...gatewayAnswer(stage.deployment, fault, requestId), reason: fault.reason };
  });
  return { ...result, headers: { ...result.headers, "x-amzn-requestid": requestId } };
}

async function execute(
  aws: StageAws,
  stage: Stage,
  request: StageRequest,
  requestId: string,
): Promise<StageAnswer> {
  admitSender(aws, stage, request);
  const method = findMethod(stage.deployment, request);
  if (!stage.admit(request.path, request.method)) {
    throw new GatewayFault("THROTTLED", "Too Many Requests", "too many requests");
  }
  if (request.body === undefined) {
    const message = `HTTP content length exceeded ${MAX_BODY_BYTES} bytes.`;
    throw new GatewayFault("REQUEST_TOO_LARGE", message, `the body has more than ${MAX_BODY_BYTES} bytes`);
  }
  const integration = method.methodIntegration!;
  const context = contextOf(aws, stage, request, requestId);
  const surroundings = { context, stageVariables: stage.variables };
  const sent = mapRequest(integration, request.headers, {
    ...surroundings,
    body: request.body.toString("utf8"),
    parameters: { header: request.headers },
  });
  const answered = await callAction(aws, integration, sent);
  const mapped = mapResponse(method, answered, surroundings);
  if (mapped.status < 300) return { ...mapped, sent };
  return { ...mapped, sent, reason: `AWS answered ${answered.status} ${errorType(answered.body)}`.trim() };
}

function admitSender(aws: StageAws, stage: Stage, { sourceIp, method, path }: StageRequest): void {
  const { policy, restApiId } = stage.deployment;
  if (policy === undefined) return;
  const resource = (account: string) =>
    `arn:aws:execute-api:${aws.region}:${account}:${restApiId}/${stage.name}/${method}${path}`;
  const decision = evaluate([policy], {
    action: "execute-api:Invoke",
    resource: resource(aws.accountId),
    context: { "aws:SourceIp": sourceIp },
  });
  if (decision === "allow") return;
  const how = decision === "deny" ? "with an explicit deny" : "";
  const message =
    `User: anonymous is not authorized to perform: execute-api:Invoke on resource: ${resource(`********${aws.accountId.slice(-4)}`)} ${how}`.trim();
  throw new GatewayFault("ACCESS_DENIED", message, `the resource policy does not admit ${sourceIp}`);
}

function findMethod({ resources }: Deployment, { method, path }: StageRequest): Method {
  const methods = resources.get(path);
  const found = methods && Object.hasOwn(methods, method) ? methods[method] : undefined;
  if (!found) {
    // Also for a path that does not exist: API Gateway does not tell whether it does.
    const reason = methods ? `there is no method ${method} at this path` : "there is no such path";
    throw new GatewayFault("MISSING_AUTHENTICATION_TOKEN", "Missing Authentication Token", reason);
  }
  if (found.authorizationType !== "NONE" || found.apiKeyRequired || found.requestValidatorId) {
    throw new NotPlayed("an authoriser, an API key or a request validator");
  }
  if (!found.methodIntegration) throw new NotPlayed("a method without an integration");
  return found;
}

/** The integration's request: through the template of its content type, or as passthrough behaviour has it. */
function mapRequest(
  { requestTemplates = {}, passthroughBehavior = "WHEN_NO_MATCH" }: Integration,
  headers: Readonly<Record<string, string>>,
  input: TemplateInput,
): string {
  const contentType = mediaType(headers["content-type"] ?? "application/json");
  const key = Object.keys(requestTemplates).find((candidate) => mediaType(candidate) === contentType);
  if (key !== undefined) return evaluated(requestTemplates[key]!, input, "request").output;
  const passes =
    passthroughBehavior === "WHEN_NO_MATCH" ||
    (passthroughBehavior === "WHEN_NO_TEMPLATES" && Object.keys(requestTemplates).length === 0);
  if (passes) return input.body;
  throw new GatewayFault(
    "UNSUPPORTED_MEDIA_TYPE",
    "Unsupported Media Type",
    `the content type is ${contentType}`,
  );
}

/** The method's response to what AWS answered: chosen by status alone, then mapped, then perhaps overridden. */
function mapResponse(
  { methodIntegration, methodResponses = {} }: Method,
  answered: IntegrationAnswer,
  surroundings: Omit<TemplateInput, "body">,
): GatewayAnswer {
  const response = chooseResponse(
    Object.values(methodIntegration?.integrationResponses ?? {}),
    answered.status,
  );
  if (!response) throw configurationFault(`no integration response for the status ${answered.status}`);
  const { statusCode = "", responseTemplates = {}, responseParameters = {} } = response;
  if (!Object.hasOwn(methodResponses, statusCode)) {
    throw configurationFault(`no method response for the status ${statusCode}`);
  }
  if (Object.keys(responseParameters).length > 0)
    throw new NotPlayed("parameters of an integration response");
  const [contentType = "application/json", template] =
    Object.entries(responseTemplates).find(([type]) => type === "application/json") ??
    Object.entries(responseTemplates)[0] ??
    [];
  const { output, responseStatus }: { output: string; responseStatus?: number } =
    template === undefined
      ? { output: answered.body }
      : evaluated(template, { ...surroundings, body: answered.body }, "response");
  return {
    status: responseStatus ?? Number(statusCode),
    headers: { "content-type": contentType },
    body: output,
  };
}

/** The one whose pattern fits the whole status; else the one without a pattern. */
function chooseResponse(responses: readonly IntegrationResponse[], status: number) {
  return (
    responses.find(
      ({ selectionPattern }) =>
        selectionPattern && javaRegex(`^(?:${selectionPattern})$`).test(String(status)),
    ) ?? responses.find(({ selectionPattern }) => !selectionPattern)
  );
}

function evaluated(template: string, input: TemplateInput, which: "request" | "response") {
  try {
    const result = evaluateTemplate(template, input);
    if (which === "request" && result.responseStatus !== undefined) {
      throw new NotPlayed("a request template that overrides the response");
    }
    return result;
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    throw configurationFault(`the ${which} template cannot be evaluated: ${error.message}`);
  }
}

function configurationFault(reason: string): GatewayFault {
  return new GatewayFault("API_CONFIGURATION_ERROR", "Internal server error", reason);
}

function contextOf(aws: StageAws, stage: Stage, request: StageRequest, requestId: string) {
  return {
    accountId: aws.accountId,
    apiId: stage.deployment.restApiId,
    httpMethod: request.method,
    identity: { sourceIp: request.sourceIp, userAgent: request.headers["user-agent"] ?? "" },
    path: `/${stage.name}${request.path}`,
    protocol: "HTTP/1.1",
    requestId,
    requestTimeEpoch: Date.now(),
    resourcePath: request.path,
    stage: stage.name,
  };
}

function mediaType(contentType: string): string {
  return contentType.split(";", 1)[0]!.trim().toLowerCase();
}

function errorType(body: string): string {
  try {
    return String(JSON.parse(body).__type ?? "");
  } catch {
    return "";
  }
}
