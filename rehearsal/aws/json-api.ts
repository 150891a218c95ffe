import { AwsError, type Credentials, type LocalAws } from "./local-aws";

/** Signing name of a service -> what stands before the operation in `X-Amz-Target`. */
const TARGETS = {
  codebuild: "CodeBuild_20161006",
  codedeploy: "CodeDeploy_20141006",
  codepipeline: "CodePipeline_20150709",
  ecs: "AmazonEC2ContainerServiceV20141113",
  events: "AWSEvents",
  secretsmanager: "secretsmanager",
  sqs: "AmazonSQS",
  states: "AWSStepFunctions",
} as const;

/** A service that speaks AWS's JSON protocol. */
export type JsonService = keyof typeof TARGETS;

/** Where calls go. */
export type Destination = Pick<LocalAws, "endpoint" | "region">;

/**
 * Calls an operation of a JSON service once, with its parameters as they are: services that call others (EventBridge,
 * Step Functions) do their own retries and hand over raw payloads, which the SDK clients would not do.
 *
 * @throws AwsError with the code, message and status of the answer
 */
export async function callJson(
  to: Destination,
  credentials: Credentials,
  service: JsonService,
  operation: string,
  parameters: unknown,
  // biome-ignore lint/suspicious/noExplicitAny: the shape depends on the operation
): Promise<any> {
  const answer = await fetch(to.endpoint, {
    method: "POST",
    headers: {
      Authorization: scopeOf(to, credentials, service),
      "Content-Type": service === "sqs" ? "application/x-amz-json-1.0" : "application/x-amz-json-1.1",
      "X-Amz-Target": `${TARGETS[service]}.${operation}`,
    },
    body: JSON.stringify(parameters),
  });
  const text = await answer.text();
  const body = parsed(text);
  if (answer.ok) return body;
  const code = String(body.__type ?? "InternalFailure").replace(/^.*#/, "");
  throw new AwsError(code, String(body.message ?? body.Message ?? text), answer.status);
}

/**
 * Calls an operation of a service that speaks the query protocol (SNS). The answer's XML is of no use here.
 *
 * @throws AwsError with the code, message and status of the answer
 */
export async function callQuery(
  to: Destination,
  credentials: Credentials,
  service: string,
  parameters: Readonly<Record<string, string>>,
): Promise<void> {
  const answer = await fetch(to.endpoint, {
    method: "POST",
    headers: { Authorization: scopeOf(to, credentials, service) },
    body: new URLSearchParams(parameters),
  });
  const text = await answer.text();
  if (answer.ok) return;
  const element = (name: string) => new RegExp(`<${name}>([^<]*)</${name}>`).exec(text)?.[1];
  throw new AwsError(element("Code") ?? "InternalFailure", element("Message") ?? text, answer.status);
}

/** The endpoint attributes a call by its credential scope; it does not verify signatures, so none is made. */
function scopeOf(to: Destination, { accessKeyId }: Credentials, service: string): string {
  const day = new Date().toISOString().slice(0, 10).replaceAll("-", "");
  return `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${day}/${to.region}/${service}/aws4_request, SignedHeaders=host, Signature=none`;
}

function parsed(text: string): Record<string, unknown> {
  try {
    return text ? JSON.parse(text) : {};
  } catch {
    return {};
  }
}
