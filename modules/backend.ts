import { CloudBackend, LocalBackend, NamedCloudWorkspace, S3Backend, type TerraformStack } from "cdktf";
import type { Config } from "../config/schema";

/** Declares where a stack keeps its state. */
export function useBackend(stack: TerraformStack, state: Config["state"]): void {
  const name = stack.node.id;
  switch (state.type) {
    case "local":
      // From cdktf.out/stacks/<stack>, whose unknown folders every synth deletes.
      new LocalBackend(stack, { path: `../../../${state.directory}/${name}.tfstate` });
      return;
    case "s3":
      new S3Backend(stack, {
        bucket: state.bucket,
        key: `${state.keyPrefix}/${name}.tfstate`,
        region: state.region,
        encrypt: true,
      });
      // Not in cdktf's types: the lock as a file beside the state, without a DynamoDB table.
      stack.addOverride("terraform.backend.s3.use_lockfile", true);
      return;
    case "cloud":
      new CloudBackend(stack, {
        hostname: state.hostname,
        organization: state.organization,
        workspaces: new NamedCloudWorkspace(state.workspace),
      });
  }
}
