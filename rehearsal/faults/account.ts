import {
  BatchGetDeploymentsCommand,
  CodeDeployClient,
  type DeploymentInfo,
  ListDeploymentsCommand,
} from "@aws-sdk/client-codedeploy";
import {
  CodePipelineClient,
  ListPipelineExecutionsCommand,
  type PipelineExecutionSummary,
} from "@aws-sdk/client-codepipeline";
import { ListBucketsCommand, ListObjectVersionsCommand, S3Client } from "@aws-sdk/client-s3";
import type { StoredImage } from "../machine/image-store";
import type { Scene } from "./scene";

/** Every deployment so far, newest first. */
export async function deploymentsOf(scene: Scene): Promise<DeploymentInfo[]> {
  const client = new CodeDeployClient(scene.cloud.aws.clientConfig());
  const name = { applicationName: scene.prefix, deploymentGroupName: scene.prefix };
  const { deployments = [] } = await client.send(new ListDeploymentsCommand(name));
  if (deployments.length === 0) return [];
  const { deploymentsInfo = [] } = await client.send(
    new BatchGetDeploymentsCommand({ deploymentIds: deployments }),
  );
  return deploymentsInfo;
}

/** Every execution of the pipeline so far, newest first. */
export async function executionsOf(scene: Scene): Promise<PipelineExecutionSummary[]> {
  const client = new CodePipelineClient(scene.cloud.aws.clientConfig());
  const { pipelineExecutionSummaries = [] } = await client.send(
    new ListPipelineExecutionsCommand({ pipelineName: scene.prefix }),
  );
  return pipelineExecutionSummaries;
}

/** How often an artifact was published so far. */
export async function publications(scene: Scene): Promise<number> {
  const s3 = new S3Client({ ...scene.cloud.aws.clientConfig(), forcePathStyle: true });
  const { Buckets = [] } = await s3.send(new ListBucketsCommand({}));
  const bucket = Buckets.find(({ Name }) => Name?.startsWith(`${scene.prefix}-artifacts-`))?.Name;
  const { Versions = [] } = await s3.send(
    new ListObjectVersionsCommand({ Bucket: bucket, Prefix: "published/" }),
  );
  return Versions.length;
}

/** The application's images. */
export function imagesOf(scene: Scene): StoredImage[] {
  const { repository_url: url = "" } = scene.outputs;
  return scene.cloud.registry.store.images(url.slice(url.indexOf("/") + 1));
}

/** Waits until no execution of the pipeline is under way, so that the next push meets an idle one. */
export async function atRest(scene: Scene): Promise<void> {
  const isUnderWay = async () => (await executionsOf(scene)).some(({ status }) => status === "InProgress");
  await scene.holds("the pipeline is idle", async () => !(await isUnderWay()), 120);
}
