import type { Integration, Method } from "@aws-sdk/client-api-gateway";
import { renderRequestTemplate, renderResponseMappings } from "../../../modules/mapping-template";
import type { PolicyDocument } from "../../../rehearsal/aws/iam";
import { BODIES, SOURCE } from "../../assets/webhook/bodies";

/** The path that only Backlog knows. */
export const SECRET_PATH = "/s3cr3t";

/** A captured push. */
export const PUSH = BODIES.find(({ name }) => name === "the captured one")!.body;
export const COMMIT = "dfac5de786839179987b7f7207e54936048b41ce";

/** The webhook's method as GetResources returns it. */
export function webhookMethod(
  changes: Partial<Integration> = {},
  delivery: "bus" | "direct" = "bus",
): Method {
  const mappings = renderResponseMappings(delivery);
  return {
    httpMethod: "POST",
    authorizationType: "NONE",
    apiKeyRequired: false,
    methodResponses: Object.fromEntries(mappings.map(({ statusCode }) => [statusCode, { statusCode }])),
    methodIntegration: {
      type: "AWS",
      httpMethod: "POST",
      uri: `arn:aws:apigateway:ap-northeast-1:${delivery === "bus" ? "events:action/PutEvents" : "codebuild:action/StartBuild"}`,
      credentials: "arn:aws:iam::123456789012:role/webhook",
      passthroughBehavior: "NEVER",
      requestParameters: {
        "integration.request.header.Content-Type": "'application/x-amz-json-1.1'",
        "integration.request.header.X-Amz-Target": "'AWSEvents.PutEvents'",
      },
      requestTemplates: {
        "application/x-www-form-urlencoded": renderRequestTemplate(
          SOURCE,
          delivery === "bus"
            ? { delivery, eventBusName: "example-push" }
            : { delivery, projectName: "example-build" },
        ),
      },
      integrationResponses: Object.fromEntries(
        mappings.map(({ statusCode, selectionPattern, template }) => [
          statusCode,
          {
            statusCode,
            ...(selectionPattern && { selectionPattern }),
            responseTemplates: { "application/json": template },
          },
        ]),
      ),
      ...changes,
    },
  };
}

/** Everybody may call, but only from `cidr`. */
export function senderPolicy(cidr: string): PolicyDocument {
  const statement = {
    Principal: "*" as const,
    Action: "execute-api:Invoke",
    Resource: "arn:aws:execute-api:*:*:api1/*",
  };
  return {
    Version: "2012-10-17",
    Statement: [
      { Effect: "Allow", ...statement },
      { Effect: "Deny", ...statement, Condition: { NotIpAddress: { "aws:SourceIp": [cidr] } } },
    ],
  };
}
