import { CloudwatchLogGroup } from "@cdktf/provider-aws/lib/cloudwatch-log-group";
import { EcsCluster } from "@cdktf/provider-aws/lib/ecs-cluster";
import { EcsService } from "@cdktf/provider-aws/lib/ecs-service";
import { EcsTaskDefinition } from "@cdktf/provider-aws/lib/ecs-task-definition";
import { SecurityGroup } from "@cdktf/provider-aws/lib/security-group";
import { VpcSecurityGroupEgressRule } from "@cdktf/provider-aws/lib/vpc-security-group-egress-rule";
import { VpcSecurityGroupIngressRule } from "@cdktf/provider-aws/lib/vpc-security-group-ingress-rule";
import { Fn } from "cdktf";
import { Construct } from "constructs";
import type { Config } from "../config/schema";
import type { Account } from "./account";
import { readAsset } from "./asset";
import type { ImageRepository } from "./image-repository";
import { LoadBalancer } from "./load-balancer";
import type { Network } from "./network";
import { ServiceRole } from "./service-role";

/** Runs until the first deployment; small, public, and without a pull limit that matters. */
const PLACEHOLDER_IMAGE = "public.ecr.aws/docker/library/busybox:1.37.0";

export interface BlueGreenServiceProps {
  readonly prefix: string;
  readonly account: Account;
  readonly removal: Config["project"]["removal"];
  readonly settings: Config["backlogDockerBuild"]["service"];
  /** `X86_64` or `ARM64`, as the images are built. */
  readonly cpuArchitecture: string;
  readonly network: Network;
  readonly repository: ImageRepository;
}

/** ECS service on Fargate behind a load balancer with two target groups; CodeDeploy changes what it runs. */
export class BlueGreenService extends Construct {
  public readonly cluster: EcsCluster;
  public readonly service: EcsService;
  public readonly taskDefinition: EcsTaskDefinition;
  public readonly executionRole: ServiceRole;
  /** What the application may do; give it permissions of your own. */
  public readonly taskRole: ServiceRole;
  public readonly logGroup: CloudwatchLogGroup;
  public readonly logStreamPrefix = "ecs";
  public readonly loadBalancer: LoadBalancer;
  public readonly settings: Config["backlogDockerBuild"]["service"];
  public readonly containerName: string;

  constructor(scope: Construct, id: string, props: BlueGreenServiceProps) {
    super(scope, id);
    const { prefix, account, settings, network, repository } = props;
    this.settings = settings;
    this.containerName = settings.containerName;

    this.cluster = new EcsCluster(this, "cluster", {
      name: prefix,
      setting: [{ name: "containerInsights", value: settings.containerInsights ? "enabled" : "disabled" }],
    });
    this.logGroup = new CloudwatchLogGroup(this, "log", {
      name: `/ecs/${prefix}`,
      retentionInDays: settings.logRetentionInDays,
    });
    // ECS tasks send both keys; the ARN is the cluster's tasks'.
    const source = { account, arns: [account.arn("ecs", "*")] };
    this.executionRole = new ServiceRole(this, "execution_role", {
      name: `${prefix}-task-execution`,
      service: "ecs-tasks.amazonaws.com",
      source,
      statements: [
        // ECR has no resource level for it.
        { sid: "LogInToRegistry", actions: ["ecr:GetAuthorizationToken"], resources: ["*"] },
        {
          sid: "PullImage",
          actions: ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
          resources: [repository.repository.arn],
        },
        {
          sid: "WriteLog",
          actions: ["logs:CreateLogStream", "logs:PutLogEvents"],
          // The streams of this group: ECS names one after each task.
          resources: [`${this.logGroup.arn}:*`],
        },
      ],
    });
    this.taskRole = new ServiceRole(this, "task_role", {
      name: `${prefix}-task`,
      service: "ecs-tasks.amazonaws.com",
      source,
    });
    this.taskDefinition = this.definePlaceholder(props);

    this.loadBalancer = new LoadBalancer(this, "load_balancer", props);
    const group = this.openToLoadBalancer(prefix, network);

    this.service = new EcsService(this, "Default", {
      name: prefix,
      cluster: this.cluster.arn,
      taskDefinition: this.taskDefinition.arn,
      desiredCount: settings.desiredCount,
      launchType: "FARGATE",
      deploymentController: { type: "CODE_DEPLOY" },
      // Its default differs between the provider's versions.
      availabilityZoneRebalancing: "DISABLED",
      healthCheckGracePeriodSeconds: 60,
      enableEcsManagedTags: true,
      propagateTags: "SERVICE",
      forceDelete: true,
      networkConfiguration: {
        subnets: network.privateSubnets.map((subnet) => subnet.id),
        securityGroups: [group.id],
        assignPublicIp: false,
      },
      loadBalancer: [
        {
          targetGroupArn: this.loadBalancer.blue.arn,
          containerName: this.containerName,
          containerPort: settings.port,
        },
      ],
      lifecycle: {
        // CodeDeploy changes task definition and target group with each deployment, people and autoscaling the count.
        ignoreChanges: ["task_definition", "load_balancer", "desired_count"],
      },
      // ECS refuses a target group that no load balancer uses; a task without way out cannot pull its image.
      dependsOn: [
        this.loadBalancer.production,
        this.loadBalancer.test,
        this.executionRole.policy!,
        ...network.egress,
      ],
    });
  }

