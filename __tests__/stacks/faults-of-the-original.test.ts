import { parse } from "yaml";
import { readAsset } from "../../modules/asset";
import { renderBuildspec } from "../../modules/buildspec";
import { renderResponseMappings } from "../../modules/mapping-template";
import { matchesPattern } from "../../rehearsal/data-plane/event-pattern";
import { evaluateTemplate } from "../../rehearsal/data-plane/mapping-template";
import { BuildMachine, SECRET } from "../assets/image-build/build-machine";
import { FILES, GitRepository } from "../assets/image-build/git-repository";
import { isBuilt, machineInput, pushEvent, ZEROS } from "../support/build-events";
import { faultsWith } from "../support/faults";
import { decodeJsonencode } from "../support/jsonencode";
import { servePlaceholder } from "../support/placeholder";
import { type Json, type Synthesised, synthesise } from "../support/stack";
import { VARIANTS } from "../support/variants";

const shipped = synthesise();
const direct = synthesise(VARIANTS.direct);
const everything = synthesise(VARIANTS.everything);
const ownSecret = synthesise(VARIANTS["own secret"]);
const all = [shipped, direct, everything, ownSecret];

const environment = (stack: Synthesised): Record<string, string> =>
  Object.fromEntries(
    stack
      .one("aws_codebuild_project")
      .environment.environment_variable.map(({ name, value }: Json) => [name, value]),
  );

/** What the sender is answered when AWS answers so. */
function answer(delivery: "bus" | "direct", status: number, body: unknown) {
  const mappings = renderResponseMappings(delivery);
  const mapping =
    mappings.find(({ selectionPattern }) => new RegExp(`^(?:${selectionPattern})$`).test(String(status))) ??
    mappings.find(({ selectionPattern }) => selectionPattern === undefined)!;
  const { output, responseStatus } = evaluateTemplate(mapping.template, {
    body: JSON.stringify(body),
    context: { requestId: "request-1" },
  });
  return { status: responseStatus ?? Number(mapping.statusCode), output };
}

