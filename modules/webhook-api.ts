import { createHash } from "node:crypto";
import { ApiGatewayAccount } from "@cdktf/provider-aws/lib/api-gateway-account";
import { ApiGatewayApiKey } from "@cdktf/provider-aws/lib/api-gateway-api-key";
import { ApiGatewayDeployment } from "@cdktf/provider-aws/lib/api-gateway-deployment";
import { ApiGatewayGatewayResponse } from "@cdktf/provider-aws/lib/api-gateway-gateway-response";
import { ApiGatewayIntegration } from "@cdktf/provider-aws/lib/api-gateway-integration";
import { ApiGatewayIntegrationResponse } from "@cdktf/provider-aws/lib/api-gateway-integration-response";
import { ApiGatewayMethod } from "@cdktf/provider-aws/lib/api-gateway-method";
import { ApiGatewayMethodResponse } from "@cdktf/provider-aws/lib/api-gateway-method-response";
import { ApiGatewayMethodSettings } from "@cdktf/provider-aws/lib/api-gateway-method-settings";
import { ApiGatewayResource } from "@cdktf/provider-aws/lib/api-gateway-resource";
import { ApiGatewayRestApi } from "@cdktf/provider-aws/lib/api-gateway-rest-api";
import { ApiGatewayRestApiPolicy } from "@cdktf/provider-aws/lib/api-gateway-rest-api-policy";
import { ApiGatewayStage } from "@cdktf/provider-aws/lib/api-gateway-stage";
import { CloudwatchLogGroup } from "@cdktf/provider-aws/lib/cloudwatch-log-group";
import { DataAwsIamPolicyDocument } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document";
import { IamRolePolicyAttachment } from "@cdktf/provider-aws/lib/iam-role-policy-attachment";
import { Fn, type ITerraformDependable } from "cdktf";
import { Construct } from "constructs";
import type { Config } from "../config/schema";
import type { Account } from "./account";
import type { ImageBuild } from "./image-build";
import { type PushTarget, renderRequestTemplate, renderResponseMappings } from "./mapping-template";
import { PUSH_DETAIL_TYPE, PUSH_SOURCE, type PushBus } from "./push-bus";
import { type PolicyStatement, ServiceRole } from "./service-role";

export interface WebhookApiProps {
  readonly prefix: string;
  readonly account: Account;
  readonly backlog: Config["backlog"];
  readonly settings: Config["webhook"];
  /** Takes every push: the bus, or the build itself (`delivery: "direct"`). */
  readonly target: PushBus | ImageBuild;
}

const STAGE = "backlog";

/** The URL that Backlog calls: a REST API for Backlog's addresses alone, with a secret path. */
export class WebhookApi extends Construct {
  public readonly api: ApiGatewayRestApi;
  public readonly stage: ApiGatewayStage;
  /** With the secret path: whoever has it, and one of the addresses, can send pushes. */
  public readonly url: string;