  /** A task that answers 200 on the configured port and path, so that the service is well before the first push. */
  private definePlaceholder({
    prefix,
    account,
    settings,
    cpuArchitecture,
  }: BlueGreenServiceProps): EcsTaskDefinition {
    return new EcsTaskDefinition(this, "placeholder", {
      family: prefix,
      requiresCompatibilities: ["FARGATE"],
      networkMode: "awsvpc",
      cpu: String(settings.cpu),
      memory: String(settings.memory),
      executionRoleArn: this.executionRole.arn,
      taskRoleArn: this.taskRole.arn,
      runtimePlatform: { operatingSystemFamily: "LINUX", cpuArchitecture },
      containerDefinitions: Fn.jsonencode([
        {
          name: this.containerName,
          image: PLACEHOLDER_IMAGE,
          essential: true,
          command: ["sh", "-c", Fn.rawString(readAsset("service", "placeholder.sh"))],
          environment: [
            { name: "HEALTH_CHECK_PATH", value: settings.healthCheckPath },
            { name: "PORT", value: String(settings.port) },
          ],
          portMappings: [{ containerPort: settings.port, hostPort: settings.port, protocol: "tcp" }],
          logConfiguration: {
            logDriver: "awslogs",
            options: {
              "awslogs-group": this.logGroup.name,
              "awslogs-region": account.region,
              "awslogs-stream-prefix": this.logStreamPrefix,
            },
          },
          mountPoints: [],
          systemControls: [],
          volumesFrom: [],
        },
      ]),
    });
  }

  private openToLoadBalancer(prefix: string, network: Network): SecurityGroup {
    const { port } = this.settings;
    const group = new SecurityGroup(this, "group", {
      name: `${prefix}-tasks`,
      description: "Tasks of the service",
      vpcId: network.vpc.id,
      tags: { Name: `${prefix}-tasks` },
    });
    new VpcSecurityGroupIngressRule(this, "from_load_balancer", {
      securityGroupId: group.id,
      description: "From the load balancer",
      referencedSecurityGroupId: this.loadBalancer.group.id,
      ipProtocol: "tcp",
      fromPort: port,
      toPort: port,
    });
    new VpcSecurityGroupEgressRule(this, "outward", {
      securityGroupId: group.id,
      description: "Image, logs, and what the application calls",
      cidrIpv4: "0.0.0.0/0",
      ipProtocol: "-1",
    });
    new VpcSecurityGroupEgressRule(this, "load_balancer_to_tasks", {
      securityGroupId: this.loadBalancer.group.id,
      description: "To the tasks",
      referencedSecurityGroupId: group.id,
      ipProtocol: "tcp",
      fromPort: port,
      toPort: port,
    });
    return group;
  }
}
