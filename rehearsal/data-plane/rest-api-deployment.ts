import {
  type APIGatewayClient,
  type GatewayResponse,
  GetGatewayResponsesCommand,
  GetResourcesCommand,
  GetRestApiCommand,
  type Method,
  type Resource,
} from "@aws-sdk/client-api-gateway";
import type { PolicyDocument } from "../aws/iam";

/** What a deployment froze of a REST API; later changes are served by later deployments only. */
export interface Deployment {
  readonly restApiId: string;
  readonly policy: PolicyDocument | undefined;
  /** Methods by path, such as `/pushes`, and by HTTP method. */
  readonly resources: ReadonlyMap<string, Readonly<Record<string, Method>>>;
  /** Answers of the gateway itself, by their type, such as `THROTTLED`. */
  readonly gatewayResponses: ReadonlyMap<string, GatewayResponse>;
}

/**
 * The REST API as it is at this moment. API Gateway has no call that returns what a deployment froze, so this is to
 * be called when the deployment is made.
 * @throws Error for paths with variables, which are not played
 * @see https://docs.aws.amazon.com/apigateway/latest/developerguide/how-to-deploy-api.html
 */
export async function loadDeployment(client: APIGatewayClient, restApiId: string): Promise<Deployment> {
  const [api, resources, responses] = await Promise.all([
    client.send(new GetRestApiCommand({ restApiId })),
    everyPage((page) => client.send(new GetResourcesCommand({ restApiId, embed: ["methods"], ...page }))),
    everyPage((page) => client.send(new GetGatewayResponsesCommand({ restApiId, ...page }))),
  ]);
  return {
    restApiId,
    policy: readPolicy(api.policy),
    resources: new Map(resources.map((resource) => [pathOf(resource), resource.resourceMethods ?? {}])),
    gatewayResponses: new Map(
      responses
        .filter((response) => !response.defaultResponse)
        .map((response) => [response.responseType!, response]),
    ),
  };
}

async function everyPage<T>(
  get: (page: {
    limit: number;
    position?: string;
  }) => Promise<{ items?: T[] | undefined; position?: string | undefined }>,
): Promise<T[]> {
  const items: T[] = [];
  let position: string | undefined;
  do {
    const page = await get({ limit: 500, ...(position !== undefined && { position }) });
    items.push(...(page.items ?? []));
    position = page.position;
  } while (position !== undefined);
  return items;
}

function pathOf({ path = "/" }: Resource): string {
  if (path.includes("{")) throw new Error(`the path of a resource must not have variables, got: ${path}`);
  return path;
}

/** AWS returns the policy as the inside of a JSON string, with its quotes escaped. */
function readPolicy(policy: string | undefined): PolicyDocument | undefined {
  if (!policy) return undefined;
  return JSON.parse(policy.startsWith("{\\") ? JSON.parse(`"${policy}"`) : policy);
}
