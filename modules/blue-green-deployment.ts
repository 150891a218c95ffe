import { CloudwatchMetricAlarm } from "@cdktf/provider-aws/lib/cloudwatch-metric-alarm";
import { CodedeployApp } from "@cdktf/provider-aws/lib/codedeploy-app";
import { CodedeployDeploymentGroup } from "@cdktf/provider-aws/lib/codedeploy-deployment-group";
import { Fn } from "cdktf";
import { Construct } from "constructs";
import type { Config } from "../config/schema";
import type { Account } from "./account";
import type { ArtifactStore } from "./artifact-store";
import type { BlueGreenService } from "./blue-green-service";
import type { LoadBalancer } from "./load-balancer";
import { type PolicyStatement, ServiceRole } from "./service-role";

export interface BlueGreenDeploymentProps {
  readonly prefix: string;
  readonly account: Account;
  readonly settings: Config["backlogDockerBuild"]["deployment"];
  readonly service: BlueGreenService;
  readonly store: ArtifactStore;
}

/** CodeDeploy application and group: moves traffic to a new task set, and back when something is wrong. */
export class BlueGreenDeployment extends Construct {
  public readonly application: CodedeployApp;
  public readonly group: CodedeployDeploymentGroup;
  /** Names of the alarms that roll a deployment back. */
  public readonly alarms: CloudwatchMetricAlarm[];

  constructor(scope: Construct, id: string, props: BlueGreenDeploymentProps) {
    super(scope, id);
    const { prefix, settings, service } = props;
    const { loadBalancer } = service;

    const role = new ServiceRole(this, "role", {
      name: `${prefix}-deployment`,
      service: "codedeploy.amazonaws.com",
      statements: deploymentStatements(props),
    });
    this.alarms = [
      this.serverErrorAlarm(prefix, "application", "HTTPCode_Target_5XX_Count", loadBalancer),
      this.serverErrorAlarm(prefix, "load_balancer", "HTTPCode_ELB_5XX_Count", loadBalancer),
      this.unhealthyAlarm(prefix, "blue", loadBalancer),
      this.unhealthyAlarm(prefix, "green", loadBalancer),
    ];

    this.application = new CodedeployApp(this, "application", { name: prefix, computePlatform: "ECS" });
    this.group = new CodedeployDeploymentGroup(this, "Default", {
      appName: this.application.name,
      deploymentGroupName: prefix,
      serviceRoleArn: role.arn,
      deploymentConfigName: settings.configName,
      deploymentStyle: { deploymentType: "BLUE_GREEN", deploymentOption: "WITH_TRAFFIC_CONTROL" },
      blueGreenDeploymentConfig: {
        deploymentReadyOption:
          settings.stopUnlessReroutedWithinMinutes === undefined
            ? { actionOnTimeout: "CONTINUE_DEPLOYMENT" }
            : {
                actionOnTimeout: "STOP_DEPLOYMENT",
                waitTimeInMinutes: settings.stopUnlessReroutedWithinMinutes,
              },
        terminateBlueInstancesOnDeploymentSuccess: {
          action: "TERMINATE",
          terminationWaitTimeInMinutes: settings.terminationWaitTimeInMinutes,
        },
      },
      ecsService: { clusterName: service.cluster.name, serviceName: service.service.name },
      loadBalancerInfo: {
        targetGroupPairInfo: {
          prodTrafficRoute: { listenerArns: [loadBalancer.production.arn] },
          testTrafficRoute: { listenerArns: [loadBalancer.test.arn] },
          targetGroup: [{ name: loadBalancer.blue.name }, { name: loadBalancer.green.name }],
        },
      },
      autoRollbackConfiguration: {
        enabled: true,
        events: ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_STOP_ON_REQUEST"],
      },
      alarmConfiguration: { enabled: true, alarms: this.alarms.map((alarm) => alarm.alarmName) },
      dependsOn: [role.policy!],
    });
  }

