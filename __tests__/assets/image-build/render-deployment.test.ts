import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { APPLICATION, BuildMachine } from "./build-machine";

const IMAGE = `127.0.0.1:5000/team/web@sha256:${"ab".repeat(32)}`;

describe("render-deployment.sh", () => {
  let machine: BuildMachine;

  beforeEach(() => {
    machine = new BuildMachine();
    machine.environment.GIT_COMMIT = "0123456789abcdef0123456789abcdef01234567";
    machine.leave({ image: `${IMAGE}\n` });
  });

  afterEach(() => machine.remove());

  function render(taskdef: string, appspec = "version: 0.0\n", environment: Record<string, string> = {}) {
    machine.leave({
      "source/codesries_asset/taskdef.json": taskdef,
      "source/codesries_asset/appspec.yaml": appspec,
    });
    Object.assign(machine.environment, environment);
    return machine.run("render-deployment.sh");
  }

  test("renders the starter files into what ECS and CodeDeploy take", async () => {
    const starter = (name: string) => readFileSync(join(APPLICATION, "codesries_asset", name), "utf8");
    const { status, output } = await render(starter("taskdef.json"), starter("appspec.yaml"));
    expect(output).toBe("[render] rendered imageDetail.json, taskdef.json and appspec.yaml\n");
    expect(status).toBe(0);

    expect(JSON.parse(machine.read("artifact/imageDetail.json"))).toEqual({ ImageURI: IMAGE });
    expect(JSON.parse(machine.read("artifact/taskdef.json"))).toEqual({
      family: "web",
      requiresCompatibilities: ["FARGATE"],
      networkMode: "awsvpc",
      cpu: "256",
      memory: "512",
      runtimePlatform: { operatingSystemFamily: "LINUX", cpuArchitecture: "X86_64" },
      executionRoleArn: "arn:aws:iam::123456789012:role/execution",
      taskRoleArn: "arn:aws:iam::123456789012:role/task",
      containerDefinitions: [
        {
          name: "web",
          image: "<IMAGE1_NAME>",
          essential: true,
          readonlyRootFilesystem: true,
          portMappings: [{ containerPort: 8080, protocol: "tcp" }],
          environment: [{ name: "PORT", value: "8080" }],
          logConfiguration: {
            logDriver: "awslogs",
            options: {
              "awslogs-group": "/ecs/web",
              "awslogs-region": "ap-northeast-1",
              "awslogs-stream-prefix": "web",
            },
          },
        },
      ],
    });
    expect(parse(machine.read("artifact/appspec.yaml"))).toEqual({
      version: 0.0,
      Resources: [
        {
          TargetService: {
            Type: "AWS::ECS::Service",
            Properties: {
              TaskDefinition: "<TASK_DEFINITION>",
              LoadBalancerInfo: { ContainerName: "web", ContainerPort: 8080 },
            },
          },
        },
      ],
    });
  });

  test("ends well with only an image for a branch that does not go live", async () => {
    const { status, output } = await render("not even JSON", "", { GIT_REF: "refs/heads/feature/one" });
    expect(status).toBe(0);
    expect(output).toBe("outcome: image only, tag 0123456789 (refs/heads/feature/one does not go live)\n");
    expect(machine.has("artifact")).toBe(false);
  });

  test.each(["a&b", "a/b", "a|b", "a\\\\b", "$(id)`id`", "100% & more", "日本語"])(
    "puts the value %s in as it is",
    async (value) => {
      await render('{ "family": "<TASK_FAMILY>" }', "version: 0.0\n", { TASK_FAMILY: value });
      expect(machine.read("artifact/taskdef.json")).toBe(`{ "family": "${value}" }\n`);
    },
  );

  test.each([
    ["a quote", 'web", "essential": "no'],
    ["a line end", "web\nweb"],
  ])("refuses a value with %s, which could become more than a value", async (_, value) => {
    const { status, output } = await render('{ "family": "<TASK_FAMILY>" }', "version: 0.0\n", {
      TASK_FAMILY: value,
    });
    expect(status).toBe(1);
    expect(output).toContain("error: the value of TASK_FAMILY has a quote or a control character");
  });

  test.each([
    [
      "taskdef.json",
      '{ "a": "<TASK_NAME>", "b": "<IMAGE2_NAME>" }',
      "version: 0.0\n",
      "<IMAGE2_NAME> <TASK_NAME>",
    ],
    ["appspec.yaml", "{}", "version: <VERSION>\n", "<VERSION>"],
  ])("names %s and the placeholders that it does not know", async (file, taskdef, appspec, left) => {
    const { status, output } = await render(taskdef, appspec);
    expect(status).toBe(1);
    expect(output).toContain(`error: ${file} has unknown placeholders: ${left}`);
    expect(machine.has("artifact")).toBe(false);
  });

  test("fails when a placeholder's variable is empty", async () => {
    const { status, output } = await render('{ "cpu": "<CPU>" }', "version: 0.0\n", { CPU: "" });
    expect(status).toBe(1);
    expect(output).toContain("error: taskdef.json wants <CPU>, which has no value");
  });

  test.each([
    ["taskdef.json is not JSON", '{ "cpu": "<CPU>", }', "version: 0.0\n"],
    ["appspec.yaml is not YAML", "{}", "version: 0.0\n\tResources: [\n"],
  ])("fails when %s", async (message, taskdef, appspec) => {
    const { status, output } = await render(taskdef, appspec);
    expect(status).toBe(1);
    expect(output).toContain(`error: ${message}: `);
    expect(machine.has("artifact")).toBe(false);
  });

  test.each(["taskdef.json", "appspec.yaml"])("names the setting when %s is missing", async (name) => {
    machine.leave({ "source/deploy/taskdef.json": "{}", "source/deploy/appspec.yaml": "version: 0.0\n" });
    await machine.bash(["-c", `rm work/source/deploy/${name}`]);
    const { status, output } = await render("{}", "version: 0.0\n", { DEPLOY_FILES: "deploy" });
    expect(status).toBe(1);
    expect(output).toContain(`error: the commit has no file deploy/${name} (setting build.deployFiles)`);
  });

  test("says which parsers would do when the machine has none", async () => {
    machine.arrange("fail/ruby", "");
    machine.leave({ "../bin/perl": "#!/bin/sh\nexit 127\n", "../bin/python3": "#!/bin/sh\nexit 127\n" });
    await machine.bash(["-c", "chmod +x bin/*"]);
    machine.environment.PATH = `${machine.home}/bin:${machine.environment.PATH}`;
    const { status, output } = await render("{}");
    expect(status).toBe(1);
    expect(output).toContain("this machine has no parser for JSON: ruby, perl with JSON::PP, or python3");
  });

  test("renders nothing when there is no image", async () => {
    await machine.bash(["-c", "rm work/image"]);
    const { status, output } = await render("{}");
    expect(status).toBe(1);
    expect(output).toContain('error: not run: an earlier step has not left "image"');
    expect(machine.has("artifact")).toBe(false);
  });
});
