import { DataAwsIamPolicyDocument } from "@cdktf/provider-aws/lib/data-aws-iam-policy-document";
import { SecretsmanagerSecret } from "@cdktf/provider-aws/lib/secretsmanager-secret";
import { SecretsmanagerSecretPolicy } from "@cdktf/provider-aws/lib/secretsmanager-secret-policy";
import { SecretsmanagerSecretVersion } from "@cdktf/provider-aws/lib/secretsmanager-secret-version";
import { File } from "@cdktf/provider-local/lib/file";
import { LocalProvider } from "@cdktf/provider-local/lib/provider";
import { PrivateKey } from "@cdktf/provider-tls/lib/private-key";
import { TlsProvider } from "@cdktf/provider-tls/lib/provider";
import { Fn } from "cdktf";
import { Construct } from "constructs";
import type { Config } from "../config/schema";
import type { ServiceRole } from "./service-role";

export interface SourceCredentialsProps {
  readonly prefix: string;
  readonly backlog: Config["backlog"];
  readonly removal: Config["project"]["removal"];
  /**
   * Writes the public key to a file beside the project. Off where Terraform runs on other machines: the file would
   * be made anew on each, and the plan never be empty.
   */
  readonly writesPublicKeyFile: boolean;
}

/** The SSH key that builds fetch with, in the secret `backlog_info`. */
export class SourceCredentials extends Construct {
  public readonly secretArn: string;
  /** What to register in Backlog; `undefined` with a secret of the user's own. */
  public readonly publicKey: string | undefined;
  /** Where the public key is written, relative to the project. */
  public readonly publicKeyFile: string | undefined;
  private readonly secret: SecretsmanagerSecret | undefined;

  constructor(scope: Construct, id: string, props: SourceCredentialsProps) {
    super(scope, id);
    const { prefix, backlog, removal } = props;
    const { algorithm = "ED25519", publicKeyFile = `.keys/${prefix}.pub`, secretArn } = backlog.sshKey;
    if (secretArn !== undefined) {
      this.secretArn = secretArn;
      return;
    }

    new TlsProvider(this, "tls");
    const key = new PrivateKey(this, "key", {
      algorithm,
      ...(algorithm === "RSA" ? { rsaBits: 4096 } : {}),
    });
    this.publicKey = key.publicKeyOpenssh;

    if (props.writesPublicKeyFile) {
      new LocalProvider(this, "local");
      this.publicKeyFile = publicKeyFile;
      new File(this, "public_key", {
        // From cdktf.out/stacks/<stack>, whose unknown folders every synth deletes.
        filename: `../../../${publicKeyFile}`,
        content: key.publicKeyOpenssh,
        filePermission: "0600",
        directoryPermission: "0700",
      });
    }

    this.secret = new SecretsmanagerSecret(this, "backlog_info", {
      name: `${prefix}/backlog_info`,
      description: "How builds reach the Backlog Git repository",
      // 0 frees the name at once; otherwise it stays taken while a deletion is pending.
      recoveryWindowInDays: removal === "destroy" ? 0 : 30,
    });
    this.secretArn = this.secret.arn;
    new SecretsmanagerSecretVersion(this, "value", {
      secretId: this.secret.id,
      secretString: Fn.jsonencode({
        space_id: backlog.space,
        domain_name: backlog.domain,
        project_key: backlog.projectKey,
        repository_name: backlog.repository,
        // The OpenSSH form: ssh-add refuses an ed25519 key in PKCS8, which private_key_pem is.
        ssh_key: key.privateKeyOpenssh,
      }),
      // Whoever rotates the key writes a new version of the secret by hand.
      lifecycle: { ignoreChanges: ["secret_string"] },
    });
  }

  /**
   * Names `reader` in the secret's own policy. No Deny for others: Terraform reads the value too. A secret of the
   * user's own keeps the policy it has.
   */
  public allowReading(reader: ServiceRole): void {
    if (!this.secret) return;
    const policy = new DataAwsIamPolicyDocument(this, "policy", {
      statement: [
        {
          sid: "ReadByBuild",
          principals: [{ type: "AWS", identifiers: [reader.arn] }],
          actions: ["secretsmanager:GetSecretValue"],
          // In a secret's policy * is the secret itself.
          resources: ["*"],
        },
      ],
    });
    new SecretsmanagerSecretPolicy(this, "readers", {
      secretArn: this.secret.arn,
      policy: policy.json,
      blockPublicPolicy: true,
    });
  }
}
