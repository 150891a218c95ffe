import { parseAppSpec } from "../../../rehearsal/data-plane/appspec";

const YAML = `version: 0.0
Resources:
  - TargetService:
      Type: AWS::ECS::Service
      Properties:
        TaskDefinition: "arn:aws:ecs:r:1:task-definition/app:1"
        LoadBalancerInfo:
          ContainerName: "app"
          ContainerPort: 8080
`;

describe("parseAppSpec", () => {
  it("reads YAML and JSON alike", () => {
    const expected = {
      taskDefinition: "arn:aws:ecs:r:1:task-definition/app:1",
      containerName: "app",
      containerPort: 8080,
    };
    expect(parseAppSpec(YAML)).toEqual(expected);
    const { taskDefinition: TaskDefinition, containerName, containerPort } = expected;
    const LoadBalancerInfo = { ContainerName: containerName, ContainerPort: String(containerPort) };
    const service = { Type: "AWS::ECS::Service", Properties: { TaskDefinition, LoadBalancerInfo } };
    expect(parseAppSpec(JSON.stringify({ version: 0, Resources: [{ x: service }] }))).toEqual(expected);
  });

  test.each([
    [YAML.replace("0.0", "0.1"), "version must be 0.0"],
    [YAML.replace(/"arn:.*"/, "<TASK_DEFINITION>"), "TaskDefinition must be an ARN"],
    [YAML.replace('"app"', ""), "ContainerName must be a name"],
    [YAML.replace("8080", "http"), "ContainerPort must be a port"],
    [YAML.replace("AWS::ECS::Service", "AWS::Lambda::Function"), "type must be AWS::ECS::Service"],
    [`${YAML}Hooks:\n  - BeforeInstall: f\n`, "Lambda"],
    ["version: 0.0\nResources: []", "exactly one resource"],
    ["version: [", "neither YAML nor JSON"],
  ])("refuses %j", (text, message) => {
    expect(() => parseAppSpec(text)).toThrow(message);
  });
});
