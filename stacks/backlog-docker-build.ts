import { AwsProvider } from "@cdktf/provider-aws/lib/provider";
import { TerraformOutput, TerraformStack } from "cdktf";
import type { Construct } from "constructs";
import type { Config } from "../config/schema";
import { Account } from "../modules/account";
import { Alerts } from "../modules/alerts";
import { ArtifactStore } from "../modules/artifact-store";
import { useBackend } from "../modules/backend";
import { BlueGreenDeployment } from "../modules/blue-green-deployment";
import { BlueGreenService } from "../modules/blue-green-service";
import { BuildTrigger } from "../modules/build-trigger";
import { ChainDashboard } from "../modules/chain-dashboard";
import { DeliveryPipeline } from "../modules/delivery-pipeline";
import { ImageBuild } from "../modules/image-build";
import { ImageRepository } from "../modules/image-repository";
import { Network } from "../modules/network";
import { PushBus } from "../modules/push-bus";
import { SourceCredentials } from "../modules/source-credentials";
import { WebhookApi } from "../modules/webhook-api";

/** From a push to Backlog Git to a container on ECS. */
export class BacklogDockerBuild extends TerraformStack {
  constructor(scope: Construct, config: Config) {
    const { project, backlog, webhook } = config;
    const { branch, buildOnlyBranches, build, service, deployment, network } = config.backlogDockerBuild;
    super(scope, `backlog-docker-build-${project.name}-${project.env}`);
    const prefix = `${project.name}-${project.env}`;
    const { region, removal } = project;

    new AwsProvider(this, "aws", { region, defaultTags: [{ tags: { Project: prefix, ...project.tags } }] });
    useBackend(this, config.state);
    const account = new Account(this, "account", region);
    const common = { prefix, account, removal };

    const store = new ArtifactStore(this, "artifacts", common);
    const vpc = new Network(this, "network", {
      ...common,
      settings: network,
      artifactBucketArn: build.inVpc ? store.bucket.arn : undefined,
    });
    const repository = new ImageRepository(this, "images", { name: prefix, removal });
    const credentials = new SourceCredentials(this, "credentials", {
      ...common,
      backlog,
      writesPublicKeyFile: config.state.type === "local",
    });
    const live = new BlueGreenService(this, "service", {
      ...common,
      settings: service,
      cpuArchitecture: build.architecture === "arm64" ? "ARM64" : "X86_64",
      network: vpc,
      repository,
    });
    const refs = [branch, ...buildOnlyBranches].map((name) => `refs/heads/${name}`);
    const imageBuild = new ImageBuild(this, "build", {
      ...common,
      backlog,
      settings: build,
      liveRef: `refs/heads/${branch}`,
      refs,
      credentials,
      repository,
      store,
      service: live,
      network: vpc,
    });

    const bus =
      webhook.delivery === "bus"
        ? new PushBus(this, "push", { prefix, archiveDays: webhook.archiveDays })
        : undefined;
    const trigger = bus
      ? new BuildTrigger(this, "trigger", { ...common, bus, backlog, refs, build: imageBuild })
      : undefined;
    const api = new WebhookApi(this, "webhook", {
      ...common,
      backlog,
      settings: webhook,
      target: bus ?? imageBuild,
    });

    const release = new BlueGreenDeployment(this, "deployment", {
      ...common,
      settings: deployment,
      service: live,
      store,
    });
    const pipeline = new DeliveryPipeline(this, "pipeline", {
      ...common,
      approval: deployment.approval,
      store,
      service: live,
      deployment: release,
    });

    const deadLetterQueues = [...(trigger ? [trigger.deadLetters] : []), pipeline.deadLetters].map(
      ({ queue }) => queue.name,
    );
    const alerts = new Alerts(this, "alerts", { ...common, emails: config.alerts.emails });
    alerts.watch("build_failed", {
      name: "build-failed",
      description: "A build failed: its log says why",
      namespace: "AWS/CodeBuild",
      metricName: "FailedBuilds",
      dimensions: { ProjectName: imageBuild.project.name },
    });
    alerts.watch("pipeline_failed", {
      name: "pipeline-failed",
      description: "A deployment failed or was rolled back: see the pipeline's failed action",
      namespace: "AWS/CodePipeline",
      metricName: "FailedPipelineExecutions",
      dimensions: { PipelineName: pipeline.pipeline.name },
    });
    if (trigger) {
      alerts.watch("build_not_started", {
        name: "build-not-started",
        description: "A push could not be handed to CodeBuild: see the state machine's failed execution",
        namespace: "AWS/States",
        metricName: "ExecutionsFailed",
        dimensions: { StateMachineArn: trigger.stateMachine.arn },
      });
      alerts.watch("push_dead_letters", {
        name: "push-dead-letters",
        description: "Pushes wait in the dead-letter queue: they were not built",
        namespace: "AWS/SQS",
        metricName: "ApproximateNumberOfMessagesVisible",
        dimensions: { QueueName: trigger.deadLetters.queue.name },
        statistic: "Maximum",
      });
    }
    alerts.watch("artifact_dead_letters", {
      name: "artifact-dead-letters",
      description: "A published artifact did not start the pipeline: start it by hand",
      namespace: "AWS/SQS",
      metricName: "ApproximateNumberOfMessagesVisible",
      dimensions: { QueueName: pipeline.deadLetters.queue.name },
      statistic: "Maximum",
    });
    for (const kind of ["4XX", "5XX"] as const) {
      alerts.watch(`webhook_${kind.toLowerCase()}`, {
        name: `webhook-${kind.toLowerCase()}`,
        description:
          kind === "4XX"
            ? "The webhook refused requests: an outdated list of senders (403), or no push of the repository (400)"
            : "The webhook could not pass pushes on; Backlog retries a few times",
        namespace: "AWS/ApiGateway",
        metricName: `${kind}Error`,
        dimensions: { ApiName: api.api.name, Stage: api.stage.stageName },
      });
    }
    const { dashboard } = new ChainDashboard(this, "dashboard", {
      ...common,
      apiName: api.api.name,
      stageName: api.stage.stageName,
      projectName: imageBuild.project.name,
      pipelineName: pipeline.pipeline.name,
      clusterName: live.cluster.name,
      serviceName: live.service.name,
      loadBalancer: live.loadBalancer,
      ...(bus && trigger
        ? {
            queue: {
              busName: bus.bus.name,
              ruleName: trigger.ruleName,
              stateMachineArn: trigger.stateMachine.arn,
            },
          }
        : {}),
      deadLetterQueues,
    });

    const output = (id: string, value: string, description: string, sensitive = false) =>
      new TerraformOutput(this, id, { staticId: true, value, description, sensitive });
    const console = `https://${region}.console.aws.amazon.com`;
    output("webhook_url", api.url, "Register this as the repository's webhook URL in Backlog", true);
    if (credentials.publicKey !== undefined) {
      output(
        "public_key",
        credentials.publicKey,
        "Register this as an SSH key of a Backlog user who may read the repository",
      );
    }
    if (credentials.publicKeyFile !== undefined) {
      output("public_key_file", credentials.publicKeyFile, "The same key, relative to the project's folder");
    }
    output("production_url", live.loadBalancer.productionUrl, "What visitors see");
    output("test_url", live.loadBalancer.testUrl, "What the next version shows before visitors see it");
    output("repository_url", repository.repository.repositoryUrl, "Where the images are");
    output("cluster_name", live.cluster.name, "The ECS cluster");
    output("service_name", live.service.name, "The ECS service");
    output(
      "task_role_name",
      live.taskRole.role.name,
      "Attach what the application may do in AWS to this role",
    );
    output(
      "nat_addresses",
      vpc.natAddresses.join(" "),
      "Addresses that tasks, and builds in the VPC, come from",
    );
    output("topic_arn", alerts.topic.arn, "Where alarms are published");
    output(
      "dashboard_link",
      `${console}/cloudwatch/home?region=${region}#dashboards:name=${dashboard.dashboardName}`,
      "The chain at a glance",
    );
    output(
      "builds_link",
      `${console}/codesuite/codebuild/projects/${imageBuild.project.name}/history?region=${region}`,
      "Builds and their logs",
    );
    output(
      "pipeline_link",
      `${console}/codesuite/codepipeline/pipelines/${pipeline.pipeline.name}/view?region=${region}`,
      "Deployments",
    );
  }
}
