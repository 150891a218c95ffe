/**
 * The contract between the AWS on this machine and the pieces of its data plane.
 * A piece registers the API actions it plays, and makes its own calls as the role that AWS would use:
 * each such call passes the same permission check as a call from outside.
 */

/** Credentials of one principal; a request is attributed to its principal by the access key id. */
export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** One call of an AWS API as it arrived. */
export interface AwsRequest {
  /** Signing name of the service, e.g. `codebuild`, `events`, `ecs`, `elasticloadbalancing`, `s3`, `ecr`. */
  readonly service: string;
  /** Name of the operation as the API reference has it, e.g. `StartBuild`. */
  readonly action: string;
  readonly accessKeyId: string;
  readonly method: string;
  /** Path with query, as sent. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** Parameters of JSON and query protocols (query lists as `Name.member.1` keys are left flat); `{}` otherwise. */
  // biome-ignore lint/suspicious/noExplicitAny: the shape depends on the action
  readonly parameters: any;
}

/** An HTTP answer of an AWS API. */
export interface AwsResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/**
 * Plays one action. Returns a plain object to be sent as the JSON body (status 200), or a full response;
 * throws `AwsError` for an error answer. `next` passes the request on to the control plane.
 */
export type Handler = (
  request: AwsRequest,
  next: () => Promise<AwsResponse>,
) => Promise<AwsResponse | Record<string, unknown>>;

/** An error as AWS APIs answer it. */
export class AwsError extends Error {
  constructor(
    /** The error's code, e.g. `AccessDeniedException`. */
    readonly code: string,
    message: string,
    /** HTTP status. */
    readonly status = 400,
  ) {
    super(message);
    this.name = "AwsError";
  }
}

/** The stages a push goes through, in order. The dashboard of the stack uses the same names. */
export const STAGES = [
  "received",
  "filtered",
  "queued",
  "building",
  "image",
  "artifact",
  "pipeline",
  "test listener",
  "live",
  "old version gone",
] as const;
export type Stage = (typeof STAGES)[number];

/** Something that happened to a push, for progress lines, the closing table and the checks. */
export interface Activity {
  readonly stage: Stage;
  readonly state: "started" | "waiting" | "succeeded" | "failed" | "skipped";
  /** The commit's 40 hex digits, when it is known. */
  readonly commit?: string;
  readonly ref?: string;
  /** One line for people: what is waited for, what was produced, why it failed. No secret. */
  readonly detail: string;
  /** Milliseconds since the epoch; set by `report`. */
  readonly at?: number;
}

export interface LocalAws {
  readonly region: string;
  readonly accountId: string;
  /** URL of every API; each request is checked against its principal's policies, then played or passed to the control plane. */
  readonly endpoint: string;
  /** The account's administrator (Terraform, the checks); not restricted. */
  readonly administrator: Credentials;

  /** Settings for an AWS SDK client that calls as `credentials` (default: the administrator). */
  clientConfig(credentials?: Credentials): {
    region: string;
    endpoint: string;
    credentials: Credentials;
    maxAttempts: number;
  };

  /**
   * Credentials for a role, as a service gets them. The role's trust policy is evaluated with just the keys
   * this service really sends.
   * @throws AwsError `AccessDenied` when the trust policy does not let the service in
   */
  assumeRole(
    roleArn: string,
    service: string,
    source?: { arn?: string; account?: string },
  ): Promise<Credentials>;

  /**
   * Checks one permission outside an API call (a registry push, a log write).
   * @throws AwsError `AccessDenied` naming principal, action and resource
   */
  authorize(
    accessKeyId: string,
    action: string,
    resource: string,
    context?: Readonly<Record<string, string>>,
  ): Promise<void>;

  /** Plays `action` of `service` instead of the control plane. The last registration wins. */
  handle(service: string, action: string, handler: Handler): void;

  /** Sleeps `seconds` of AWS time: divided by the rehearsal's time scale. */
  wait(seconds: number): Promise<void>;

  /** Tells people and checks what happened. */
  report(activity: Activity): void;
}
