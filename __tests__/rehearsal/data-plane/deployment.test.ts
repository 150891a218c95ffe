import { callJson } from "../../../rehearsal/aws/json-api";
import { AwsError } from "../../../rehearsal/aws/local-aws";
import { type Deployments, startDeployments } from "../../../rehearsal/data-plane/deployment";
import { roleFor, startPlayedAws, until } from "./played-aws";

const APP_SPEC = JSON.stringify({
  version: 0,
  Resources: [
    {
      TargetService: {
        Type: "AWS::ECS::Service",
        Properties: {
          TaskDefinition: "arn:aws:ecs:r:1:task-definition/app:2",
          LoadBalancerInfo: { ContainerName: "app", ContainerPort: 8080 },
        },
      },
    },
  ],
});

const weights = (blue: number, green: number) => [
  {
    Type: "forward",
    ForwardConfig: {
      TargetGroups: [
        { TargetGroupArn: "arn:blue", Weight: blue },
        { TargetGroupArn: "arn:green", Weight: green },
      ],
    },
  },
];

const only = (arn: string) => [{ Type: "forward", TargetGroupArn: arn }];

describe("startDeployments", () => {
  let played: Awaited<ReturnType<typeof startPlayedAws>>;
  let deployments: Deployments;
  // biome-ignore lint/suspicious/noExplicitAny: shapes of the APIs
  let group: any, service: any, listeners: Record<string, any>;
  let alarmState: string;
  /** What CodeDeploy did, in order. */
  let steps: string[];
  let events: string[];
  let isGreenSteady: boolean;

  beforeEach(async () => {
    // An hour is less than a second.
    played = await startPlayedAws({ timeScale: 5_000 });
    steps = [];
    events = [];
    alarmState = "OK";
    isGreenSteady = true;
    group = {
      applicationName: "app",
      deploymentGroupName: "group",
      deploymentGroupId: "id",
      computePlatform: "ECS",
      serviceRoleArn: roleFor("codedeploy"),
      deploymentConfigName: "CodeDeployDefault.ECSAllAtOnce",
      ecsServices: [{ clusterName: "c", serviceName: "s" }],
      autoRollbackConfiguration: {
        enabled: true,
        events: ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_STOP_ON_REQUEST"],
      },
      alarmConfiguration: { enabled: true, alarms: [{ name: "errors" }] },
      blueGreenDeploymentConfiguration: {
        deploymentReadyOption: { actionOnTimeout: "CONTINUE_DEPLOYMENT" },
        terminateBlueInstancesOnDeploymentSuccess: { action: "TERMINATE", terminationWaitTimeInMinutes: 1 },
      },
      loadBalancerInfo: {
        targetGroupPairInfoList: [
          {
            targetGroups: [{ name: "blue" }, { name: "green" }],
            prodTrafficRoute: { listenerArns: ["prod"] },
            testTrafficRoute: { listenerArns: ["test"] },
          },
        ],
      },
    };
    const blue = { taskSetArn: "blue", status: "PRIMARY", loadBalancers: [{ targetGroupArn: "arn:blue" }] };
    service = { serviceName: "s", status: "ACTIVE", taskSets: [blue] };
    listeners = { prod: only("arn:blue"), test: only("arn:green") };
    playControlPlane();
    deployments = startDeployments(played.aws, {
      emit: ({ detail }) => events.push(String(detail.state)),
      commitOf: async (image) => (image === "image:2" ? "2".repeat(40) : undefined),
    });
  });

  afterEach(async () => {
    await deployments.stop();
    await played.close();
  });

  function playControlPlane() {
    const { control } = played;
    control.set("codedeploy:GetDeploymentGroup", () => ({ deploymentGroupInfo: group }));
    control.set("ecs:DescribeServices", () => ({ services: [service], failures: [] }));
    control.set("ecs:DescribeTaskDefinition", () => ({
      taskDefinition: { containerDefinitions: [{ name: "app", image: "image:2" }] },
    }));
    control.set("ecs:CreateTaskSet", (parameters) => {
      const [{ targetGroupArn, containerName, containerPort }] = parameters.loadBalancers;
      steps.push(`create ${targetGroupArn} ${containerName}:${containerPort} ${parameters.taskDefinition}`);
      const taskSet = { taskSetArn: "green", status: "ACTIVE", loadBalancers: parameters.loadBalancers };
      service.taskSets.push(taskSet);
      Object.defineProperty(taskSet, "stabilityStatus", {
        enumerable: true,
        get: () => (isGreenSteady ? "STEADY_STATE" : "STABILIZING"),
      });
      return { taskSet };
    });
    control.set("ecs:UpdateServicePrimaryTaskSet", ({ primaryTaskSet }) => {
      steps.push(`primary ${primaryTaskSet}`);
      return { taskSet: {} };
    });
    control.set("ecs:DeleteTaskSet", ({ taskSet }) => {
      steps.push(`delete ${taskSet}`);
      service.taskSets = service.taskSets.filter((one: { taskSetArn: string }) => one.taskSetArn !== taskSet);
      return { taskSet: {} };
    });
    control.set("elasticloadbalancing:DescribeTargetGroups", () => ({
      TargetGroups: [{ TargetGroupArn: "arn:blue" }, { TargetGroupArn: "arn:green" }],
    }));
    control.set("elasticloadbalancing:DescribeListeners", (parameters) => {
      const arn = parameters["ListenerArns.member.1"];
      return { Listeners: [{ ListenerArn: arn, DefaultActions: listeners[arn] }] };
    });
    control.set("elasticloadbalancing:DescribeRules", () => ({ Rules: [] }));
    control.set("elasticloadbalancing:ModifyListener", (parameters) => {
      steps.push(`${parameters.ListenerArn} ${trafficOf(parameters)}`);
      return {};
    });
    control.set("monitoring:DescribeAlarms", () => ({
      MetricAlarms: [{ AlarmName: "errors", StateValue: alarmState }],
    }));
  }

  function trafficOf(parameters: Record<string, string>): string {
    const action = "DefaultActions.member.1";
    const shares = `${action}.ForwardConfig.TargetGroups.member`;
    if (!parameters[`${shares}.1.Weight`]) return `${parameters[`${action}.TargetGroupArn`]} alone`;
    return `${parameters[`${shares}.1.Weight`]}/${parameters[`${shares}.2.Weight`]}`;
  }

  const call = (operation: string, parameters: object) =>
    callJson(played.aws, played.aws.administrator, "codedeploy", operation, parameters);
  const create = async (parameters: object = {}): Promise<string> => {
    const revision = { revisionType: "AppSpecContent", appSpecContent: { content: APP_SPEC } };
    const names = { applicationName: "app", deploymentGroupName: "group" };
    return (await call("CreateDeployment", { ...names, revision, ...parameters })).deploymentId;
  };
  const show = async (deploymentId: string) => (await call("GetDeployment", { deploymentId })).deploymentInfo;
  const reaches = (id: string, status: string) =>
    until(async () => {
      const info = await show(id);
      return info.status === status && info;
    });
  const settled = (id: string) =>
    until(async () => {
      const info = await show(id);
      return ["Succeeded", "Failed", "Stopped"].includes(info.status) && info;
    });

  it("goes through the steps in CodeDeploy's order", async () => {
    const id = await create();
    await reaches(id, "Succeeded");
    expect(steps).toEqual([
      "create arn:green app:8080 arn:aws:ecs:r:1:task-definition/app:2",
      "test 0/100",
      "prod 0/100",
      "primary green",
      "delete blue",
    ]);
    expect(events).toEqual(["START", "SUCCESS"]);
    expect(played.lines()).toEqual([
      "test listener started",
      "test listener waiting",
      "test listener succeeded",
      "live succeeded",
      "old version gone waiting",
      "old version gone succeeded",
    ]);
    expect(played.activities.at(-1)?.commit).toBe("2".repeat(40));
  });

  it("goes the other way round when green is in production", async () => {
    service.taskSets[0].loadBalancers[0].targetGroupArn = "arn:green";
    listeners.prod = weights(0, 100);
    await reaches(await create(), "Succeeded");
    expect(steps[0]).toContain("create arn:blue");
    // The pair is named with the one that gives traffic away first.
    expect(steps).toContain("prod 0/100");
  });

  it("shifts the traffic in the steps of the configuration", async () => {
    await reaches(
      await create({ deploymentConfigName: "CodeDeployDefault.ECSCanary10Percent5Minutes" }),
      "Succeeded",
    );
    expect(steps.filter((step) => step.startsWith("prod"))).toEqual(["prod 90/10", "prod 0/100"]);
  });

  it("lets only one deployment at a time into a group", async () => {
    const id = await create();
    await expect(create()).rejects.toMatchObject({ code: "DeploymentLimitExceededException", status: 400 });
    await reaches(id, "Succeeded");
    service.taskSets = [
      { taskSetArn: "blue2", status: "PRIMARY", loadBalancers: [{ targetGroupArn: "arn:blue" }] },
    ];
    await reaches(await create(), "Succeeded");
  });

  it("stops a deployment that nobody reroutes in time, and rolls back", async () => {
    group.blueGreenDeploymentConfiguration.deploymentReadyOption = {
      actionOnTimeout: "STOP_DEPLOYMENT",
      waitTimeInMinutes: 15,
    };
    const id = await create();
    await reaches(id, "Ready");
    const { rollbackInfo } = await reaches(id, "Stopped");
    await reaches(rollbackInfo.rollbackDeploymentId, "Succeeded");
    expect(steps.slice(1)).toEqual([
      "test 0/100",
      "prod arn:blue alone",
      "test arn:green alone",
      "delete green",
    ]);
  });

  it("goes on when somebody reroutes", async () => {
    group.blueGreenDeploymentConfiguration.deploymentReadyOption = {
      actionOnTimeout: "STOP_DEPLOYMENT",
      waitTimeInMinutes: 60,
    };
    const deploymentId = await create();
    await expect(call("ContinueDeployment", { deploymentId })).rejects.toMatchObject({
      code: "DeploymentIsNotInReadyStateException",
    });
    await reaches(deploymentId, "Ready");
    await call("ContinueDeployment", { deploymentId, deploymentWaitType: "READY_WAIT" });
    await reaches(deploymentId, "Succeeded");
    expect(events).toEqual(["START", "READY", "START", "SUCCESS"]);
    await expect(call("ContinueDeployment", { deploymentId })).rejects.toMatchObject({
      code: "DeploymentAlreadyCompletedException",
    });
  });

  it("fails when the new tasks are not healthy in an hour, and rolls back", async () => {
    isGreenSteady = false;
    service.events = [{ message: "(task 1) stopped: CannotPullContainerError" }];
    const { errorInformation, rollbackInfo } = await reaches(await create(), "Failed");
    expect(errorInformation.code).toBe("TIMEOUT");
    expect(errorInformation.message).toContain("CannotPullContainerError");
    const rollback = await reaches(rollbackInfo.rollbackDeploymentId, "Succeeded");
    expect(rollback.creator).toBe("codeDeployRollback");
    expect(steps.slice(1)).toEqual(["prod arn:blue alone", "test arn:green alone", "delete green"]);
  });

  it("rolls back when an alarm goes off before the old version is gone", async () => {
    group.blueGreenDeploymentConfiguration.terminateBlueInstancesOnDeploymentSuccess.terminationWaitTimeInMinutes = 60;
    const id = await create();
    await until(() => played.lines().includes("old version gone waiting"));
    alarmState = "ALARM";
    const { errorInformation, rollbackInfo } = await reaches(id, "Stopped");
    expect(errorInformation).toMatchObject({ code: "ALARM_ACTIVE" });
    await reaches(rollbackInfo.rollbackDeploymentId, "Succeeded");
    expect(steps.slice(4)).toEqual([
      "prod arn:blue alone",
      "test arn:green alone",
      "primary blue",
      "delete green",
    ]);
  });

  it("stops on request, and leaves everything where it is without a rollback", async () => {
    isGreenSteady = false;
    group.autoRollbackConfiguration.events = ["DEPLOYMENT_FAILURE"];
    const deploymentId = await create();
    await until(() => steps.length === 1);
    await call("StopDeployment", { deploymentId });
    const { errorInformation, rollbackInfo } = await reaches(deploymentId, "Stopped");
    expect(errorInformation.code).toBe("MANUAL_STOP");
    expect(rollbackInfo).toBeUndefined();
    expect(steps).toHaveLength(1);
  });

  it("fails when production does not lead to the primary task set", async () => {
    listeners.prod = only("arn:green");
    const { errorInformation } = await settled(await create());
    expect(errorInformation).toMatchObject({ code: "ELASTIC_LOAD_BALANCING_INVALID" });
    expect(errorInformation.message).toContain("behind listener");
  });

  test.each([
    "ecs:CreateTaskSet",
    "ecs:DescribeServices",
    "ecs:UpdateServicePrimaryTaskSet",
    "elasticloadbalancing:DescribeTargetGroups",
    "elasticloadbalancing:DescribeListeners",
    "elasticloadbalancing:ModifyListener",
  ])("fails when the group's role lacks %s", async (action) => {
    played.denied.add(action);
    const { status, errorInformation } = await settled(await create());
    expect(status).toBe("Failed");
    expect(errorInformation).toMatchObject({ code: "IAM_ROLE_PERMISSIONS" });
    expect(errorInformation.message).toContain(action);
  });

  it("does not go on blindly when the alarms cannot be read", async () => {
    played.denied.add("cloudwatch:DescribeAlarms");
    const { status, errorInformation } = await settled(await create());
    expect(status).toBe("Stopped");
    expect(errorInformation.message).toContain("cloudwatch:DescribeAlarms");
  });

  it("fails when CodeDeploy may not assume the group's role", async () => {
    group.serviceRoleArn = roleFor("ecs-tasks");
    expect((await settled(await create())).errorInformation.code).toBe("IAM_ROLE_PERMISSIONS");
  });

  it("refuses what it cannot deploy at the call", async () => {
    await expect(create({ deploymentConfigName: "Mine" })).rejects.toMatchObject({
      code: "DeploymentConfigDoesNotExistException",
    });
    await expect(create({ revision: { revisionType: "S3" } })).rejects.toMatchObject({
      code: "InvalidRevisionException",
    });
    played.control.set("codedeploy:GetDeploymentGroup", () => {
      throw new AwsError("DeploymentGroupDoesNotExistException", "no such group");
    });
    await expect(create()).rejects.toMatchObject({ code: "DeploymentGroupDoesNotExistException" });
  });

  it("fails with an AppSpec that has hooks", async () => {
    const content = JSON.stringify({ ...JSON.parse(APP_SPEC), Hooks: [{ AfterInstall: "f" }] });
    const revision = { revisionType: "AppSpecContent", appSpecContent: { content } };
    const { errorInformation } = await settled(await create({ revision }));
    expect(errorInformation).toMatchObject({ code: "INVALID_REVISION" });
  });
});