  constructor(scope: Construct, id: string, props: WebhookApiProps) {
    super(scope, id);
    const { prefix, settings } = props;
    const backend = backendOf(props);

    this.api = new ApiGatewayRestApi(this, "Default", {
      name: `${prefix}-webhook`,
      description: `Pushes of ${props.backlog.projectKey}/${props.backlog.repository}`,
      endpointConfiguration: { types: ["REGIONAL"] },
    });
    // A random value without a provider for random values: the path, not a key that anybody sends.
    const secret = new ApiGatewayApiKey(this, "secret_path", {
      name: `${prefix}-webhook-path`,
      description: "Its value is the webhook's secret path",
      enabled: false,
    });
    const resource = new ApiGatewayResource(this, "push", {
      restApiId: this.api.id,
      parentId: this.api.rootResourceId,
      pathPart: secret.value,
    });
    const method = new ApiGatewayMethod(this, "post", {
      restApiId: this.api.id,
      resourceId: resource.id,
      httpMethod: "POST",
      // Backlog signs nothing: the addresses, the path and the mapping template's checks stand in for it.
      authorization: "NONE",
    });

    const role = new ServiceRole(this, "role", {
      name: `${prefix}-webhook`,
      // API Gateway sends no source keys when it assumes this role: a condition would make every call end in 500.
      service: "apigateway.amazonaws.com",
      statements: [backend.statement],
    });
    const requestTemplate = renderRequestTemplate(props.backlog, backend.target);
    const integration = new ApiGatewayIntegration(this, "integration", {
      restApiId: this.api.id,
      resourceId: resource.id,
      httpMethod: method.httpMethod,
      type: "AWS",
      integrationHttpMethod: "POST",
      uri: `arn:${props.account.partition}:apigateway:${props.account.region}:${backend.action}`,
      credentials: role.arn,
      passthroughBehavior: "NEVER",
      requestParameters: {
        "integration.request.header.Content-Type": "'application/x-amz-json-1.1'",
        "integration.request.header.X-Amz-Target": `'${backend.operation}'`,
      },
      requestTemplates: { "application/x-www-form-urlencoded": requestTemplate },
      dependsOn: [role.policy!],
    });
    const mappings = renderResponseMappings(backend.target.delivery);
    const responses = mappings.map(({ statusCode, selectionPattern, template }) => {
      const response = new ApiGatewayMethodResponse(this, `answers_${statusCode}`, {
        restApiId: this.api.id,
        resourceId: resource.id,
        httpMethod: method.httpMethod,
        statusCode,
        responseModels: { "application/json": "Empty" },
      });
      return new ApiGatewayIntegrationResponse(this, `maps_${statusCode}`, {
        restApiId: this.api.id,
        resourceId: resource.id,
        httpMethod: method.httpMethod,
        statusCode: response.statusCode,
        ...(selectionPattern ? { selectionPattern } : {}),
        responseTemplates: { "application/json": template },
        dependsOn: [integration],
      });
    });
    // Backlog retries after a 5xx, not after a 4xx such as the 429 that throttling answers by itself.
    const throttled = new ApiGatewayGatewayResponse(this, "throttled", {
      restApiId: this.api.id,
      responseType: "THROTTLED",
      statusCode: "503",
      responseTemplates: { "application/json": '{"requestId":"$context.requestId"}' },
    });

    const { policy, document } = this.admitSenders(settings.senderCidrs);
    const deployment = new ApiGatewayDeployment(this, "deployment", {
      restApiId: this.api.id,
      description: "Deployed anew when templates, answers or the resource policy change",
      triggers: {
        // Hashes of what was configured; a hash of whole resources would change with what the provider reads back.
        policy: Fn.sha1(document.json),
        push: sha1(renderRequestTemplate(props.backlog, backend.nameless)),
        answers: sha1(
          JSON.stringify([mappings, throttled.responseTemplatesInput, throttled.statusCodeInput]),
        ),
        target: backend.name,
        role: role.arn,
        path: resource.id,
        operation: backend.operation,
      },
      lifecycle: { createBeforeDestroy: true },
      // The stage must never serve without its policy.
      dependsOn: [integration, ...responses, throttled, policy],
    });
    const log = this.openAccessLog(props);
    this.stage = new ApiGatewayStage(this, "stage", {
      restApiId: this.api.id,
      deploymentId: deployment.id,
      stageName: STAGE,
      description: "Called by Backlog",
      // Traces name the path.
      xrayTracingEnabled: false,
      ...(log ? { accessLogSettings: log.settings, dependsOn: log.dependsOn } : {}),
    });
    new ApiGatewayMethodSettings(this, "settings", {
      restApiId: this.api.id,
      stageName: this.stage.stageName,
      methodPath: "*/*",
      settings: {
        throttlingRateLimit: settings.rateLimit,
        throttlingBurstLimit: settings.burstLimit,
        // Each of these would write the secret path down.
        loggingLevel: "OFF",
        dataTraceEnabled: false,
        metricsEnabled: false,
      },
    });
    this.url = `${this.stage.invokeUrl}/${secret.value}`;
  }

