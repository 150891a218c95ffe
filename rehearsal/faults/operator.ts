import { CodeBuildClient, StartBuildCommand } from "@aws-sdk/client-codebuild";
import { expect } from "./fault";
import type { Push, Scene } from "./scene";

/** Waits until a build has said these words. */
export async function buildSays(scene: Scene, words: string): Promise<void> {
  await scene.holds(`a build says "${words}"`, async () => (await scene.buildLog()).includes(words));
}

/** Starts a failed build again, as a person does in CodeBuild's console: with its variables, without a token. */
export async function startBuild(scene: Scene, { commit, ref }: Push): Promise<void> {
  const delivery = scene.cloud.backlog.deliveries.findLast((one) => one.after === commit && one.ref === ref);
  expect(delivery, `${commit.slice(0, 10)} of ${ref} was not delivered yet`);
  const variables = { GIT_REF: ref, GIT_COMMIT: commit, GIT_BEFORE: delivery.before };
  await new CodeBuildClient(scene.cloud.aws.clientConfig()).send(
    new StartBuildCommand({
      projectName: `${scene.prefix}-image-build`,
      environmentVariablesOverride: Object.entries(variables).map(([name, value]) => ({ name, value })),
    }),
  );
}