describe("the original's faults", () => {
  let machine: BuildMachine;
  let repository: GitRepository;

  beforeEach(() => {
    machine = new BuildMachine();
    repository = new GitRepository(machine.home);
    machine.environment.GIT_REMOTE = repository.url;
  });
  afterEach(() => machine.remove());

  /** A push of the live branch; nothing is built yet. */
  function push(message: string, files = FILES): string {
    const commit = repository.commit(message, files);
    repository.push(commit);
    Object.assign(machine.environment, { GIT_COMMIT: commit, GIT_BEFORE: ZEROS });
    return commit;
  }

  const STEPS = [
    "check-push.sh",
    "fetch-commit.sh",
    "build-image.sh",
    "render-deployment.sh",
    "publish-artifact.sh",
  ];
  const build = () => machine.runAll(...STEPS);
  /** A fresh machine for another build; what is in AWS stays. */
  const clean = () => machine.bash(["-c", "rm -rf work && mkdir work"]);

  describe("fault 1: the pipeline waited for events that nobody sent", () => {
    const pattern = (stack: Synthesised) =>
      decodeJsonencode(stack.one("aws_cloudwatch_event_rule", "pipeline/rule").event_pattern);
    const published = (name: string, key: string) => ({
      source: "aws.s3",
      "detail-type": "Object Created",
      detail: { version: "0", bucket: { name }, object: { key, size: 1, etag: "x", "version-id": "v" } },
    });

    test("fault 1: the bucket tells EventBridge of new objects", () => {
      for (const stack of all) {
        const notification = stack.one("aws_s3_bucket_notification");
        expect(notification).toMatchObject({ bucket: "${aws_s3_bucket.artifacts.id}", eventbridge: true });
      }
    });

    test("fault 1: a rule on the default bus takes what S3 sends for the published artifact alone", () => {
      for (const stack of all) {
        expect(stack.one("aws_cloudwatch_event_rule", "pipeline/rule").event_bus_name).toBeUndefined();
        expect(stack.one("aws_cloudwatch_event_target", "pipeline/target").event_bus_name).toBeUndefined();
        const { S3Bucket, S3ObjectKey } = stack.one("aws_codepipeline").stage[0].action[0].configuration;
        expect(matchesPattern(pattern(stack), published(S3Bucket, S3ObjectKey))).toBe(true);
        expect(matchesPattern(pattern(stack), published(S3Bucket, `backlog-cicd/${S3ObjectKey}`))).toBe(
          false,
        );
        expect(matchesPattern(pattern(stack), published("another", S3ObjectKey))).toBe(false);
      }
    });

    test("fault 1: no trail is needed, and nothing polls", () => {
      expect(all.flatMap((stack) => stack.all("aws_cloudtrail"))).toEqual([]);
      for (const stack of all) {
        expect(JSON.stringify(pattern(stack))).not.toContain("CloudTrail");
        const [source] = stack.one("aws_codepipeline").stage[0].action;
        expect(source.configuration.PollForSourceChanges).toBe("false");
      }
    });

    test("fault 1: the rule may start the pipeline", () => {
      expect(shipped.statement("pipeline/rule_role/permissions", "StartPipeline")).toMatchObject({
        actions: ["codepipeline:StartPipelineExecution"],
        resources: ["${aws_codepipeline.pipeline.arn}"],
      });
    });
  });

  describe("fault 2: every push built the default branch's newest commit", () => {
    test("fault 2: only the wanted branches are built", () => {
      expect(isBuilt(shipped, pushEvent())).toBe(true);
      expect(isBuilt(shipped, pushEvent({ ref: "refs/heads/other" }))).toBe(false);
      expect(isBuilt(shipped, pushEvent({ ref: "refs/tags/main" }))).toBe(false);
      expect(isBuilt(shipped, pushEvent({ after: ZEROS }))).toBe(false);
      expect(isBuilt(everything, pushEvent({ ref: "refs/heads/feature/x" }))).toBe(true);
    });

    test("fault 2: the build is told which ref and commit was pushed", () => {
      const input = machineInput(shipped, pushEvent());
      const { Parameters } = JSON.parse(shipped.one("aws_sfn_state_machine").definition).States.StartBuild;
      const told = Parameters.EnvironmentVariablesOverride.map(({ Name, "Value.$": path }: Json) => [
        Name,
        input[path.replace("$.", "")],
      ]);
      const { ref, before, after } = pushEvent().detail;
      expect(told).toEqual([
        ["GIT_REF", ref],
        ["GIT_COMMIT", after],
        ["GIT_BEFORE", before],
      ]);
    });

    test("fault 2: it checks out that commit, though the branch has moved on", async () => {
      const commit = push("first");
      push("second");
      machine.environment.GIT_COMMIT = commit;
      await machine.runAll("check-push.sh", "fetch-commit.sh");
      expect(machine.read("source/message.txt")).toBe("first");
    });
  });

  test("fault 3: a commit that is built again reuses its image, and no tag but the commit's is pushed", async () => {
    const commit = push("once");
    await build();
    const digest = machine.noted(`tags/${commit.slice(0, 10)}`);
    const pushes = () =>
      machine
        .noted("calls")
        .split("\n")
        .filter((call) => call.startsWith("docker push"));
    expect(pushes()).toEqual([`docker push 127.0.0.1:5000/team/web:${commit.slice(0, 10)}`]);
    await clean();
    const { status, output } = await build();
    expect([status, output]).toEqual([0, expect.stringContaining("was built before")]);
    expect(pushes()).toHaveLength(1);
    expect(machine.noted(`tags/${commit.slice(0, 10)}`)).toBe(digest);
    expect(shipped.one("aws_ecr_repository", "images").image_tag_mutability).toBe("IMMUTABLE");
  });

  describe("fault 4: a build that could not be started was answered 200", () => {
    test.each([
      [400, { __type: "AccountLimitExceededException" }],
      [400, { __type: "ThrottlingException" }],
      [500, { __type: "InternalFailure" }],
    ])("fault 4: %i %j is answered 503, so that Backlog tries again", (status, body) => {
      for (const delivery of ["bus", "direct"] as const) {
        expect(answer(delivery, status, body).status).toBe(503);
      }
    });

    test("fault 4: an event that the bus did not take is answered 503", () => {
      expect(answer("bus", 200, { FailedEntryCount: 1 }).status).toBe(503);
      expect(answer("bus", 200, { FailedEntryCount: 0 }).status).toBe(200);
    });

    test("fault 4: so is what the stage throttles", () => {
      for (const stack of all) {
        expect(stack.one("aws_api_gateway_gateway_response")).toMatchObject({
          response_type: "THROTTLED",
          status_code: "503",
        });
      }
    });

    test("fault 4: a limit at CodeBuild is waited out for hours, and then ends as a dead letter", () => {
      const { StartBuild, DeadLetter } = JSON.parse(shipped.one("aws_sfn_state_machine").definition).States;
      const [retry] = StartBuild.Retry;
      expect(retry.ErrorEquals).toEqual(["States.ALL"]);
      expect(retry.MaxAttempts * retry.MaxDelaySeconds).toBeGreaterThan(6 * 3600);
      expect(StartBuild.Catch).toEqual([
        expect.objectContaining({ ErrorEquals: ["States.ALL"], Next: "DeadLetter" }),
      ]);
      expect(DeadLetter.Resource).toMatch(/:states:::sqs:sendMessage$/);
    });

    test("fault 4: nothing makes StartBuild fail at a limit of its own", () => {
      for (const stack of all)
        expect(stack.one("aws_codebuild_project").concurrent_build_limit).toBeUndefined();
    });
  });

  test("fault 5: nothing of AWS goes back to the sender", () => {
    const started = { build: { arn: "arn:aws:codebuild:x", serviceRole: "arn:aws:iam::1:role/r" } };
    for (const status of [200, 400, 403, 500, 503]) {
      for (const delivery of ["bus", "direct"] as const) {
        expect(JSON.parse(answer(delivery, status, started).output)).toEqual({ requestId: "request-1" });
      }
    }
    for (const stack of all) {
      const templates = stack
        .all("aws_api_gateway_integration_response")
        .map(({ body }) => body.response_templates);
      expect(templates).toHaveLength(3);
      expect(templates.map((one) => Object.keys(one))).toEqual(templates.map(() => ["application/json"]));
      const throttled = stack.one("aws_api_gateway_gateway_response").response_templates;
      expect(Object.values(throttled)).toEqual(['{"requestId":"$context.requestId"}']);
    }
  });

  test("fault 6: the stage is a resource, and the API is deployed anew when it changes", () => {
    for (const stack of all) {
      const deployment = stack.one("aws_api_gateway_deployment");
      expect(deployment).not.toHaveProperty("stage_name");
      expect(deployment.lifecycle).toEqual({ create_before_destroy: true });
      expect(Object.keys(deployment.triggers).sort()).toEqual(
        expect.arrayContaining(["answers", "operation", "policy", "push", "role", "target"]),
      );
      // Not whole resources: what the provider reads back into them would deploy the API again and again.
      const triggers = Object.values<string>(deployment.triggers).join(" ");
      const attributes = [...triggers.matchAll(/\$\{(?:sha1\()?(?:data\.)?\w+\.\w+\.(\w+)\)?\}/g)];
      expect(attributes.length).toBe(triggers.split("${").length - 1);
      expect(attributes.filter(([, name]) => !/^(id|arn|name|json)$/.test(name!))).toEqual([]);
      const stage = stack.one("aws_api_gateway_stage");
      expect(stage.deployment_id).toMatch(/^\$\{aws_api_gateway_deployment\.\w+\.id\}$/);
    }
    const triggers = (stack: Synthesised) => stack.one("aws_api_gateway_deployment").triggers;
    const other = synthesise({ backlog: { repository: "another" } });
    expect(triggers(other).push).not.toBe(triggers(shipped).push);
    expect(triggers(direct).answers).not.toBe(triggers(shipped).answers);
  });

  describe("fault 7: the API served without any restriction of addresses", () => {
    test("fault 7: the policy is deployed with it, and deployed anew when it changes", () => {
      for (const stack of all) {
        const [policy] = stack.all("aws_api_gateway_rest_api_policy");
        const deployment = stack.one("aws_api_gateway_deployment");
        expect(deployment.depends_on).toContain(policy!.address);
        const document = policy!.body.policy.replace(/^\$\{(.*)\}$/, "$1");
        expect(deployment.triggers.policy).toBe(`\${sha1(${document})}`);
      }
    });

    test("fault 7: it is applied, whatever it was before", () => {
      for (const stack of all) {
        expect(stack.one("aws_api_gateway_rest_api")).not.toHaveProperty("policy");
        for (const type of ["aws_api_gateway_rest_api", "aws_api_gateway_rest_api_policy"]) {
          expect(stack.one(type).lifecycle).toBeUndefined();
        }
      }
    });

    test("fault 7: it denies every address but the senders', on the whole API, in an order of its own", () => {
      const senders = ["54.64.128.240/32", "13.112.1.142/32", "203.0.113.0/24"];
      const stack = synthesise({ webhook: { senderCidrs: senders } });
      const whole = ["${aws_api_gateway_rest_api.webhook.execution_arn}/*"];
      expect(stack.statements("webhook/senders")).toEqual([
        expect.objectContaining({ sid: "AllowPush", resources: whole }),
        {
          sid: "DenyOtherSenders",
          effect: "Deny",
          principals: [{ type: "*", identifiers: ["*"] }],
          actions: ["execute-api:Invoke"],
          resources: whole,
          condition: [{ test: "NotIpAddress", variable: "aws:SourceIp", values: [...senders].sort() }],
        },
      ]);
    });
  });

  test("fault 8: the listeners forward whatever the path is", () => {
    for (const stack of all) {
      expect(stack.all("aws_lb_listener_rule")).toEqual([]);
      const forwards = ["production", "test"].map((id) => stack.one("aws_lb_listener", id).default_action);
      expect(forwards).toEqual([
        [{ type: "forward", target_group_arn: expect.stringMatching(/load_balancer_blue_\w+\.arn\}$/) }],
        [{ type: "forward", target_group_arn: expect.stringMatching(/load_balancer_green_\w+\.arn\}$/) }],
      ]);
    }
  });

  test("fault 9: the service waits for both listeners", () => {
    for (const stack of all) {
      const listeners = stack.all("aws_lb_listener").filter(({ path }) => /\/(production|test)$/.test(path));
      expect(listeners).toHaveLength(2);
      const { depends_on } = stack.one("aws_ecs_service");
      expect(depends_on).toEqual(expect.arrayContaining(listeners.map(({ address }) => address)));
    }
  });

  describe("fault 10: the first image was built on the operator's machine", () => {
    test("fault 10: nothing runs there", () => {
      for (const { blocks, json } of all) {
        expect(blocks.filter(({ type }) => /^(null_|terraform_data|docker_|external)/.test(type))).toEqual(
          [],
        );
        expect(blocks.filter(({ body }) => "provisioner" in body)).toEqual([]);
        expect(Object.keys(json.provider).filter((name) => !/^(aws|tls|local)$/.test(name))).toEqual([]);
      }
    });

    test.each([
      ["/", 80],
      ["/healthz", 8080],
      ["/a/b/", 3000],
      ["/a/b.txt", 80],
      ["/index.html", 80],
    ])("fault 10: the placeholder answers at %s on %i", (healthCheckPath, port) => {
      const stack = synthesise({ backlogDockerBuild: { service: { healthCheckPath, port } } });
      const [container] = decodeJsonencode(stack.one("aws_ecs_task_definition").container_definitions);
      expect(container.image).toMatch(/^public\.ecr\.aws\/[a-z/]+:[\d.]+$/);
      expect(container.portMappings).toEqual([{ containerPort: port, hostPort: port, protocol: "tcp" }]);
      const groups = stack.all("aws_lb_target_group").map(({ body }) => body.health_check.path);
      expect(groups).toEqual([healthCheckPath, healthCheckPath]);
      servePlaceholder(stack, ({ options, page }) => {
        expect(options).toEqual(["-f", "-p", String(port), "-h"]);
        expect(page(healthCheckPath)).toBe("Waiting for the first deployment.\n");
        expect(page("/")).toBe("Waiting for the first deployment.\n");
        expect(page("/other")).toBeUndefined();
      });
    });
  });

  describe("fault 11: a deployment stopped unless somebody rerouted", () => {
    const group = (stack: Synthesised) => stack.one("aws_codedeploy_deployment_group");
    const ready = (stack: Synthesised) => group(stack).blue_green_deployment_config.deployment_ready_option;

    test("fault 11: it goes on by itself", () => {
      expect(ready(shipped)).toEqual({ action_on_timeout: "CONTINUE_DEPLOYMENT" });
    });

    test("fault 11: it stops only where the configuration asks for it, by a name that says so", () => {
      expect(ready(everything)).toEqual({ action_on_timeout: "STOP_DEPLOYMENT", wait_time_in_minutes: 30 });
    });

    test("fault 11: it rolls back when it fails, is stopped, or an alarm goes off", () => {
      expect(group(shipped).auto_rollback_configuration).toEqual({
        enabled: true,
        events: ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_STOP_ON_REQUEST"],
      });
    });
  });

  describe("fault 12: the older of two builds could be deployed last", () => {
    test("fault 12: it does not publish once the branch has moved on", async () => {
      push("older");
      await machine.runAll(...STEPS.slice(0, 4));
      repository.push(repository.commit("newer"));
      const { status, output } = await machine.run("publish-artifact.sh");
      expect([status, output]).toEqual([0, expect.stringContaining("outcome: superseded by ")]);
      expect(machine.noted("artifact")).toBe("");
    });

    test("fault 12: it loses against a build that publishes between its look and its upload", async () => {
      push("older");
      const newer = repository.commit("newer");
      machine.arrange(
        "before/put-object",
        [
          'echo newer >"$STAND_INS/artifact"',
          `echo '"newer"' >"$STAND_INS/artifact.etag"`,
          `echo '{"commit":"newer"}' >"$STAND_INS/artifact.metadata"`,
          repository.pushCommand(newer),
        ].join("\n"),
      );
      const { status, output } = await build();
      expect([status, output]).toEqual([0, expect.stringContaining("outcome: superseded by ")]);
      expect(machine.noted("artifact")).toBe("newer\n");
    });

    test("fault 12: the pipeline takes the newest object, not the event's", () => {
      const target = shipped.one("aws_cloudwatch_event_target", "pipeline/target");
      expect([target.input, target.input_path, target.input_transformer]).toEqual([
        undefined,
        undefined,
        undefined,
      ]);
      expect(shipped.one("aws_codepipeline").execution_mode).toBe("SUPERSEDED");
    });
  });

  test("fault 13: the buildspec asks for bash, in which it is written", () => {
    expect(parse(renderBuildspec()).env).toEqual({ shell: "bash" });
    for (const stack of all) {
      const { source } = stack.one("aws_codebuild_project");
      expect(source.buildspec.replaceAll("$${", "${").replaceAll("%%{", "%{")).toBe(renderBuildspec());
    }
  });

  describe("fault 14: what a failed build had left was uploaded all the same", () => {
    test("fault 14: CodeBuild itself uploads nothing", () => {
      for (const stack of all) {
        const project = stack.one("aws_codebuild_project");
        expect(project.artifacts).toEqual({ type: "NO_ARTIFACTS" });
        expect(project.secondary_artifacts).toBeUndefined();
      }
      expect(parse(renderBuildspec())).not.toHaveProperty("artifacts");
    });

    test("fault 14: the last step publishes nothing after a failed one", async () => {
      push("broken", { ...FILES, "codesries_asset/taskdef.json": "{" });
      await machine.runAll(...STEPS.slice(0, 4));
      const { status, output } = await machine.run("publish-artifact.sh");
      expect([status, output]).toEqual([1, ""]);
      expect(machine.noted("artifact")).toBe("");
    });

    test("fault 14: nor after one that was killed before it could say so", async () => {
      push("killed");
      await machine.runAll(...STEPS.slice(0, 2));
      const { status, output } = await machine.run("publish-artifact.sh");
      expect([status, output]).toEqual([1, expect.stringContaining('has not left "artifact"')]);
      expect(machine.noted("artifact")).toBe("");
    });
  });

  describe("fault 15: a placeholder was replaced that was not there", () => {
    test("fault 15: the family and all the rest come from what is deployed", () => {
      const variables = environment(shipped);
      expect(variables.TASK_FAMILY).toMatch(/^\$\{aws_ecs_task_definition\.\w+\.family\}$/);
      expect(variables.TASK_EXECUTION_ROLE_ARN).toMatch(
        /^\$\{aws_iam_role\.service_execution_role_\w+\.arn\}$/,
      );
      expect(variables.TASK_ROLE_ARN).toMatch(/^\$\{aws_iam_role\.service_task_role_\w+\.arn\}$/);
      expect(variables.LOG_GROUP_NAME).toMatch(/^\$\{aws_cloudwatch_log_group\.service_log_\w+\.name\}$/);
    });

    test("fault 15: each placeholder of the starter files has a variable, and none is left", async () => {
      const starter = Object.fromEntries(
        ["codesries_asset/taskdef.json", "codesries_asset/appspec.yaml"].map((name) => [
          name,
          readAsset("application", name),
        ]),
      );
      push("starter", { ...FILES, ...starter });
      const names = Object.keys(environment(shipped));
      for (const [, name] of Object.values(starter)
        .join()
        .matchAll(/<([A-Z][A-Z0-9_]*)>/g)) {
        expect(["IMAGE1_NAME", "TASK_DEFINITION", "AWS_DEFAULT_REGION", ...names]).toContain(name);
      }
      await build();
      expect(JSON.parse(machine.read("artifact/taskdef.json")).family).toBe(machine.environment.TASK_FAMILY);
    });

    test("fault 15: one that nobody knows ends the build", async () => {
      push("typo", { ...FILES, "codesries_asset/taskdef.json": '{ "family": "<TASK_FAMLY>" }' });
      const { status, output } = await build();
      expect([status, output]).toEqual([
        1,
        expect.stringContaining("taskdef.json has unknown placeholders: <TASK_FAMLY>"),
      ]);
    });
  });

  describe("fault 16: the image that is live could expire", () => {
    interface Image {
      readonly tags: readonly string[];
      readonly ageInDays: number;
    }

    /** As ECR does it: a rule of higher priority takes its images out of the reach of the others. */
    function expired(images: readonly Image[], policy: Json): Image[] {
      const gone: Image[] = [];
      let open = [...images].sort((a, b) => a.ageInDays - b.ageInDays);
      for (const { selection } of [...policy.rules].sort((a, b) => a.rulePriority - b.rulePriority)) {
        const isSelected = ({ tags }: Image) =>
          selection.tagStatus === "any" ||
          (selection.tagStatus === "untagged"
            ? tags.length === 0
            : selection.tagPrefixList.every((prefix: string) => tags.some((tag) => tag.startsWith(prefix))));
        const selected = open.filter(isSelected);
        gone.push(
          ...(selection.countType === "imageCountMoreThan"
            ? selected.slice(selection.countNumber)
            : selected.filter(({ ageInDays }) => ageInDays > selection.countNumber)),
        );
        open = open.filter((image) => !selected.includes(image));
      }
      return gone;
    }
    const policy = JSON.parse(shipped.one("aws_ecr_lifecycle_policy", "images/expiry").policy);

    test("fault 16: not by its age, nor by the number of images after it", () => {
      const live = { tags: ["0123456789", "live-0123456789"], ageInDays: 1000 };
      const built = Array.from({ length: 1000 }, (_, age) => ({ tags: [`${age}`], ageInDays: age / 20 }));
      const old = { tags: ["fedcba9876"], ageInDays: 61 };
      const untagged = { tags: [], ageInDays: 8 };
      expect(expired([live, ...built, old, untagged], policy)).toEqual([untagged, old]);
    });

    test("fault 16: it gets the tag that keeps it before it is published", async () => {
      const commit = push("live");
      await build();
      const calls = machine.noted("calls").split("\n");
      const kept = calls.findIndex(
        (call) => call.includes(`put-image`) && call.includes(`live-${commit.slice(0, 10)}`),
      );
      const published = calls.findIndex((call) => call.includes("s3api put-object"));
      expect(kept).toBeGreaterThan(0);
      expect(published).toBeGreaterThan(kept);
    });
  });

  describe("fault 17: roles could do nearly everything, for nearly everybody", () => {
    const documents = all.flatMap((stack) => stack.all("aws_iam_policy_document"));

    test("fault 17: no role has an action with *, and * as a resource only where AWS has no other", () => {
      const WITHOUT_RESOURCE_LEVEL =
        /^(ecr:GetAuthorizationToken|ecs:RegisterTaskDefinition|elasticloadbalancing:Describe\w+|cloudwatch:DescribeAlarms|ec2:(Describe\w+|CreateNetworkInterface|DeleteNetworkInterface))$/;
      const statements = documents
        .filter(({ path }) => path.endsWith("/permissions"))
        .flatMap(({ body }) => body.statement);
      expect(statements.length).toBeGreaterThan(30);
      for (const { actions, resources } of statements) {
        expect(actions.filter((action: string) => action.includes("*"))).toEqual([]);
        if (resources.includes("*")) {
          expect(actions.filter((action: string) => !WITHOUT_RESOURCE_LEVEL.test(action))).toEqual([]);
        }
      }
    });

    test("fault 17: the services that say for whom they act are trusted only when it is for this stack", () => {
      for (const { body } of documents.filter(({ path }) => path.endsWith("/trust"))) {
        const [{ principals, condition = [] }] = body.statement;
        const silent = /^(apigateway|codedeploy)\./.test(principals[0].identifiers[0]);
        expect(condition.map(({ variable }: Json) => variable)).toEqual(
          silent ? [] : ["aws:SourceAccount", "aws:SourceArn"],
        );
      }
    });

    test("fault 17: roles are passed on to named services", () => {
      const passing = documents.flatMap(({ body }) =>
        body.statement.filter(({ actions }: Json) => actions.includes("iam:PassRole")),
      );
      expect(passing.length).toBeGreaterThan(0);
      for (const { condition } of passing) {
        expect(condition.map(({ variable }: Json) => variable)).toEqual(["iam:PassedToService"]);
      }
    });
  });

  describe("fault 18: a build trusted whoever answered", () => {
    test("fault 18: the configuration has to pin the server's key", () => {
      expect(faultsWith({ "backlog.knownHosts": [] })).toHaveLength(1);
      expect(environment(shipped)).toMatchObject({
        GIT_HOST_KEY_CHECK: "pinned",
        GIT_KNOWN_HOSTS: expect.stringMatching(/^example\.git\.backlog\.jp ssh-ed25519 /),
      });
    });

    test("fault 18: no step asks a server for the key that it is then checked against", () => {
      expect(renderBuildspec()).not.toContain("ssh-keyscan");
    });

    test("fault 18: trust on first use is a choice that is written down", () => {
      const stack = synthesise({ backlog: { trustOnFirstUse: true, knownHosts: [] } });
      expect(environment(stack).GIT_HOST_KEY_CHECK).toBe("accept-new");
      expect(environment(stack)).not.toHaveProperty("GIT_KNOWN_HOSTS");
    });
  });

  describe("fault 19: the private key lay open in the whole build, and in the state", () => {
    test("fault 19: nothing that a build starts finds it in its environment", async () => {
      push("secretly");
      const { phases } = parse(renderBuildspec());
      const commands = ["pre_build", "build", "post_build"].flatMap((phase) => phases[phase].commands);
      const { output } = await machine.bash(["-c", commands.join("\n")], { GIT_SSH_KEY: machine.key });
      expect(output).toContain("outcome: published");
      const seen = machine.noted("environments");
      expect(seen).toContain("GIT_REMOTE=");
      expect([seen.includes("GIT_SSH_KEY"), seen.includes(SECRET), output.includes(SECRET)]).toEqual([
        false,
        false,
        false,
      ]);
    });

    test("fault 19: it comes from Secrets Manager, which CodeBuild masks in the log", () => {
      const secret = ({ name }: Json) => name === "GIT_SSH_KEY";
      for (const stack of all) {
        const variables = stack.one("aws_codebuild_project").environment.environment_variable;
        expect(variables.filter(secret)).toEqual([
          { name: "GIT_SSH_KEY", type: "SECRETS_MANAGER", value: expect.stringMatching(/:ssh_key$/) },
        ]);
        expect(variables.filter(({ type }: Json) => type === "SECRETS_MANAGER")).toHaveLength(1);
      }
    });

    test("fault 19: with a key of the user's own none is in the state", () => {
      expect(ownSecret.blocks.filter(({ type }) => /^tls_|^aws_secretsmanager_/.test(type))).toEqual([]);
      expect(environment(ownSecret).GIT_SSH_KEY).toBe(
        "arn:aws:secretsmanager:ap-northeast-1:123456789012:secret:git-AbCdEf:ssh_key",
      );
    });
  });

  test("fault 20: who may reach the load balancer is said by the configuration", () => {
    const stack = synthesise({
      backlogDockerBuild: {
        service: { allowedCidrs: ["203.0.113.0/24", "198.51.100.0/24"], testAllowedCidrs: ["192.0.2.0/24"] },
      },
    });
    expect(stack.blocks.filter(({ address }) => /^data\.(http|external|dns)/.test(address))).toEqual([]);
    const doors = stack
      .all("aws_vpc_security_group_ingress_rule")
      .filter(({ path }) => path.startsWith("service/load_balancer/"))
      .map(({ body }) => `${body.cidr_ipv4} ${body.from_port}-${body.to_port}`);
    expect(doors.sort()).toEqual(["192.0.2.0/24 8080-8080", "198.51.100.0/24 80-80", "203.0.113.0/24 80-80"]);
  });

  describe("fault 21: everything could be destroyed, and nothing was closed", () => {
    test("fault 21: destroying takes nothing along that cannot be made again, unless told to", () => {
      expect(shipped.all("aws_s3_bucket").map(({ body }) => body.force_destroy)).toEqual([false]);
      expect(shipped.one("aws_ecr_repository", "images").force_delete).toBe(false);
      expect(shipped.one("aws_lb").enable_deletion_protection).toBe(true);
    });

    test("fault 21: a certificate makes production and test speak TLS, and 80 redirect", () => {
      const listeners = everything.all("aws_lb_listener").map(({ body }) => [body.port, body.protocol]);
      expect(listeners.sort()).toEqual([
        [443, "HTTPS"],
        [80, "HTTP"],
        [8080, "HTTPS"],
      ]);
      expect(everything.one("aws_lb_listener", "redirect").default_action).toEqual([
        { type: "redirect", redirect: { protocol: "HTTPS", port: "443", status_code: "HTTP_301" } },
      ]);
      for (const id of ["production", "test"]) {
        expect(everything.one("aws_lb_listener", id)).toMatchObject({
          certificate_arn: "arn:aws:acm:ap-northeast-1:123456789012:certificate/0a1b",
          ssl_policy: expect.stringMatching(/TLS13-1-2/),
        });
      }
    });

    test("fault 21: every bucket is encrypted, closed, refuses plain HTTP, and lets old things go", () => {
      for (const stack of [shipped, everything]) {
        const buckets = stack.all("aws_s3_bucket");
        for (const { address } of buckets) {
          const id = `\${${address}.id}`;
          const about = (type: string) => stack.all(type).filter(({ body }) => body.bucket === id);
          expect(about("aws_s3_bucket_server_side_encryption_configuration")).toHaveLength(1);
          expect(about("aws_s3_bucket_lifecycle_configuration")).toHaveLength(1);
          const [block] = about("aws_s3_bucket_public_access_block");
          expect(block!.body).toMatchObject({
            block_public_acls: true,
            block_public_policy: true,
            ignore_public_acls: true,
            restrict_public_buckets: true,
          });
          const [policy] = about("aws_s3_bucket_policy");
          const document = stack.blocks.find((one) => policy!.body.policy === `\${${one.address}.json}`);
          expect(document!.body.statement).toContainEqual({
            sid: "DenyWithoutTls",
            effect: "Deny",
            principals: [{ type: "*", identifiers: ["*"] }],
            actions: ["s3:*"],
            resources: [`\${${address}.arn}`, `\${${address}.arn}/*`],
            condition: [{ test: "Bool", variable: "aws:SecureTransport", values: ["false"] }],
          });
        }
      }
      const { rule } = shipped.one("aws_s3_bucket_lifecycle_configuration", "artifacts/expiry");
      expect(rule[0].noncurrent_version_expiration).toEqual([{ noncurrent_days: 90 }]);
      expect(shipped.one("aws_s3_bucket_versioning").versioning_configuration).toEqual({ status: "Enabled" });
    });

    test("fault 21: logs are kept for a time, the API's where it is switched on", () => {
      for (const stack of all) {
        for (const { body } of stack.all("aws_cloudwatch_log_group")) expect(body.retention_in_days).toBe(30);
      }
      expect(direct.one("aws_api_gateway_stage").access_log_settings.destination_arn).toMatch(
        /^\$\{aws_cloudwatch_log_group\.webhook_access_log_\w+\.arn\}$/,
      );
    });
  });
});
