import type { Deployment } from "./rest-api-deployment";

/** Types of the answers that API Gateway gives by itself, with their statuses. */
const DEFAULT_STATUS = {
  ACCESS_DENIED: 403,
  API_CONFIGURATION_ERROR: 500,
  INTEGRATION_FAILURE: 504,
  INTEGRATION_TIMEOUT: 504,
  MISSING_AUTHENTICATION_TOKEN: 403,
  REQUEST_TOO_LARGE: 413,
  THROTTLED: 429,
  UNSUPPORTED_MEDIA_TYPE: 415,
} as const;

/** An HTTP answer of the gateway. */
export interface GatewayAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Ends a request with one of the gateway's own answers. */
export class GatewayFault extends Error {
  constructor(
    readonly type: keyof typeof DEFAULT_STATUS,
    /** What the sender reads. */
    message: string,
    /** What people read who watch: the cause, without the secret path. */
    readonly reason: string,
  ) {
    super(message);
  }
}

/**
 * The answer for a fault, as the deployment customises it: by its type, else by `DEFAULT_4XX` or `DEFAULT_5XX`.
 * Templates of gateway responses know variables only, no Velocity.
 * @see https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
 * @see https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-gatewayResponse-definition.html
 */
export function gatewayAnswer(
  { gatewayResponses }: Deployment,
  fault: GatewayFault,
  requestId: string,
): GatewayAnswer {
  const standard = DEFAULT_STATUS[fault.type];
  const custom =
    gatewayResponses.get(fault.type) ?? gatewayResponses.get(standard < 500 ? "DEFAULT_4XX" : "DEFAULT_5XX");
  const template = custom?.responseTemplates?.["application/json"];
  const variables: Readonly<Record<string, string>> = {
    "$context.requestId": requestId,
    "$context.error.message": fault.message,
    "$context.error.messageString": JSON.stringify(fault.message),
    "$context.error.responseType": fault.type,
  };
  return {
    status: Number(custom?.statusCode ?? standard),
    headers: { "content-type": "application/json" },
    body:
      template?.replace(/\$context(?:\.\w+)+/g, (variable) => variables[variable] ?? variable) ??
      JSON.stringify({ [fault.type === "ACCESS_DENIED" ? "Message" : "message"]: fault.message }),
  };
}
