import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { callJson } from "../../../rehearsal/aws/json-api";
import type { RegistryLogin, RunOptions } from "../../../rehearsal/data-plane/containers";
import { TaskNetwork } from "../../../rehearsal/data-plane/task-network";
import { startTasks, type Tasks } from "../../../rehearsal/data-plane/tasks";
import { ACCOUNT, REGION, roleFor, startPlayedAws, until } from "./played-aws";

const REGISTRY = "127.0.0.1:5000";

/** An engine that only remembers. */
class FakeContainers {
  readonly running = new Map<
    string,
    { options: RunOptions; exit(code: number): void; ended: Promise<number> }
  >();
  readonly pulls: { image: string; login: RegistryLogin | undefined }[] = [];
  started = 0;
  fault: Error | undefined;

  async run(options: RunOptions) {
    if (this.fault) throw this.fault;
    this.started += 1;
    const id = `container-${this.started}`;
    let exit = (_code: number) => {};
    const ended = new Promise<number>((resolve) => {
      exit = resolve;
    });
    this.running.set(id, { options, exit, ended });
    const hostPorts = new Map((options.ports ?? []).map((port) => [port, 40_000 + this.started]));
    return { id, hostPorts };
  }
  async stop(id: string) {
    this.running.get(id)?.exit(143);
  }
  async remove(id: string) {
    this.running.get(id)?.exit(137);
    this.running.delete(id);
  }
  exited(id: string) {
    return this.running.get(id)?.ended ?? Promise.reject(new Error("No such container"));
  }
  follow() {}
  async hasImage(image: string) {
    return image.startsWith("public.ecr.aws/");
  }
  async pull(image: string, login?: RegistryLogin) {
    this.pulls.push({ image, login });
  }
}

