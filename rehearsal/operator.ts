import {
  CodeDeployClient,
  ContinueDeploymentCommand,
  ListDeploymentsCommand,
} from "@aws-sdk/client-codedeploy";
import {
  CodePipelineClient,
  GetPipelineStateCommand,
  PutApprovalResultCommand,
} from "@aws-sdk/client-codepipeline";
import type { Config } from "../config/schema";
import type { LocalAws } from "./aws/local-aws";

/** The person whom a configuration may ask: approves in CodePipeline, reroutes the traffic in CodeDeploy. */
export class Operator {
  private readonly pipelines: CodePipelineClient;
  private readonly deployments: CodeDeployClient;

  constructor(
    aws: LocalAws,
    private readonly prefix: string,
    private readonly settings: Config["backlogDockerBuild"]["deployment"],
  ) {
    this.pipelines = new CodePipelineClient(aws.clientConfig());
    this.deployments = new CodeDeployClient(aws.clientConfig());
  }

  /** Does whatever is asked until `done` settles; does nothing with a configuration that asks nobody. */
  async attend(done: Promise<unknown>): Promise<void> {
    const { approval, stopUnlessReroutedWithinMinutes } = this.settings;
    if (!approval && stopUnlessReroutedWithinMinutes === undefined) return;
    let over = false;
    const end = () => {
      over = true;
    };
    done.then(end, end);
    while (!over) {
      if (approval) await this.approve();
      if (stopUnlessReroutedWithinMinutes !== undefined) await this.reroute();
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }

  private async approve(): Promise<void> {
    const { stageStates = [] } = await this.pipelines.send(
      new GetPipelineStateCommand({ name: this.prefix }),
    );
    for (const { stageName, actionStates = [] } of stageStates) {
      for (const { actionName, latestExecution } of actionStates) {
        if (latestExecution?.status !== "InProgress" || !latestExecution.token) continue;
        await this.pipelines.send(
          new PutApprovalResultCommand({
            pipelineName: this.prefix,
            stageName,
            actionName,
            token: latestExecution.token,
            result: { status: "Approved", summary: "rehearsed" },
          }),
        );
      }
    }
  }

  private async reroute(): Promise<void> {
    const { deployments = [] } = await this.deployments.send(
      new ListDeploymentsCommand({
        applicationName: this.prefix,
        deploymentGroupName: this.prefix,
        includeOnlyStatuses: ["Ready"],
      }),
    );
    for (const deploymentId of deployments) {
      await this.deployments.send(
        new ContinueDeploymentCommand({ deploymentId, deploymentWaitType: "READY_WAIT" }),
      );
    }
  }
}
