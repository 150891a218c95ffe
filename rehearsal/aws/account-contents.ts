import { APIGatewayClient, GetApiKeysCommand, GetRestApisCommand } from "@aws-sdk/client-api-gateway";
import { CloudWatchClient, DescribeAlarmsCommand, ListDashboardsCommand } from "@aws-sdk/client-cloudwatch";
import { CloudWatchLogsClient, DescribeLogGroupsCommand } from "@aws-sdk/client-cloudwatch-logs";
import { CodeBuildClient, ListProjectsCommand } from "@aws-sdk/client-codebuild";
import { CodeDeployClient, ListApplicationsCommand } from "@aws-sdk/client-codedeploy";
import { CodePipelineClient, ListPipelinesCommand } from "@aws-sdk/client-codepipeline";
import { DescribeRepositoriesCommand, ECRClient } from "@aws-sdk/client-ecr";
import { DescribeClustersCommand, ECSClient, ListClustersCommand } from "@aws-sdk/client-ecs";
import {
  DescribeLoadBalancersCommand,
  DescribeTargetGroupsCommand,
  ElasticLoadBalancingV2Client,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import {
  EventBridgeClient,
  ListArchivesCommand,
  ListEventBusesCommand,
  ListRulesCommand,
} from "@aws-sdk/client-eventbridge";
import { IAMClient, ListRolesCommand } from "@aws-sdk/client-iam";
import { ListBucketsCommand, S3Client } from "@aws-sdk/client-s3";
import { ListSecretsCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager";
import { ListStateMachinesCommand, SFNClient } from "@aws-sdk/client-sfn";
import { ListTopicsCommand, SNSClient } from "@aws-sdk/client-sns";
import { ListQueuesCommand, SQSClient } from "@aws-sdk/client-sqs";
import type { LocalAws } from "./local-aws";

/**
 * What an account holds: one line for each resource of a kind that a stack makes by itself (not its parts, such as
 * a bucket's policy, which go with it). Revisions of task definitions are left out: deployments register them, ECS
 * keeps them, and nobody pays for them. So are network interfaces: moto keeps those of a NAT gateway that is gone.
 */
export async function accountContents(
  aws: Pick<LocalAws, "clientConfig" | "endpoint" | "region" | "administrator">,
): Promise<ReadonlySet<string>> {
  const config = aws.clientConfig();
  const api = new APIGatewayClient(config);
  const watch = new CloudWatchClient(config);
  const balancers = new ElasticLoadBalancingV2Client(config);
  const events = new EventBridgeClient(config);
  const ecs = new ECSClient(config);
  const clusters = await activeClusters(ecs);
  const lists: [kind: string, names: Promise<(string | undefined)[]>][] = [
    ["REST API", api.send(new GetRestApisCommand({})).then(({ items = [] }) => items.map(({ id }) => id))],
    ["API key", api.send(new GetApiKeysCommand({})).then(({ items = [] }) => items.map(({ id }) => id))],
    [
      "alarm",
      watch
        .send(new DescribeAlarmsCommand({}))
        .then(({ MetricAlarms = [] }) => MetricAlarms.map(({ AlarmName }) => AlarmName)),
    ],
    [
      "dashboard",
      watch
        .send(new ListDashboardsCommand({}))
        .then(({ DashboardEntries = [] }) => DashboardEntries.map(({ DashboardName }) => DashboardName)),
    ],
    [
      "log group",
      new CloudWatchLogsClient(config)
        .send(new DescribeLogGroupsCommand({}))
        .then(({ logGroups = [] }) => logGroups.map(({ logGroupName }) => logGroupName)),
    ],
    [
      "build project",
      new CodeBuildClient(config).send(new ListProjectsCommand({})).then(({ projects = [] }) => projects),
    ],
    [
      "CodeDeploy application",
      new CodeDeployClient(config)
        .send(new ListApplicationsCommand({}))
        .then(({ applications = [] }) => applications),
    ],
    [
      "pipeline",
      new CodePipelineClient(config)
        .send(new ListPipelinesCommand({}))
        .then(({ pipelines = [] }) => pipelines.map(({ name }) => name)),
    ],
    [
      "image repository",
      new ECRClient(config)
        .send(new DescribeRepositoriesCommand({}))
        .then(({ repositories = [] }) => repositories.map(({ repositoryName }) => repositoryName)),
    ],
    ["cluster with what is in it", Promise.resolve(clusters)],
    [
      "load balancer",
      balancers
        .send(new DescribeLoadBalancersCommand({}))
        .then(({ LoadBalancers = [] }) => LoadBalancers.map(({ LoadBalancerArn }) => LoadBalancerArn)),
    ],
    [
      "target group",
      balancers
        .send(new DescribeTargetGroupsCommand({}))
        .then(({ TargetGroups = [] }) => TargetGroups.map(({ TargetGroupArn }) => TargetGroupArn)),
    ],
    [
      "event bus",
      events
        .send(new ListEventBusesCommand({}))
        .then(({ EventBuses = [] }) => EventBuses.map(({ Name }) => Name)),
    ],
    [
      "event rule",
      events.send(new ListRulesCommand({})).then(({ Rules = [] }) => Rules.map(({ Arn }) => Arn)),
    ],
    [
      "event archive",
      events
        .send(new ListArchivesCommand({}))
        .then(({ Archives = [] }) => Archives.map(({ ArchiveName }) => ArchiveName)),
    ],
    [
      "role",
      new IAMClient(config)
        .send(new ListRolesCommand({}))
        .then(({ Roles = [] }) => Roles.map(({ RoleName }) => RoleName)),
    ],
    [
      "bucket",
      new S3Client({ ...config, forcePathStyle: true })
        .send(new ListBucketsCommand({}))
        .then(({ Buckets = [] }) => Buckets.map(({ Name }) => Name)),
    ],
    [
      "secret",
      new SecretsManagerClient(config)
        .send(new ListSecretsCommand({ IncludePlannedDeletion: true }))
        .then(({ SecretList = [] }) => SecretList.map(({ ARN }) => ARN)),
    ],
    [
      "state machine",
      new SFNClient(config)
        .send(new ListStateMachinesCommand({}))
        .then(({ stateMachines = [] }) => stateMachines.map(({ name }) => name)),
    ],
    [
      "topic",
      new SNSClient(config)
        .send(new ListTopicsCommand({}))
        .then(({ Topics = [] }) => Topics.map(({ TopicArn }) => TopicArn)),
    ],
    ["queue", new SQSClient(config).send(new ListQueuesCommand({})).then(({ QueueUrls = [] }) => QueueUrls)],
    ["part of a network", networkParts(aws)],
  ];
  const named = await Promise.all(
    lists.map(async ([kind, names]) => (await names).map((name) => `${kind} ${name}`)),
  );
  return new Set(named.flat());
}

/** ECS goes on describing deleted clusters for a while, as INACTIVE. */
async function activeClusters(ecs: ECSClient): Promise<string[]> {
  const { clusterArns = [] } = await ecs.send(new ListClustersCommand({}));
  if (clusterArns.length === 0) return [];
  const { clusters = [] } = await ecs.send(new DescribeClustersCommand({ clusters: clusterArns }));
  return clusters.filter(({ status }) => status === "ACTIVE").map(({ clusterArn }) => clusterArn!);
}

/** Ids of what EC2 lists; by hand, as its SDK client is larger than all the others together. */
async function networkParts({
  endpoint,
  region,
  administrator,
}: Pick<LocalAws, "endpoint" | "region" | "administrator">): Promise<string[]> {
  const scope = `${administrator.accessKeyId}/20000101/${region}/ec2/aws4_request`;
  const calls = [
    "Action=DescribeVpcs",
    "Action=DescribeSubnets",
    "Action=DescribeAddresses",
    "Action=DescribeSecurityGroups",
    "Action=DescribeInternetGateways",
    "Action=DescribeRouteTables",
    "Action=DescribeNatGateways&Filter.1.Name=state&Filter.1.Value.1=available",
  ];
  const answers = await Promise.all(
    calls.map(async (call) => {
      const answer = await fetch(endpoint, {
        method: "POST",
        headers: {
          Authorization: `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host, Signature=none`,
          "Content-Type": "application/x-www-form-urlencoded",
        },
        body: `${call}&Version=2016-11-15`,
      });
      const text = await answer.text();
      if (!answer.ok) throw new Error(`${call}: ${text.slice(0, 300)}`);
      return [...text.matchAll(/>((?:vpc|subnet|eipalloc|sg|igw|rtb|nat|eni)-[0-9a-f]+)</g)].map(
        ([, id]) => id!,
      );
    }),
  );
  return answers.flat();
}
