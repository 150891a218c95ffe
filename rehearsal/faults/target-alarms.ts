import {
  CloudWatchClient,
  DescribeAlarmsCommand,
  type MetricAlarm,
  type MetricDataQuery,
  SetAlarmStateCommand,
} from "@aws-sdk/client-cloudwatch";
import {
  DescribeTargetGroupsCommand,
  DescribeTargetHealthCommand,
  ElasticLoadBalancingV2Client,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { expect } from "./fault";
import type { Scene } from "./scene";

const PERIOD_SECONDS = 60;

/** Alarms that are being evaluated. */
export interface TargetWatch {
  /** Names of those that fired, without the prefix. */
  raised(): string[];
  /** Ends it, and puts what fired back. */
  stop(): Promise<void>;
}

/**
 * CloudWatch for the alarms on unhealthy targets: counts the targets of each group once a period, as the load balancer
 * reports them, evaluates the alarm's own expression, and sets its state.
 */
export function watchTargets(scene: Scene): TargetWatch {
  const watch = new CloudWatchClient(scene.cloud.aws.clientConfig());
  const raised = new Set<string>();
  const breaches = new Map<string, number>();
  let isOver = false;
  const set = (AlarmName: string, StateValue: "ALARM" | "OK") =>
    watch.send(
      new SetAlarmStateCommand({ AlarmName, StateValue, StateReason: "evaluated by the rehearsal" }),
    );

  const evaluate = async () => {
    const { MetricAlarms = [] } = await watch.send(
      new DescribeAlarmsCommand({ AlarmNamePrefix: `${scene.prefix}-` }),
    );
    for (const alarm of MetricAlarms.filter(isOnTargets)) {
      const name = alarm.AlarmName ?? "";
      const isBreached = (await measureExpression(scene, alarm)) >= (alarm.Threshold ?? Number.NaN);
      breaches.set(name, isBreached ? (breaches.get(name) ?? 0) + 1 : 0);
      if (breaches.get(name) !== alarm.EvaluationPeriods) continue;
      raised.add(name);
      await set(name, "ALARM");
    }
  };
  const work = (async () => {
    while (!isOver) {
      await evaluate();
      await scene.cloud.aws.wait(PERIOD_SECONDS);
    }
  })();
  work.catch(() => {});
  return {
    raised: () => [...raised].map((name) => name.slice(scene.prefix.length + 1)),
    async stop() {
      isOver = true;
      await work;
      for (const name of raised) await set(name, "OK");
    },
  };
}

function isOnTargets({ Metrics = [] }: MetricAlarm): boolean {
  return Metrics.some(({ MetricStat }) => MetricStat?.Metric?.MetricName === "UnHealthyHostCount");
}

/** The value of `IF(healthy > 0, unhealthy, 0)`, with the ids and metrics that the alarm has for them. */
async function measureExpression(scene: Scene, { AlarmName, Metrics = [] }: MetricAlarm): Promise<number> {
  const expression = Metrics.find(({ ReturnData }) => ReturnData)?.Expression ?? "";
  const [, condition, value] = /^IF\((\w+) > 0, (\w+), 0\)$/.exec(expression) ?? [];
  const query = (id: string | undefined) => Metrics.find(({ Id }) => Id === id);
  const [first, second] = [query(condition), query(value)];
  expect(first && second, `the rehearsal does not evaluate ${AlarmName}: ${expression}`);
  return (await countTargets(scene, first)) > 0 ? countTargets(scene, second) : 0;
}

async function countTargets(scene: Scene, { MetricStat }: MetricDataQuery): Promise<number> {
  const { MetricName, Dimensions = [] } = MetricStat?.Metric ?? {};
  const suffix = Dimensions.find(({ Name }) => Name === "TargetGroup")?.Value ?? "";
  const balancers = new ElasticLoadBalancingV2Client(scene.cloud.aws.clientConfig());
  const { TargetGroups = [] } = await balancers.send(new DescribeTargetGroupsCommand({}));
  const group = TargetGroups.find(({ TargetGroupArn = "" }) => TargetGroupArn.endsWith(`:${suffix}`));
  expect(group, `an alarm names a target group that is not there: ${suffix}`);
  const { TargetHealthDescriptions = [] } = await balancers.send(
    new DescribeTargetHealthCommand({ TargetGroupArn: group.TargetGroupArn }),
  );
  const wanted = MetricName === "HealthyHostCount" ? "healthy" : "unhealthy";
  return TargetHealthDescriptions.filter(({ TargetHealth }) => TargetHealth?.State === wanted).length;
}