describe("startTasks", () => {
  let played: Awaited<ReturnType<typeof startPlayedAws>>;
  let containers: FakeContainers;
  let network: TaskNetwork;
  let tasks: Tasks;
  let logs: string;
  // biome-ignore lint/suspicious/noExplicitAny: a definition as the API has it
  let definition: any;
  /** Registered targets by group, with their health. */
  let targets: Map<string, Map<string, string>>;
  let nextHealth: string;
  let loadBalancerArns: string[];

  beforeEach(async () => {
    played = await startPlayedAws({ timeScale: 2_000 });
    containers = new FakeContainers();
    network = new TaskNetwork();
    logs = await mkdtemp(join(tmpdir(), "tasks-"));
    targets = new Map();
    nextHealth = "healthy";
    loadBalancerArns = ["arn:lb"];
    definition = {
      taskDefinitionArn: `arn:aws:ecs:${REGION}:${ACCOUNT}:task-definition/app:1`,
      executionRoleArn: roleFor("ecs-tasks"),
      containerDefinitions: [
        {
          name: "app",
          image: `${REGISTRY}/team/app@sha256:1`,
          essential: true,
          portMappings: [{ containerPort: 8080 }],
          environment: [{ name: "COLOUR", value: "blue" }],
          command: ["serve"],
          readonlyRootFilesystem: true,
          logConfiguration: {
            logDriver: "awslogs",
            options: { "awslogs-group": "/app", "awslogs-stream-prefix": "web" },
          },
        },
      ],
    };
    playControlPlane();
    tasks = startTasks(played.aws, { containers, network, registryHost: REGISTRY, logs });
  });

  afterEach(async () => {
    await tasks.stop();
    await played.close();
    await rm(logs, { recursive: true });
  });

  function playControlPlane() {
    const { control } = played;
    const service = {
      serviceArn: `arn:aws:ecs:${REGION}:${ACCOUNT}:service/c/s`,
      clusterArn: `arn:aws:ecs:${REGION}:${ACCOUNT}:cluster/c`,
      serviceName: "s",
      status: "ACTIVE",
      taskDefinition: "app:1",
    };
    control.set("ecs:CreateService", () => ({ service }));
    control.set("ecs:UpdateService", () => ({ service }));
    control.set("ecs:DeleteService", () => {
      service.status = "INACTIVE";
      return { service };
    });
    control.set("ecs:DescribeServices", () => ({ services: [service], failures: [] }));
    control.set("ecs:DescribeTaskDefinition", () => ({ taskDefinition: definition }));
    control.set("ecr:GetAuthorizationToken", () => ({
      authorizationData: [{ authorizationToken: Buffer.from("AWS:pass:word").toString("base64") }],
    }));
    control.set("logs:CreateLogStream", () => ({}));
    control.set("elasticloadbalancing:DescribeTargetGroups", (parameters) => ({
      TargetGroups: [
        { TargetGroupArn: parameters["TargetGroupArns.member.1"], LoadBalancerArns: loadBalancerArns },
      ],
    }));
    control.set("elasticloadbalancing:RegisterTargets", (parameters) => {
      const group = targets.get(parameters.TargetGroupArn) ?? new Map();
      targets.set(parameters.TargetGroupArn, group.set(targetOf(parameters), nextHealth));
      return {};
    });
    control.set("elasticloadbalancing:DeregisterTargets", (parameters) => {
      targets.get(parameters.TargetGroupArn)?.delete(targetOf(parameters));
      return {};
    });
    control.set("elasticloadbalancing:DescribeTargetHealth", (parameters) => {
      const group = targets.get(parameters.TargetGroupArn);
      const asked = [1, 2, 3]
        .map((n) => targetOf(parameters, n))
        .filter((one) => !one.startsWith("undefined"));
      return {
        TargetHealthDescriptions: asked.map((one) => ({
          TargetHealth: { State: group?.get(one) ?? "unused" },
        })),
      };
    });
  }

  const targetOf = (parameters: Record<string, string>, n = 1) =>
    `${parameters[`Targets.member.${n}.Id`]}:${parameters[`Targets.member.${n}.Port`]}`;

  const call = (operation: string, parameters: object) =>
    callJson(played.aws, played.aws.administrator, "ecs", operation, { cluster: "c", ...parameters });
  const balancer = (targetGroupArn: string) => [
    { targetGroupArn, containerName: "app", containerPort: 8080 },
  ];
  const create = (more: object = {}) =>
    call("CreateService", {
      serviceName: "s",
      desiredCount: 2,
      taskDefinition: "app",
      deploymentController: { type: "CODE_DEPLOY" },
      loadBalancers: balancer("arn:blue"),
      ...more,
    });
  const show = async () => (await call("DescribeServices", { services: ["s"] })).services[0];
  const steady = () =>
    until(async () => {
      const service = await show();
      return (
        service.taskSets.every(
          (set: { stabilityStatus: string }) => set.stabilityStatus === "STEADY_STATE",
        ) && service
      );
    });
  const addresses = (group: string) => [...(targets.get(group)?.keys() ?? [])];

  it("runs a new service's tasks in a primary task set, each with an address of its own", async () => {
    await create();
    const service = await steady();
    expect(service).toMatchObject({ desiredCount: 2, runningCount: 2, pendingCount: 0 });
    expect(service.taskSets).toMatchObject([{ status: "PRIMARY", computedDesiredCount: 2, runningCount: 2 }]);
    expect(new Set(addresses("arn:blue")).size).toBe(2);
    const [address = ""] = addresses("arn:blue");
    expect(network.locate(address.split(":")[0]!, 8080)?.host).toBe("127.0.0.1");
    expect([...containers.running.values()][0]?.options).toMatchObject({
      env: { COLOUR: "blue" },
      command: ["serve"],
      ports: [8080],
      readOnly: true,
    });
  });

  it("pulls an image of the account's registry as the execution role, with a login", async () => {
    await create({ desiredCount: 1 });
    await steady();
    expect(containers.pulls).toEqual([
      {
        image: `${REGISTRY}/team/app@sha256:1`,
        login: { registry: REGISTRY, username: "AWS", password: "pass:word" },
      },
    ]);
  });

  it("uses a public image that is already there", async () => {
    definition.containerDefinitions[0].image = "public.ecr.aws/nginx/nginx:1";
    await create({ desiredCount: 1 });
    await steady();
    expect(containers.pulls).toEqual([]);
  });

  test.each([
    "ecr:GetAuthorizationToken",
    "ecr:BatchGetImage",
    "ecr:GetDownloadUrlForLayer",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
  ])("starts no task when the execution role lacks %s", async (action) => {
    played.denied.add(action);
    await create({ desiredCount: 1 });
    const message = await until(() => tasks.lastEvent("c", "s"));
    expect(message).toContain(action);
    expect(containers.started).toBe(0);
  });

  it("starts no task when ECS may not assume its role", async () => {
    definition.taskRoleArn = roleFor("codebuild");
    await create({ desiredCount: 1 });
    expect(await until(() => tasks.lastEvent("c", "s"))).toContain("ECS was unable to assume the role");
  });

  it("refuses by name what it does not play", async () => {
    definition.containerDefinitions[0].secrets = [{ name: "A", valueFrom: "b" }];
    await create({ desiredCount: 1 });
    expect(await until(() => tasks.lastEvent("c", "s"))).toContain("not played by this rehearsal: secrets");
  });

  it("replaces a task that ends, and takes it out of its target group", async () => {
    await create({ desiredCount: 1 });
    await steady();
    const [before] = addresses("arn:blue");
    [...containers.running.values()][0]?.exit(1);
    await until(() => containers.started === 2);
    await steady();
    expect(addresses("arn:blue")).toHaveLength(1);
    expect(addresses("arn:blue")).not.toContain(before);
    const { taskArns } = await call("ListTasks", { serviceName: "s", desiredStatus: "STOPPED" });
    const { tasks: stopped } = await call("DescribeTasks", { tasks: taskArns });
    expect(stopped).toMatchObject([
      { lastStatus: "STOPPED", stoppedReason: "Essential container in task exited (app: 1)" },
    ]);
  });

  it("starts a task that keeps failing again, later and later", async () => {
    containers.fault = new Error("no such command");
    await create({ desiredCount: 1 });
    const service = await until(async () => {
      const found = await show();
      return found.events.length >= 4 && found;
    });
    const times = service.events.map(({ createdAt }: { createdAt: number }) => createdAt);
    expect(times[0] - times[1]).toBeGreaterThanOrEqual(0.02);
    expect(service.runningCount).toBe(0);
  });

  it("is steady only when every target is healthy", async () => {
    nextHealth = "initial";
    await create({ desiredCount: 1 });
    await until(async () => (await show()).runningCount === 1);
    expect((await show()).taskSets[0].stabilityStatus).toBe("STABILIZING");
    for (const group of targets.values()) for (const one of group.keys()) group.set(one, "healthy");
    await steady();
  });

  it("runs a second task set beside the first, makes it primary and ends the first", async () => {
    await create();
    const { taskSets } = await steady();
    const { taskSet } = await call("CreateTaskSet", {
      service: "s",
      taskDefinition: "app:2",
      loadBalancers: balancer("arn:green"),
      scale: { value: 100, unit: "PERCENT" },
    });
    await steady();
    expect(containers.running.size).toBe(4);
    await call("UpdateServicePrimaryTaskSet", { service: "s", primaryTaskSet: taskSet.taskSetArn });
    const blue = { service: "s", taskSet: taskSets[0].taskSetArn };
    await expect(call("DeleteTaskSet", blue)).rejects.toMatchObject({ code: "InvalidParameterException" });
    await call("DeleteTaskSet", { ...blue, force: true });
    const service = await until(async () => {
      const found = await show();
      return found.taskSets.length === 1 && found;
    });
    expect(service.taskSets[0]).toMatchObject({ taskSetArn: taskSet.taskSetArn, status: "PRIMARY" });
    expect(service.loadBalancers).toEqual(balancer("arn:green"));
    expect(containers.running.size).toBe(2);
    expect(addresses("arn:blue")).toEqual([]);
  });

  it("follows the desired count, and is inactive when its last task is gone", async () => {
    await create();
    await steady();
    await call("UpdateService", { service: "s", desiredCount: 3 });
    await until(() => containers.running.size === 3);
    await call("UpdateService", { service: "s", desiredCount: 1 });
    await until(() => containers.running.size === 1);
    await call("DeleteService", { service: "s", force: true });
    await until(async () => (await show()).status === "INACTIVE");
    expect(containers.running.size).toBe(0);
  });

  it("refuses to change a task definition beside CodeDeploy", async () => {
    await create();
    const change = call("UpdateService", { service: "s", taskDefinition: "app:2" });
    await expect(change).rejects.toThrow("Use AWS CodeDeploy");
  });

  it("refuses target groups that no load balancer uses", async () => {
    loadBalancerArns = [];
    await expect(create()).rejects.toThrow("does not have an associated load balancer");
    expect(played.calls).not.toContain("ecs:CreateService");
  });

  it("runs the containers of one task in one network", async () => {
    definition.containerDefinitions.push({ name: "side", image: "public.ecr.aws/side:1", essential: false });
    await create({ desiredCount: 1 });
    await steady();
    const [app, side] = [...containers.running.entries()];
    expect(side?.[1].options).toMatchObject({ networkOf: app?.[0] });
    side?.[1].exit(0);
    expect((await show()).runningCount).toBe(1);
  });

  it("leaves services of another controller to the control plane", async () => {
    await create({ deploymentController: { type: "ECS" } });
    expect((await show()).taskSets).toBeUndefined();
    expect(containers.started).toBe(0);
  });
});