  /** The full ARN: AWS expands a short one, and the provider would then see a difference in every plan. */
  private admitSenders(cidrs: readonly string[]) {
    const resources = [`${this.api.executionArn}/*`];
    const everybody = [{ type: "*", identifiers: ["*"] }];
    const senders = [...cidrs].sort();
    const document = new DataAwsIamPolicyDocument(this, "senders", {
      statement: [
        {
          sid: "AllowPush",
          principals: everybody,
          actions: ["execute-api:Invoke"],
          resources,
        },
        {
          sid: "DenyOtherSenders",
          effect: "Deny",
          principals: everybody,
          actions: ["execute-api:Invoke"],
          resources,
          condition: [{ test: "NotIpAddress", variable: "aws:SourceIp", values: senders }],
        },
      ],
    });
    const policy = new ApiGatewayRestApiPolicy(this, "policy", {
      restApiId: this.api.id,
      policy: document.json,
    });
    return { document, policy };
  }

  private openAccessLog({ prefix, settings, account }: WebhookApiProps) {
    if (settings.accessLog === "off") return undefined;
    const group = new CloudwatchLogGroup(this, "access_log", {
      name: `/aws/apigateway/${prefix}-webhook`,
      retentionInDays: 30,
    });
    const dependsOn: ITerraformDependable[] = [];
    if (settings.accessLog === "manageAccountRole") {
      const writer = new ServiceRole(this, "log_role", {
        name: `${prefix}-apigateway-log`,
        service: "apigateway.amazonaws.com",
      });
      const permissions = new IamRolePolicyAttachment(this, "log_permissions", {
        role: writer.role.name,
        policyArn: `arn:${account.partition}:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs`,
      });
      dependsOn.push(
        new ApiGatewayAccount(this, "account", { cloudwatchRoleArn: writer.arn, dependsOn: [permissions] }),
      );
    }
    return {
      dependsOn,
      settings: {
        destinationArn: group.arn,
        // No path: it is the secret.
        format: JSON.stringify({
          requestId: "$context.requestId",
          requestTime: "$context.requestTime",
          sourceIp: "$context.identity.sourceIp",
          httpMethod: "$context.httpMethod",
          status: "$context.status",
          integrationStatus: "$context.integration.status",
          errorType: "$context.error.responseType",
          responseLength: "$context.responseLength",
        }),
      },
    };
  }
}

interface Backend {
  readonly target: PushTarget;
  /** Name of the bus or the project. */
  readonly name: string;
  /** The target with a fixed name: a template filled in with it can be hashed without Terraform. */
  readonly nameless: PushTarget;
  /** Service and action, as an integration's URI ends. */
  readonly action: string;
  /** Value of X-Amz-Target. */
  readonly operation: string;
  readonly statement: PolicyStatement;
}

function backendOf({ target }: WebhookApiProps): Backend {
  if ("bus" in target) {
    return {
      target: { delivery: "bus", eventBusName: target.bus.name },
      name: target.bus.name,
      nameless: { delivery: "bus", eventBusName: "name" },
      action: "events:action/PutEvents",
      operation: "AWSEvents.PutEvents",
      statement: {
        sid: "PutPush",
        actions: ["events:PutEvents"],
        resources: [target.bus.arn],
        condition: [
          { test: "StringEquals", variable: "events:source", values: [PUSH_SOURCE] },
          { test: "StringEquals", variable: "events:detail-type", values: [PUSH_DETAIL_TYPE] },
        ],
      },
    };
  }
  return {
    target: { delivery: "direct", projectName: target.project.name },
    name: target.project.name,
    nameless: { delivery: "direct", projectName: "name" },
    action: "codebuild:action/StartBuild",
    operation: "CodeBuild_20161006.StartBuild",
    statement: { sid: "StartBuild", actions: ["codebuild:StartBuild"], resources: [target.project.arn] },
  };
}

const sha1 = (text: string) => createHash("sha1").update(text).digest("hex");
