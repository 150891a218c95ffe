import {
  GetPolicyCommand,
  GetPolicyVersionCommand,
  GetRoleCommand,
  GetRolePolicyCommand,
  IAMClient,
  ListAttachedRolePoliciesCommand,
  ListRolePoliciesCommand,
} from "@aws-sdk/client-iam";
import { GetBucketPolicyCommand, S3Client } from "@aws-sdk/client-s3";
import { GetResourcePolicyCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager";
import { GetTopicAttributesCommand, SNSClient } from "@aws-sdk/client-sns";
import { GetQueueAttributesCommand, SQSClient } from "@aws-sdk/client-sqs";
import type { PolicyDocument } from "./iam";

/** The policies of an account. */
export interface Policies {
  /** The trust policy of a role; undefined when there is no such role. */
  trustPolicy(roleName: string): Promise<PolicyDocument | undefined>;
  /** Inline and attached policies of a role. */
  rolePolicies(roleName: string): Promise<readonly PolicyDocument[]>;
  /** The policy that stands on a resource; undefined for none, and for resources that have none. */
  resourcePolicy(arn: string): Promise<PolicyDocument | undefined>;
  /** Called when any of them may have changed. */
  forget?(): void;
}

/**
 * The same policies, read once until they are forgotten. Most calls ask for the same few, and reading them takes
 * several times as long as what they are asked for.
 */
export function remembering(policies: Policies): Policies {
  const known = new Map<string, Promise<unknown>>();
  const once = <T>(read: (name: string) => Promise<T>, kind: string) => {
    return (name: string): Promise<T> => {
      const key = `${kind} ${name}`;
      const earlier = known.get(key) as Promise<T> | undefined;
      if (earlier) return earlier;
      const answer = read(name);
      known.set(key, answer);
      // A failure is no answer.
      answer.catch(() => known.delete(key));
      return answer;
    };
  };
  return {
    trustPolicy: once(policies.trustPolicy, "trust"),
    rolePolicies: once(policies.rolePolicies, "role"),
    resourcePolicy: once(policies.resourcePolicy, "resource"),
    forget: () => known.clear(),
  };
}

/** How the clients reach the control plane, past every check. */
export interface ControlPlane {
  readonly endpoint: string;
  readonly region: string;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
}

/** Reads the policies of what was deployed, each time anew. */
export function deployedPolicies(controlPlane: ControlPlane, accountId: string): Policies {
  const iam = new IAMClient(controlPlane);
  const s3 = new S3Client({ ...controlPlane, forcePathStyle: true });
  const secretsManager = new SecretsManagerClient(controlPlane);
  const sns = new SNSClient(controlPlane);
  const sqs = new SQSClient(controlPlane);

  const managedPolicy = async (PolicyArn: string): Promise<PolicyDocument> => {
    const { Policy } = await iam.send(new GetPolicyCommand({ PolicyArn }));
    const VersionId = Policy?.DefaultVersionId;
    const { PolicyVersion } = await iam.send(new GetPolicyVersionCommand({ PolicyArn, VersionId }));
    return JSON.parse(decodeURIComponent(PolicyVersion!.Document!));
  };

  /** Service in the ARN -> how its policy is read, as JSON text. */
  const readers: Readonly<Record<string, (resource: string, arn: string) => Promise<string | undefined>>> = {
    s3: async (resource) =>
      (await s3.send(new GetBucketPolicyCommand({ Bucket: resource.split("/")[0] }))).Policy,
    secretsmanager: async (_resource, arn) =>
      (await secretsManager.send(new GetResourcePolicyCommand({ SecretId: arn }))).ResourcePolicy,
    sns: async (_resource, arn) =>
      (await sns.send(new GetTopicAttributesCommand({ TopicArn: arn }))).Attributes?.Policy,
    sqs: async (resource) => {
      const QueueUrl = `${controlPlane.endpoint}/${accountId}/${resource}`;
      const command = new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ["Policy"] });
      return (await sqs.send(command)).Attributes?.Policy;
    },
  };

  return {
    trustPolicy: async (RoleName) => {
      const answer = await orNothing(iam.send(new GetRoleCommand({ RoleName })));
      const document = answer?.Role?.AssumeRolePolicyDocument;
      return document === undefined ? undefined : JSON.parse(decodeURIComponent(document));
    },
    rolePolicies: async (RoleName) => {
      const [inline, attached] = await Promise.all([
        iam.send(new ListRolePoliciesCommand({ RoleName })),
        iam.send(new ListAttachedRolePoliciesCommand({ RoleName })),
      ]);
      return Promise.all([
        ...(inline.PolicyNames ?? []).map(async (PolicyName) => {
          const { PolicyDocument } = await iam.send(new GetRolePolicyCommand({ RoleName, PolicyName }));
          return JSON.parse(decodeURIComponent(PolicyDocument!)) as PolicyDocument;
        }),
        ...(attached.AttachedPolicies ?? []).map(({ PolicyArn }) => managedPolicy(PolicyArn!)),
      ]);
    },
    resourcePolicy: async (arn) => {
      const [, , service = "", , , ...resource] = arn.split(":");
      const text = await orNothing(readers[service]?.(resource.join(":"), arn) ?? Promise.resolve(undefined));
      return text ? JSON.parse(text) : undefined;
    },
  };
}

/** A resource that is not there has no policy; every other failure is one. */
async function orNothing<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    const isAbsent = /^(NoSuch|.*NotFound|.*NonExistentQueue|.*QueueDoesNotExist)/.test(
      (error as Error).name,
    );
    if (isAbsent) return undefined;
    throw error;
  }
}
