/**
 * The environment of a build: the project's variables and the overrides, Secrets Manager values read in the
 * role's name, and what CodeBuild adds. Nothing of this machine's environment gets in.
 * Left out: Parameter Store variables (refused), the credentials endpoint (the role's keys are variables here).
 *
 * @see https://docs.aws.amazon.com/codebuild/latest/userguide/build-env-ref-env-vars.html
 * @see https://docs.aws.amazon.com/codebuild/latest/APIReference/API_EnvironmentVariable.html
 */
import { GetSecretValueCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager";
import type { Credentials, LocalAws } from "../aws/local-aws";

/** Length that the value of one variable may have, in characters. */
export const VARIABLE_MAX_CHARACTERS = 4_096;

export interface EnvironmentVariable {
  readonly name: string;
  readonly value: string;
  readonly type?: "PLAINTEXT" | "PARAMETER_STORE" | "SECRETS_MANAGER";
}

export interface BuildEnvironment {
  readonly variables: Readonly<Record<string, string>>;
  /** Values that must never be seen in a log. */
  readonly secrets: readonly string[];
}

/** The project's variables with those of the StartBuild call in their place. */
export function mergeVariables(
  project: readonly EnvironmentVariable[],
  override: readonly EnvironmentVariable[],
): EnvironmentVariable[] {
  const merged = new Map(project.map((variable) => [variable.name, variable]));
  for (const variable of override) merged.set(variable.name, variable);
  return [...merged.values()];
}

/**
 * Looks up the values of variables as the build's role.
 * @throws Error naming the variable whose value cannot be had
 */
export async function resolveVariables(
  aws: LocalAws,
  credentials: Credentials,
  variables: readonly EnvironmentVariable[],
): Promise<BuildEnvironment> {
  const client = new SecretsManagerClient(aws.clientConfig(credentials));
  const values: Record<string, string> = {};
  const secrets: string[] = [];
  try {
    for (const { name, value, type = "PLAINTEXT" } of variables) {
      if (type === "PARAMETER_STORE") {
        throw new Error(`variable ${name}: Parameter Store is not played by this rehearsal`);
      }
      if (type === "PLAINTEXT") {
        values[name] = value;
        continue;
      }
      const secret = await readSecret(client, value).catch((error: Error) => {
        throw new Error(`variable ${name}: Secrets Manager Error Message: ${error.name}: ${error.message}`);
      });
      values[name] = secret;
      secrets.push(secret);
    }
  } finally {
    client.destroy();
  }
  return { variables: values, secrets };
}

/** Reads `secret-id[:json-key[:version-stage[:version-id]]]`; the id may be an ARN. */
async function readSecret(client: SecretsManagerClient, reference: string): Promise<string> {
  const parts = reference.split(":");
  const idParts = reference.startsWith("arn:") ? 7 : 1;
  const [key, stage, version] = parts.slice(idParts);
  const { SecretString } = await client.send(
    new GetSecretValueCommand({
      SecretId: parts.slice(0, idParts).join(":"),
      ...(stage ? { VersionStage: stage } : {}),
      ...(version ? { VersionId: version } : {}),
    }),
  );
  if (SecretString === undefined) throw new Error("the secret has no text");
  if (!key) return SecretString;
  const fields: unknown = JSON.parse(SecretString);
  const value = (fields as Record<string, unknown> | null)?.[key];
  if (typeof value !== "string") throw new Error(`the secret's JSON has no text under "${key}"`);
  return value;
}
