/**
 * The AppSpec of an ECS deployment: which task definition, and which container and port the traffic goes to.
 * Left out: network configuration, capacity providers and platform versions of its own, hooks (refused: they are
 * Lambda functions).
 *
 * @see https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure-resources.html
 */
import { parseDocument } from "yaml";

export interface AppSpec {
  readonly taskDefinition: string;
  readonly containerName: string;
  readonly containerPort: number;
}

/** An AppSpec that CodeDeploy would not take. */
export class AppSpecError extends Error {}

/**
 * Reads an AppSpec in YAML or JSON.
 * @throws AppSpecError with what is wrong
 */
export function parseAppSpec(content: string): AppSpec {
  const document = parseDocument(content);
  const [fault] = document.errors;
  if (fault) throw new AppSpecError(`the AppSpec file is neither YAML nor JSON: ${fault.message}`);
  // Keys are matched without regard to case: AWS's own examples in YAML and JSON differ.
  const root = lower(document.toJS(), "the AppSpec file");
  if (Number(root.version) !== 0) throw new AppSpecError("the AppSpec file's version must be 0.0");
  const hooks = root.hooks;
  if (Array.isArray(hooks) ? hooks.length > 0 : hooks) {
    throw new AppSpecError("Hooks are Lambda functions, which this rehearsal does not run");
  }
  const { resources } = root;
  if (!Array.isArray(resources) || resources.length !== 1) {
    throw new AppSpecError("the AppSpec file must name exactly one resource");
  }
  const [service] = Object.values(lower(resources[0], "Resources[0]"));
  const { type, properties } = lower(service, "the resource");
  if (type !== "AWS::ECS::Service") {
    throw new AppSpecError(`the resource's type must be AWS::ECS::Service, got: ${JSON.stringify(type)}`);
  }
  const { taskdefinition, loadbalancerinfo } = lower(properties, "Properties");
  const { containername, containerport } = lower(loadbalancerinfo, "LoadBalancerInfo");
  if (typeof taskdefinition !== "string" || !taskdefinition.startsWith("arn:")) {
    throw new AppSpecError(`TaskDefinition must be an ARN, got: ${JSON.stringify(taskdefinition)}`);
  }
  if (typeof containername !== "string" || containername === "") {
    throw new AppSpecError(`ContainerName must be a name, got: ${JSON.stringify(containername)}`);
  }
  const port = Number(containerport);
  if (!Number.isInteger(port) || port < 1) {
    throw new AppSpecError(`ContainerPort must be a port, got: ${JSON.stringify(containerport)}`);
  }
  return { taskDefinition: taskdefinition, containerName: containername, containerPort: port };
}

function lower(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new AppSpecError(`${what} must be a map`);
  }
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key.toLowerCase(), one]));
}
