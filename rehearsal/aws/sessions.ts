import { randomBytes } from "node:crypto";
import { evaluate, type IamRequest } from "./iam";
import type { Context } from "./iam-patterns";
import { AwsError, type Credentials } from "./local-aws";
import type { Policies } from "./policies";
import { trustContext } from "./trust";

/** A role as one service has assumed it. */
interface Session {
  readonly roleName: string;
  readonly roleArn: string;
  readonly arn: string;
}

/** Who made an event happen, for conditions in policies: the resource's ARN and its account. */
export interface Source {
  readonly arn?: string;
  readonly account?: string;
}

/** Role sessions of the account, and what they may do. */
export interface Sessions {
  /** Whether these credentials were handed out by `assumeRole`. */
  has(accessKeyId: string): boolean;
  /** @throws AwsError `AccessDenied` when the role's trust policy does not let the service in */
  assumeRole(roleArn: string, service: string, source?: Source): Promise<Credentials>;
  /** Whether the session's role, or the resource's policy, allows it and neither denies it. */
  isAllowed(accessKeyId: string, action: string, resource: string, context?: Context): Promise<boolean>;
  /** @throws AwsError `AccessDenied` unless `isAllowed` */
  authorize(accessKeyId: string, action: string, resource: string, context?: Context): Promise<void>;
  /**
   * Checks a call that a service makes in its own name: the resource's policy alone decides.
   * @throws AwsError `AccessDenied` unless it allows the service
   */
  authorizeService(service: string, action: string, resource: string, source: Source): Promise<void>;
}

/**
 * Keeps the sessions of an account.
 *
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html
 */
export function roleSessions(policies: Policies, region: string, accountId: string): Sessions {
  const sessions = new Map<string, Session>();

  const isAllowed: Sessions["isAllowed"] = async (accessKeyId, action, resource, context = {}) => {
    const session = sessionOf(accessKeyId);
    const request: IamRequest = {
      action,
      resource,
      principal: { arns: [session.arn, session.roleArn] },
      context: {
        "aws:PrincipalAccount": accountId,
        "aws:PrincipalArn": session.roleArn,
        "aws:PrincipalIsAWSService": "false",
        "aws:RequestedRegion": region,
        // The endpoint stands for AWS's own, which are reached by TLS: statements against plain HTTP do not apply.
        "aws:SecureTransport": "true",
        ...context,
      },
    };
    const resourcePolicy = await policies.resourcePolicy(resource);
    const decisions = [
      evaluate(await policies.rolePolicies(session.roleName), request),
      evaluate(resourcePolicy ? [resourcePolicy] : [], request),
    ];
    return !decisions.includes("deny") && decisions.includes("allow");
  };

  return {
    has: (accessKeyId) => sessions.has(accessKeyId),
    isAllowed,

    assumeRole: async (roleArn, service, source = {}) => {
      const roleName = roleArn.split("/").at(-1)!;
      const trustPolicy = await policies.trustPolicy(roleName);
      const decision = evaluate(trustPolicy ? [trustPolicy] : [], {
        action: "sts:AssumeRole",
        principal: { service },
        context: trustContext(service, { account: accountId, ...source }),
      });
      if (decision !== "allow") {
        throw new AwsError("AccessDenied", `${service} is not authorized to assume role ${roleArn}`, 403);
      }
      const id = randomBytes(8).toString("hex");
      const accessKeyId = `ASIA${id.toUpperCase()}`;
      sessions.set(accessKeyId, {
        roleName,
        roleArn,
        arn: `arn:aws:sts::${accountId}:assumed-role/${roleName}/${service.split(".")[0]}-${id}`,
      });
      return { accessKeyId, secretAccessKey: id, sessionToken: id };
    },

    authorize: async (accessKeyId, action, resource, context) => {
      if (await isAllowed(accessKeyId, action, resource, context)) return;
      throw denied(sessionOf(accessKeyId).arn, action, resource);
    },

    authorizeService: async (service, action, resource, source) => {
      const resourcePolicy = await policies.resourcePolicy(resource);
      const decision = evaluate(resourcePolicy ? [resourcePolicy] : [], {
        action,
        resource,
        principal: { service },
        context: {
          "aws:PrincipalIsAWSService": "true",
          "aws:SecureTransport": "true",
          "aws:SourceAccount": source.account ?? accountId,
          ...(source.arn === undefined ? {} : { "aws:SourceArn": source.arn }),
        },
      });
      if (decision !== "allow") throw denied(service, action, resource);
    },
  };

  function sessionOf(accessKeyId: string): Session {
    const session = sessions.get(accessKeyId);
    if (session) return session;
    throw new AwsError(
      "UnrecognizedClientException",
      "The security token included in the request is invalid",
    );
  }
}

function denied(who: string, action: string, resource: string): AwsError {
  return new AwsError(
    "AccessDenied",
    `User: ${who} is not authorized to perform: ${action} on resource: ${resource}`,
    403,
  );
}
