/**
 * The files that CodePipeline's action "Amazon ECS (Blue/Green)" reads, and how it fills them in.
 * Strict where the API is: a field that RegisterTaskDefinition does not know is an error here too, as the SDK
 * would drop it without a word.
 *
 * @see https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-ECSbluegreen.html
 * @see https://docs.aws.amazon.com/codepipeline/latest/userguide/file-reference.html
 * @see https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RegisterTaskDefinition.html
 */
import type { RegisterTaskDefinitionCommandInput } from "@aws-sdk/client-ecs";

const TASK_DEFINITION_FIELDS = [
  "family",
  "taskRoleArn",
  "executionRoleArn",
  "networkMode",
  "containerDefinitions",
  "volumes",
  "placementConstraints",
  "requiresCompatibilities",
  "cpu",
  "memory",
  "tags",
  "pidMode",
  "ipcMode",
  "proxyConfiguration",
  "inferenceAccelerators",
  "ephemeralStorage",
  "runtimePlatform",
  "enableFaultInjection",
];

const CONTAINER_FIELDS = [
  "name",
  "image",
  "repositoryCredentials",
  "cpu",
  "memory",
  "memoryReservation",
  "links",
  "portMappings",
  "essential",
  "restartPolicy",
  "entryPoint",
  "command",
  "environment",
  "environmentFiles",
  "mountPoints",
  "volumesFrom",
  "linuxParameters",
  "secrets",
  "dependsOn",
  "startTimeout",
  "stopTimeout",
  "versionConsistency",
  "hostname",
  "user",
  "workingDirectory",
  "disableNetworking",
  "privileged",
  "readonlyRootFilesystem",
  "dnsServers",
  "dnsSearchDomains",
  "extraHosts",
  "dockerSecurityOptions",
  "interactive",
  "pseudoTerminal",
  "dockerLabels",
  "ulimits",
  "logConfiguration",
  "healthCheck",
  "systemControls",
  "resourceRequirements",
  "firelensConfiguration",
  "credentialSpecs",
];

/**
 * The image of an `imageDetail.json`.
 * @throws Error when it names none
 */
export function readImageUri(text: string): string {
  const detail = parseObject(text, "imageDetail.json");
  if (typeof detail.ImageURI !== "string" || detail.ImageURI === "") {
    throw new Error(`imageDetail.json must have an "ImageURI", it has: ${Object.keys(detail).join(", ")}`);
  }
  return detail.ImageURI;
}

/**
 * Puts the images into the task definition's template: `images` leads from a placeholder's name to an image.
 * @throws Error naming the field or placeholder that is wrong
 */
export function fillTaskDefinition(
  template: string,
  images: ReadonlyMap<string, string>,
): RegisterTaskDefinitionCommandInput {
  let text = template;
  for (const [name, image] of images) text = text.replaceAll(`<${name}>`, image);
  const definition = parseObject(text, "the task definition");
  only(definition, TASK_DEFINITION_FIELDS, "the task definition");
  const { containerDefinitions } = definition;
  if (!Array.isArray(containerDefinitions) || containerDefinitions.length === 0) {
    throw new Error("the task definition has no containerDefinitions");
  }
  for (const [index, container] of containerDefinitions.entries()) {
    const name = `containerDefinitions[${index}]`;
    if (typeof container !== "object" || container === null) throw new Error(`${name} must be a map`);
    only(container, CONTAINER_FIELDS, name);
    const { image } = container as { image?: unknown };
    if (typeof image !== "string" || /[<>\s]/.test(image) || image === "") {
      throw new Error(`${name}.image is no image: ${JSON.stringify(image)}`);
    }
  }
  return definition as unknown as RegisterTaskDefinitionCommandInput;
}

/** Puts the registered task definition into the AppSpec's template. */
export function fillAppSpec(template: string, taskDefinitionArn: string): string {
  return template.replaceAll("<TASK_DEFINITION>", taskDefinitionArn);
}

function parseObject(text: string, what: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Error(`${what} is not JSON: ${(error as Error).message}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Error(`${what} must be a map`);
  }
  return value as Record<string, unknown>;
}

function only(value: object, known: readonly string[], what: string): void {
  const unknown = Object.keys(value).filter((key) => !known.includes(key));
  if (unknown.length > 0) throw new Error(`${what}: unknown parameter: ${unknown.join(", ")}`);
}
