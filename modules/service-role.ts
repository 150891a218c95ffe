import {
  DataAwsIamPolicyDocument,
  type DataAwsIamPolicyDocumentStatement,
  type DataAwsIamPolicyDocumentStatementCondition,
} from "@cdktf/provider-aws/lib/data-aws-iam-policy-document";
import { IamRole } from "@cdktf/provider-aws/lib/iam-role";
import { IamRolePolicy } from "@cdktf/provider-aws/lib/iam-role-policy";
import { Construct } from "constructs";
import type { Account } from "./account";

/** One statement: what may be done, on which resources, under a name that says what for. */
export type PolicyStatement = DataAwsIamPolicyDocumentStatement & {
  readonly sid: string;
  readonly actions: string[];
  readonly resources: string[];
};

export interface ServiceRoleProps {
  /** Name in AWS, at most 64 characters. */
  readonly name: string;
  /** The service that assumes the role, e.g. `codebuild.amazonaws.com`. */
  readonly service: string;
  /**
   * Ties the trust to this account, and to these ARNs where given. Only for services that send the keys when they
   * assume a role; API Gateway does not (every call would end in 500), CodeDeploy documents nothing.
   * @default trust without conditions
   */
  readonly source?: { readonly account: Account; readonly arns?: string[] };
  /** @default no permissions */
  readonly statements?: PolicyStatement[];
}

/** A role that one AWS service assumes, with its permissions inline. */
export class ServiceRole extends Construct {
  public readonly role: IamRole;
  public readonly arn: string;
  /** Resources that wait for the permissions, not only for the role, depend on it. */
  public readonly policy: IamRolePolicy | undefined;

  constructor(scope: Construct, id: string, props: ServiceRoleProps) {
    super(scope, id);
    const { name, service, source, statements = [] } = props;

    const condition: DataAwsIamPolicyDocumentStatementCondition[] = [];
    if (source) {
      condition.push({ test: "StringEquals", variable: "aws:SourceAccount", values: [source.account.id] });
      if (source.arns) condition.push({ test: "ArnLike", variable: "aws:SourceArn", values: source.arns });
    }
    const trust = new DataAwsIamPolicyDocument(this, "trust", {
      statement: [
        {
          sid: "AssumedByService",
          actions: ["sts:AssumeRole"],
          principals: [{ type: "Service", identifiers: [service] }],
          condition,
        },
      ],
    });
    this.role = new IamRole(this, "Default", { name, assumeRolePolicy: trust.json });
    this.arn = this.role.arn;

    if (statements.length > 0) {
      const permissions = new DataAwsIamPolicyDocument(this, "permissions", { statement: statements });
      this.policy = new IamRolePolicy(this, "inline", {
        name: "permissions",
        role: this.role.name,
        policy: permissions.json,
      });
    }
  }
}
