import { ECRClient, PutImageCommand } from "@aws-sdk/client-ecr";
import { atRest, executionsOf, imagesOf } from "./account";
import { expect, type Fault } from "./fault";
import { buildSays } from "./operator";

/** The image cannot be made, or not be pushed. */
export const IMAGE_TROUBLE: readonly Fault[] = [
  {
    id: "7a",
    name: "the Dockerfile does not build",
    guards: "a failed step ends the build, and nothing after it runs",
    async play(scene) {
      await atRest(scene);
      const executions = (await executionsOf(scene)).length;
      const shown = await scene.page();
      const { path, text } = scene.dockerfile;
      const push = await scene.push(scene.liveBranch, {
        [path]: `${text}\nRUN echo this step fails; false\n`,
      });
      await scene.endsAs("build failed", push);
      await buildSays(scene, "docker build failed");
      await scene.alarms(["build-failed"]);
      expect(
        imagesOf(scene).every(({ tags }) => !tags.has(push.commit.slice(0, 10))),
        "an image was pushed",
      );
      expect((await executionsOf(scene)).length === executions, "the pipeline was started");
      expect((await scene.page()) === shown, "production shows something else");
      scene.productionNeverFailed();
      return "the build failed and its log says where, alarm; no image, no deployment";
    },
  },
  {
    id: "7b",
    name: "the push to the registry breaks in the middle",
    guards: "the push is tried again (by docker), and the tag appears with the whole image only",
    async play(scene) {
      let cuts = 0;
      scene.restoring(() => scene.cloud.registry.cutUploads(undefined));
      scene.cloud.registry.cutUploads((method, path) => {
        if (cuts > 0 || method !== "PATCH" || !path.includes("/blobs/uploads/")) return false;
        cuts += 1;
        return true;
      });
      const push = await scene.push(scene.sideBranch());
      await scene.endsAs("image only", push);
      expect(cuts === 1, `one upload was expected to break off, got: ${cuts}`);
      const tagged = imagesOf(scene).filter(({ tags }) => tags.has(push.commit.slice(0, 10))).length;
      expect(tagged === 1, `one image was expected, got: ${tagged}`);
      return "the layer was sent again; one image";
    },
  },
  {
    id: "7c",
    name: "the tag belongs to another commit",
    guards: "the commit in an image's label is compared before the image is taken up",
    async play(scene) {
      const donor = await scene.push(scene.sideBranch());
      await scene.endsAs("image only", donor);
      const image = imagesOf(scene).find(({ tags }) => tags.has(donor.commit.slice(0, 10)));
      const { repository_url: url = "" } = scene.outputs;
      const commit = await scene.commit();
      await new ECRClient(scene.cloud.aws.clientConfig()).send(
        new PutImageCommand({
          repositoryName: url.slice(url.indexOf("/") + 1),
          imageManifest: image?.manifest,
          imageTag: commit.commit.slice(0, 10),
        }),
      );
      const push = await scene.pushCommit(commit, scene.sideBranch());
      await scene.endsAs("build failed", push);
      await buildSays(
        scene,
        `the tag ${push.commit.slice(0, 10)} belongs to another commit, ${donor.commit}, not to ${push.commit}`,
      );
      await scene.alarms(["build-failed"]);
      return "the build failed and named both commits, alarm";
    },
  },
];
