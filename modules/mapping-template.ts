import { readAsset } from "./asset";
import { escapeTerraform } from "./terraform-text";

/** The repository whose pushes are accepted. */
export interface PushSource {
  readonly space: string;
  readonly domain: string;
  readonly projectKey: string;
  readonly repository: string;
}

/** Where an accepted push goes; the names may be references of Terraform. */
export type PushTarget =
  | { readonly delivery: "bus"; readonly eventBusName: string }
  | { readonly delivery: "direct"; readonly projectName: string };

/** One integration response of the webhook. */
export interface ResponseMapping {
  /** Status that the sender gets, unless the template overrides it. */
  readonly statusCode: "200" | "400" | "503";
  /** HTTP status of AWS that it is for, as a regular expression; left out: everything else. */
  readonly selectionPattern?: string;
  /** Mapping template for `application/json`. */
  readonly template: string;
}

/**
 * The mapping template that makes a request to AWS of a webhook's body: `PutEvents` for the bus, `StartBuild` for
 * the direct delivery. Bodies that are no push of `source` become a request that AWS refuses.
 * @throws when a value could end the text in the template that it stands in
 */
export function renderRequestTemplate(source: PushSource, target: PushTarget): string {
  const values = {
    SPACE: source.space,
    DOMAIN: source.domain,
    PROJECT: source.projectKey,
    REPOSITORY: source.repository,
  };
  const accept = readTemplate("accept-push.vtl");
  return target.delivery === "bus"
    ? fill(accept + readTemplate("put-events.vtl"), { ...values, EVENT_BUS_NAME: target.eventBusName })
    : fill(accept + readTemplate("start-build.vtl"), { ...values, PROJECT_NAME: target.projectName });
}

/**
 * What the sender is answered for each status of AWS. API Gateway keeps one integration response for each
 * `statusCode`, and chooses by AWS's HTTP status alone; what the status does not tell is in the templates.
 * @see https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-override-request-response-parameters.html
 */
export function renderResponseMappings(delivery: PushTarget["delivery"]): ResponseMapping[] {
  const success = delivery === "bus" ? "answer-put-events.vtl" : "answer.vtl";
  return [
    { statusCode: "200", template: readTemplate(success) },
    { statusCode: "400", selectionPattern: "4\\d{2}", template: readTemplate("answer-client-error.vtl") },
    { statusCode: "503", selectionPattern: "5\\d{2}", template: readTemplate("answer.vtl") },
  ];
}

function readTemplate(name: string): string {
  return escapeTerraform(readAsset("webhook", name));
}

// What names of Backlog and AWS are made of. Nothing in it means anything to Velocity, JSON or a quoted string.
const PLAIN = /^[A-Za-z0-9._/-]+$/;
const REFERENCE = /^\$\{[^"'#\\]+\}$/;

function fill(template: string, values: Readonly<Record<string, string>>): string {
  return template.replace(/__([A-Z]+(?:_[A-Z]+)*)__/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`the mapping template has no value for ${name}`);
    if (!PLAIN.test(value) && !REFERENCE.test(value)) {
      throw new Error(
        `${name} must consist of letters, digits, ".", "_", "/" and "-", or be one reference of Terraform, got: ${JSON.stringify(value)}`,
      );
    }
    return value;
  });
}