  private serverErrorAlarm(
    prefix: string,
    who: "application" | "load_balancer",
    metricName: string,
    { lb }: LoadBalancer,
  ): CloudwatchMetricAlarm {
    return new CloudwatchMetricAlarm(this, `${who}_errors`, {
      alarmName: `${prefix}-${who.replace("_", "-")}-errors`,
      alarmDescription: `The ${who.replace("_", " ")} answers 5xx; a deployment under way is rolled back`,
      namespace: "AWS/ApplicationELB",
      metricName,
      dimensions: { LoadBalancer: lb.arnSuffix },
      statistic: "Sum",
      period: 60,
      evaluationPeriods: 1,
      threshold: 10,
      comparisonOperator: "GreaterThanOrEqualToThreshold",
      treatMissingData: "notBreaching",
    });
  }

  /**
   * A group with healthy and unhealthy targets at once for three minutes. One that has no healthy target yet is
   * still starting: CodeDeploy itself waits for it, and an alarm would stop every deployment of a slow starter.
   */
  private unhealthyAlarm(
    prefix: string,
    colour: "blue" | "green",
    loadBalancer: LoadBalancer,
  ): CloudwatchMetricAlarm {
    const metric = (id: string, metricName: string) => ({
      id,
      metric: {
        namespace: "AWS/ApplicationELB",
        metricName,
        dimensions: {
          LoadBalancer: loadBalancer.lb.arnSuffix,
          TargetGroup: loadBalancer[colour].arnSuffix,
        },
        stat: "Maximum",
        period: 60,
      },
    });
    return new CloudwatchMetricAlarm(this, `${colour}_unhealthy`, {
      alarmName: `${prefix}-${colour}-unhealthy-hosts`,
      alarmDescription: `Some targets of the ${colour} group are unhealthy; a deployment under way is rolled back`,
      metricQuery: [
        {
          id: "partly_unhealthy",
          expression: "IF(healthy > 0, unhealthy, 0)",
          label: "Unhealthy beside healthy targets",
          returnData: true,
        },
        metric("healthy", "HealthyHostCount"),
        metric("unhealthy", "UnHealthyHostCount"),
      ],
      evaluationPeriods: 3,
      threshold: 1,
      comparisonOperator: "GreaterThanOrEqualToThreshold",
      treatMissingData: "notBreaching",
    });
  }
}

function deploymentStatements({ account, service, store }: BlueGreenDeploymentProps): PolicyStatement[] {
  const { cluster, loadBalancer } = service;
  const taskSets = account.arn("ecs", `task-set/${cluster.name}/${service.service.name}/*`);
  const listeners = [loadBalancer.production.arn, loadBalancer.test.arn];
  return [
    {
      sid: "MoveService",
      actions: ["ecs:DescribeServices", "ecs:UpdateServicePrimaryTaskSet"],
      resources: [service.service.id],
    },
    {
      sid: "ManageTaskSets",
      actions: ["ecs:CreateTaskSet", "ecs:DeleteTaskSet"],
      // CodeDeploy makes a task set for each deployment, with an id that ECS chooses.
      resources: [service.service.id, taskSets],
    },
    {
      sid: "SeeTraffic",
      actions: [
        "elasticloadbalancing:DescribeListeners",
        "elasticloadbalancing:DescribeRules",
        "elasticloadbalancing:DescribeTargetGroups",
        "elasticloadbalancing:DescribeTargetHealth",
      ],
      // Elastic Load Balancing has no resource level for its Describe calls.
      resources: ["*"],
    },
    { sid: "ShiftTraffic", actions: ["elasticloadbalancing:ModifyListener"], resources: listeners },
    {
      sid: "ShiftTrafficOfRules",
      actions: ["elasticloadbalancing:ModifyRule"],
      // The rules of these two listeners, the default one among them: AWS lists the action beside ModifyListener.
      resources: listeners.map((arn) => `${Fn.replace(arn, ":listener/", ":listener-rule/")}/*`),
    },
    // CloudWatch has a resource level here, but CodeDeploy asks for the group's alarms in one call.
    { sid: "SeeAlarms", actions: ["cloudwatch:DescribeAlarms"], resources: ["*"] },
    {
      sid: "ReadRevision",
      actions: ["s3:GetObject", "s3:GetObjectVersion"],
      resources: [`${store.bucket.arn}/*`],
    },
    {
      sid: "PassTaskRoles",
      actions: ["iam:PassRole"],
      resources: [service.executionRole.arn, service.taskRole.arn],
      condition: [
        { test: "StringEquals", variable: "iam:PassedToService", values: ["ecs-tasks.amazonaws.com"] },
      ],
    },
  ];
}
