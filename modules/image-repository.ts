import { EcrLifecyclePolicy } from "@cdktf/provider-aws/lib/ecr-lifecycle-policy";
import { EcrRepository } from "@cdktf/provider-aws/lib/ecr-repository";
import { Construct } from "constructs";
import type { Config } from "../config/schema";
import { readJsonAsset } from "./asset";

export interface ImageRepositoryProps {
  /** Name in ECR. */
  readonly name: string;
  readonly removal: Config["project"]["removal"];
}

/** ECR repository in which a tag, once pushed, names the same image for ever. */
export class ImageRepository extends Construct {
  public readonly repository: EcrRepository;

  constructor(scope: Construct, id: string, props: ImageRepositoryProps) {
    super(scope, id);
    this.repository = new EcrRepository(this, "Default", {
      name: props.name,
      imageTagMutability: "IMMUTABLE",
      imageScanningConfiguration: { scanOnPush: true },
      encryptionConfiguration: [{ encryptionType: "AES256" }],
      forceDelete: props.removal === "destroy",
      // Terraform then refuses before it has destroyed anything else.
      lifecycle: { preventDestroy: props.removal === "retain" },
    });
    new EcrLifecyclePolicy(this, "expiry", {
      repository: this.repository.name,
      policy: readJsonAsset("image-repository", "lifecycle-policy.json"),
    });
  }
}
