import { EcrLifecyclePolicy } from "@cdktf/provider-aws/lib/ecr-lifecycle-policy";
import { EcrRepository } from "@cdktf/provider-aws/lib/ecr-repository";
import { Construct } from "constructs";
import { readJsonAsset } from "./asset";

/** ECR repository of build caches: its one tag is overwritten by each build, and nothing in it is worth keeping. */
export class CacheRepository extends Construct {
  public readonly repository: EcrRepository;

  constructor(scope: Construct, id: string, name: string) {
    super(scope, id);
    this.repository = new EcrRepository(this, "Default", {
      name,
      imageTagMutability: "MUTABLE",
      encryptionConfiguration: [{ encryptionType: "AES256" }],
      forceDelete: true,
    });
    new EcrLifecyclePolicy(this, "expiry", {
      repository: this.repository.name,
      policy: readJsonAsset("image-repository", "cache-lifecycle-policy.json"),
    });
  }
}
