import { APIGatewayClient, GetRestApisCommand, GetStagesCommand } from "@aws-sdk/client-api-gateway";
import {
  CloudWatchClient,
  DescribeAlarmsCommand,
  GetDashboardCommand,
  ListDashboardsCommand,
  type MetricAlarm,
} from "@aws-sdk/client-cloudwatch";
import { CodeBuildClient, ListProjectsCommand } from "@aws-sdk/client-codebuild";
import { CodePipelineClient, ListPipelinesCommand } from "@aws-sdk/client-codepipeline";
import {
  DescribeClustersCommand,
  ECSClient,
  ListClustersCommand,
  ListServicesCommand,
} from "@aws-sdk/client-ecs";
import {
  DescribeLoadBalancersCommand,
  DescribeTargetGroupsCommand,
  ElasticLoadBalancingV2Client,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { EventBridgeClient, ListEventBusesCommand, ListRulesCommand } from "@aws-sdk/client-eventbridge";
import { ListStateMachinesCommand, SFNClient } from "@aws-sdk/client-sfn";
import { ListQueuesCommand, SQSClient } from "@aws-sdk/client-sqs";
import type { LocalAws } from "./aws/local-aws";

type Aws = Pick<LocalAws, "clientConfig">;

/** A metric that somebody looks at. */
export interface Watched {
  /** The graph or the alarm. */
  readonly by: string;
  readonly dimensions: Readonly<Record<string, string>>;
}

/**
 * Checks that what the dashboards draw and the alarms watch is there: CloudWatch takes any name, and then shows an empty
 * graph and an alarm that never fires.
 * @returns what is wrong, in sentences
 */
export async function checkMetrics(aws: Aws): Promise<string[]> {
  return absent([...(await drawn(aws)), ...(await alarmed(aws))], await deployed(aws));
}

/** @returns what is watched and not there, in sentences */
export function absent(watched: readonly Watched[], there: Deployed): string[] {
  if (watched.length === 0) return ["no dashboard and no alarm watches anything"];
  return watched.flatMap(({ by, dimensions }) =>
    Object.entries(dimensions)
      .filter(([name, value]) => !there[name]?.includes(value))
      .map(([name, value]) => `${by} watches the ${name} "${value}", which is not deployed`),
  );
}

async function drawn(aws: Aws): Promise<Watched[]> {
  const client = new CloudWatchClient(aws.clientConfig());
  const { DashboardEntries = [] } = await client.send(new ListDashboardsCommand({}));
  const bodies = await Promise.all(
    DashboardEntries.map(({ DashboardName }) => client.send(new GetDashboardCommand({ DashboardName }))),
  );
  return bodies.flatMap(({ DashboardBody = "{}" }) => {
    const { widgets = [] } = JSON.parse(DashboardBody) as {
      widgets?: { properties: { title: string; metrics: string[][] } }[];
    };
    return widgets.flatMap(({ properties: { title, metrics } }) =>
      metrics.map(([, , ...rest]) => ({ by: `the graph "${title}"`, dimensions: paired(rest) })),
    );
  });
}

async function alarmed(aws: Aws): Promise<Watched[]> {
  const { MetricAlarms = [] } = await new CloudWatchClient(aws.clientConfig()).send(
    new DescribeAlarmsCommand({}),
  );
  const dimensionsOf = ({ Dimensions = [], Metrics = [] }: MetricAlarm) => [
    Dimensions,
    ...Metrics.map(({ MetricStat }) => MetricStat?.Metric?.Dimensions ?? []),
  ];
  return MetricAlarms.flatMap((alarm) =>
    dimensionsOf(alarm).map((dimensions) => ({
      by: `the alarm ${alarm.AlarmName}`,
      dimensions: Object.fromEntries(dimensions.map(({ Name, Value }) => [Name!, Value!])),
    })),
  );
}

/** Names of what is deployed, by the dimension that has them. */
type Deployed = Readonly<Record<string, readonly (string | undefined)[]>>;

async function deployed(aws: Aws): Promise<Deployed> {
  const config = aws.clientConfig();
  const apiGateway = new APIGatewayClient(config);
  const balancers = new ElasticLoadBalancingV2Client(config);
  const events = new EventBridgeClient(config);
  const ecs = new ECSClient(config);
  const { items: apis = [] } = await apiGateway.send(new GetRestApisCommand({}));
  const { EventBuses = [] } = await events.send(new ListEventBusesCommand({}));
  const { clusterArns = [] } = await ecs.send(new ListClustersCommand({}));
  const stages = await Promise.all(
    apis.map(({ id }) => apiGateway.send(new GetStagesCommand({ restApiId: id }))),
  );
  const rules = await Promise.all(
    EventBuses.map(({ Name }) => events.send(new ListRulesCommand({ EventBusName: Name }))),
  );
  const services = await Promise.all(
    clusterArns.map((cluster) => ecs.send(new ListServicesCommand({ cluster }))),
  );
  const { clusters = [] } = await ecs.send(new DescribeClustersCommand({ clusters: clusterArns }));
  const { LoadBalancers = [] } = await balancers.send(new DescribeLoadBalancersCommand({}));
  const { TargetGroups = [] } = await balancers.send(new DescribeTargetGroupsCommand({}));
  const { projects = [] } = await new CodeBuildClient(config).send(new ListProjectsCommand({}));
  const { pipelines = [] } = await new CodePipelineClient(config).send(new ListPipelinesCommand({}));
  const { stateMachines = [] } = await new SFNClient(config).send(new ListStateMachinesCommand({}));
  const { QueueUrls = [] } = await new SQSClient(config).send(new ListQueuesCommand({}));
  return {
    ApiName: apis.map(({ name }) => name),
    Stage: stages.flatMap(({ item = [] }) => item.map(({ stageName }) => stageName)),
    EventBusName: EventBuses.map(({ Name }) => Name),
    RuleName: rules.flatMap(({ Rules = [] }) => Rules.map(({ Name }) => Name)),
    StateMachineArn: stateMachines.map(({ stateMachineArn }) => stateMachineArn),
    ProjectName: projects,
    PipelineName: pipelines.map(({ name }) => name),
    ClusterName: clusters.map(({ clusterName }) => clusterName),
    ServiceName: services.flatMap(({ serviceArns = [] }) => serviceArns.map((arn) => arn.split("/").at(-1))),
    LoadBalancer: LoadBalancers.map(({ LoadBalancerArn }) => LoadBalancerArn?.split(":loadbalancer/")[1]),
    TargetGroup: TargetGroups.map(({ TargetGroupArn }) => TargetGroupArn?.split(":").at(-1)),
    QueueName: QueueUrls.map((url) => url.split("/").at(-1)),
  };
}

/** Names and values in turn, as a dashboard has them. */
function paired(list: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    list.flatMap((name, index) => (index % 2 === 0 ? [[name, list[index + 1] ?? ""]] : [])),
  );
}
