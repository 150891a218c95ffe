import { CloudwatchDashboard } from "@cdktf/provider-aws/lib/cloudwatch-dashboard";
import { Fn } from "cdktf";
import { Construct } from "constructs";
import type { Account } from "./account";
import type { LoadBalancer } from "./load-balancer";

/** One graph: metrics in CloudWatch's array form, namespace first. */
interface Graph {
  readonly title: string;
  readonly stat: string;
  readonly metrics: string[][];
}

export interface ChainDashboardProps {
  readonly prefix: string;
  readonly account: Account;
  readonly apiName: string;
  readonly stageName: string;
  readonly projectName: string;
  readonly pipelineName: string;
  readonly clusterName: string;
  readonly serviceName: string;
  readonly loadBalancer: LoadBalancer;
  /** The event rule and the state machine; without them the webhook starts builds itself. */
  readonly queue?: { readonly busName: string; readonly ruleName: string; readonly stateMachineArn: string };
  /** Names of the dead-letter queues. */
  readonly deadLetterQueues: string[];
}

const COLUMNS = 3;
const WIDTH = 8;
const HEIGHT = 6;

/** CloudWatch dashboard that follows a push through the chain, stage by stage. */
export class ChainDashboard extends Construct {
  public readonly dashboard: CloudwatchDashboard;

  constructor(scope: Construct, id: string, props: ChainDashboardProps) {
    super(scope, id);
    this.dashboard = new CloudwatchDashboard(this, "Default", {
      dashboardName: props.prefix,
      dashboardBody: Fn.jsonencode({
        widgets: graphsOf(props).map((graph, index) => ({
          type: "metric",
          x: (index % COLUMNS) * WIDTH,
          y: Math.floor(index / COLUMNS) * HEIGHT,
          width: WIDTH,
          height: HEIGHT,
          properties: { ...graph, region: props.account.region, period: 60, view: "timeSeries" },
        })),
      }),
    });
  }
}

function graphsOf(props: ChainDashboardProps): Graph[] {
  const api = ["ApiName", props.apiName, "Stage", props.stageName];
  const project = ["ProjectName", props.projectName];
  const balancer = ["LoadBalancer", props.loadBalancer.lb.arnSuffix];
  const group = (colour: "blue" | "green") => [
    "TargetGroup",
    props.loadBalancer[colour].arnSuffix,
    ...balancer,
  ];
  const of = (namespace: string, metrics: string[], dimensions: string[]) =>
    metrics.map((metric) => [namespace, metric, ...dimensions]);
  return [
    { title: "received", stat: "Sum", metrics: of("AWS/ApiGateway", ["Count", "4XXError", "5XXError"], api) },
    ...(props.queue
      ? [
          {
            title: "filtered, queued",
            stat: "Sum",
            metrics: [
              ...of(
                "AWS/Events",
                ["MatchedEvents", "FailedInvocations"],
                ["EventBusName", props.queue.busName, "RuleName", props.queue.ruleName],
              ),
              ...of(
                "AWS/States",
                ["ExecutionsStarted", "ExecutionsSucceeded", "ExecutionsFailed"],
                ["StateMachineArn", props.queue.stateMachineArn],
              ),
            ],
          },
        ]
      : []),
    {
      title: "building, image, artifact",
      stat: "Sum",
      metrics: of("AWS/CodeBuild", ["Builds", "SucceededBuilds", "FailedBuilds"], project),
    },
    {
      title: "building: seconds",
      stat: "Average",
      metrics: of("AWS/CodeBuild", ["Duration", "QueuedDuration"], project),
    },
    {
      title: "pipeline",
      stat: "Sum",
      metrics: of("AWS/CodePipeline", ["FailedPipelineExecutions"], ["PipelineName", props.pipelineName]),
    },
    {
      title: "test listener, live, old version gone: healthy targets",
      stat: "Maximum",
      metrics: (["blue", "green"] as const).flatMap((colour) =>
        of("AWS/ApplicationELB", ["HealthyHostCount", "UnHealthyHostCount"], group(colour)),
      ),
    },
    {
      title: "live: requests by colour",
      stat: "Sum",
      metrics: (["blue", "green"] as const).flatMap((colour) =>
        of("AWS/ApplicationELB", ["RequestCount"], group(colour)),
      ),
    },
    {
      title: "live: errors",
      stat: "Sum",
      metrics: of("AWS/ApplicationELB", ["HTTPCode_Target_5XX_Count", "HTTPCode_ELB_5XX_Count"], balancer),
    },
    {
      title: "live: load of the service",
      stat: "Average",
      metrics: of(
        "AWS/ECS",
        ["CPUUtilization", "MemoryUtilization"],
        ["ClusterName", props.clusterName, "ServiceName", props.serviceName],
      ),
    },
    {
      title: "dead letters",
      stat: "Maximum",
      metrics: props.deadLetterQueues.flatMap((queue) =>
        of("AWS/SQS", ["ApproximateNumberOfMessagesVisible"], ["QueueName", queue]),
      ),
    },
  ];
}
