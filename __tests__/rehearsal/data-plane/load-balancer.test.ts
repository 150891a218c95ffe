import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import {
  DeregisterTargetsCommand,
  DescribeTargetHealthCommand,
  ElasticLoadBalancingV2Client,
  ModifyListenerCommand,
  RegisterTargetsCommand,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { AwsError } from "../../../rehearsal/aws/local-aws";
import { type LoadBalancers, startLoadBalancers } from "../../../rehearsal/data-plane/load-balancer";
import { startPlayedAws, until } from "./played-aws";

const LISTENER = "arn:listener";

describe("startLoadBalancers", () => {
  let played: Awaited<ReturnType<typeof startPlayedAws>>;
  let elb: ElasticLoadBalancingV2Client;
  let balancers: LoadBalancers;
  // biome-ignore lint/suspicious/noExplicitAny: actions as the API has them
  let actions: any[];
  const servers: Server[] = [];
  /** Target's address to port on this machine. */
  const places = new Map<string, number>();

  beforeEach(async () => {
    played = await startPlayedAws();
    actions = [{ Type: "forward", TargetGroupArn: "arn:blue" }];
    const groups = ["arn:blue", "arn:green"].map((TargetGroupArn) => ({
      TargetGroupArn,
      Port: 80,
      HealthCheckPath: "/health",
      HealthCheckIntervalSeconds: 10,
      HealthCheckTimeoutSeconds: 2,
      HealthyThresholdCount: 2,
      UnhealthyThresholdCount: 2,
      Matcher: { HttpCode: "200-299" },
    }));
    const { control } = played;
    control.set("elasticloadbalancing:DescribeLoadBalancers", () => ({
      LoadBalancers: [{ LoadBalancerArn: "arn:lb", Type: "application" }],
    }));
    control.set("elasticloadbalancing:DescribeListeners", () => ({
      Listeners: [{ ListenerArn: LISTENER, Port: 80, Protocol: "HTTP", DefaultActions: actions }],
    }));
    control.set("elasticloadbalancing:DescribeTargetGroups", () => ({ TargetGroups: groups }));
    control.set("elasticloadbalancing:DescribeTargetGroupAttributes", () => ({
      Attributes: [{ Key: "deregistration_delay.timeout_seconds", Value: "600" }],
    }));
    for (const action of ["ModifyListener", "RegisterTargets", "DeregisterTargets"]) {
      control.set(`elasticloadbalancing:${action}`, () => ({}));
    }
    elb = new ElasticLoadBalancingV2Client(played.aws.clientConfig());
    balancers = startLoadBalancers(played.aws, {
      locate: (id, port) => {
        const found = places.get(`${id}:${port}`);
        return found === undefined ? undefined : { host: "127.0.0.1", port: found };
      },
    });
    await route(actions);
  });

  afterEach(async () => {
    await balancers.stop();
    elb.destroy();
    await played.close();
    for (const server of servers.splice(0)) {
      server.close();
      server.closeAllConnections();
    }
  });

  async function route(next: unknown[]) {
    actions = next;
    await elb.send(new ModifyListenerCommand({ ListenerArn: LISTENER, DefaultActions: [] }));
  }

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

  /** Starts a server and registers it as a target with an address of its own. */
  async function target(group: string, address: string, listener: RequestListener) {
    const server = createServer(listener).listen(0, "127.0.0.1");
    servers.push(server);
    await once(server, "listening");
    places.set(`${address}:80`, (server.address() as AddressInfo).port);
    await elb.send(new RegisterTargetsCommand({ TargetGroupArn: group, Targets: [{ Id: address }] }));
  }

  const says =
    (text: string): RequestListener =>
    (_request, response) =>
      void response.end(text);

  async function health(group: string, address?: string) {
    const { TargetHealthDescriptions = [] } = await elb.send(
      new DescribeTargetHealthCommand({
        TargetGroupArn: group,
        ...(address ? { Targets: [{ Id: address, Port: 80 }] } : {}),
      }),
    );
    const { State, Reason } = TargetHealthDescriptions[0]?.TargetHealth ?? {};
    return [State, Reason].filter(Boolean).join(" ");
  }

  const healthy = (group: string) => until(async () => (await health(group)) === "healthy");

  async function ask(path = "/", init: RequestInit = {}) {
    const response = await fetch(`${balancers.url(80)}${path}`, { redirect: "manual", ...init });
    return { status: response.status, headers: response.headers, text: await response.text() };
  }

  async function count(requests: number) {
    const counted: Record<string, number> = {};
    for (let n = 0; n < requests; n += 1) {
      const { text } = await ask();
      counted[text] = (counted[text] ?? 0) + 1;
    }
    return counted;
  }

  test("lets a listener change while a target group disappears between being listed and being looked at", async () => {
    const attributes = played.control.get("elasticloadbalancing:DescribeTargetGroupAttributes")!;
    played.control.set("elasticloadbalancing:DescribeTargetGroupAttributes", () => {
      played.control.set("elasticloadbalancing:DescribeTargetGroupAttributes", attributes);
      throw new AwsError("TargetGroupNotFound", "the target group does not exist");
    });
    await expect(route(weights(0, 100))).resolves.toBeUndefined();
  });

  it("answers 503 while no target is registered", async () => {
    expect((await ask()).status).toBe(503);
  });

  it("follows the weights of the listener as it is at that moment", async () => {
    await target("arn:blue", "10.0.0.1", says("blue"));
    await target("arn:green", "10.0.0.2", says("green"));
    expect(await count(3)).toEqual({ blue: 3 });
    await route(weights(90, 10));
    expect(await count(20)).toEqual({ blue: 18, green: 2 });
    await route(weights(0, 100));
    expect(await count(3)).toEqual({ green: 3 });
    expect(balancers.traffic("arn:blue")).toEqual({ requests: 21, failures: 0 });
  });

  it("lets no group stand in for one without targets", async () => {
    await target("arn:green", "10.0.0.2", says("green"));
    await route(weights(100, 0));
    expect((await ask()).status).toBe(503);
  });

  it("passes on method, path, body, status and headers, and says who asked", async () => {
    await target("arn:blue", "10.0.0.1", async (request, response) => {
      if (request.url === "/health") return void response.end();
      const chunks: Buffer[] = [];
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
      response.writeHead(418, { "x-of-target": "1" });
      const { headers, method, url } = request;
      response.end(
        `${method} ${url} ${Buffer.concat(chunks)} ${headers["x-forwarded-for"]} ${headers["x-forwarded-port"]}`,
      );
    });
    const { status, headers, text } = await ask("/a?b=c", { method: "POST", body: "body" });
    expect(status).toBe(418);
    expect(headers.get("x-of-target")).toBe("1");
    expect(text).toBe("POST /a?b=c body 127.0.0.1 80");
  });

  it("checks targets only while a listener names their group", async () => {
    let checks = 0;
    await target("arn:green", "10.0.0.2", (_request, response) => {
      checks += 1;
      response.end();
    });
    expect(await health("arn:green")).toBe("unused Target.NotInUse");
    expect(checks).toBe(0);
    await route(weights(100, 0));
    await healthy("arn:green");
    expect(checks).toBeGreaterThan(0);
  });

  it("finds out that a target is unhealthy and that it has recovered", async () => {
    let status = 500;
    await target("arn:blue", "10.0.0.1", (_request, response) => void response.writeHead(status).end());
    expect(await health("arn:blue")).toMatch(/^initial/);
    await until(async () => (await health("arn:blue")) === "unhealthy Target.ResponseCodeMismatch");
    status = 204;
    await healthy("arn:blue");
  });

  it("sends to healthy targets only, and to all when none is healthy", async () => {
    let isWell = true;
    const sick: RequestListener = (_request, response) =>
      void response.writeHead(isWell ? 200 : 500).end("sick");
    await target("arn:blue", "10.0.0.1", sick);
    await target("arn:blue", "10.0.0.2", (request, response) => {
      response.writeHead(request.url === "/health" ? 500 : 200).end("never well");
    });
    await until(async () => (await health("arn:blue", "10.0.0.1")) === "healthy");
    expect(await count(4)).toEqual({ sick: 4 });
    isWell = false;
    await until(async () => (await health("arn:blue", "10.0.0.1")).startsWith("unhealthy"));
    expect(await count(4)).toEqual({ sick: 2, "never well": 2 });
  });

  it("drains a target until its last request is answered", async () => {
    let finish = () => {};
    await target("arn:blue", "10.0.0.1", (request, response) => {
      if (request.url === "/slow") finish = () => void response.end("slow");
      else response.end("fast");
    });
    await healthy("arn:blue");
    const slow = ask("/slow");
    await until(() => balancers.traffic("arn:blue").requests === 1);
    const Targets = [{ Id: "10.0.0.1", Port: 80 }];
    await elb.send(new DeregisterTargetsCommand({ TargetGroupArn: "arn:blue", Targets }));
    expect(await health("arn:blue", "10.0.0.1")).toBe("draining Target.DeregistrationInProgress");
    expect((await ask()).status).toBe(503);
    finish();
    expect((await slow).text).toBe("slow");
    await until(async () => (await health("arn:blue", "10.0.0.1")) === "unused Target.NotRegistered");
  });

  it("answers 502 when the target breaks the connection, and counts it", async () => {
    await target("arn:blue", "10.0.0.1", (request, response) => {
      if (request.url === "/health") response.end();
      else request.socket.destroy();
    });
    expect((await ask()).status).toBe(502);
    expect(balancers.traffic("arn:blue")).toEqual({ requests: 1, failures: 1 });
  });

  it("redirects and answers by itself where the action says so", async () => {
    const redirect = { Protocol: "HTTPS", Port: "443", StatusCode: "HTTP_301" };
    await route([{ Type: "redirect", RedirectConfig: redirect }]);
    const { status, headers } = await ask("/a?b=c");
    expect([status, headers.get("location")]).toEqual([301, "https://127.0.0.1:443/a?b=c"]);
    const fixed = { StatusCode: "403", ContentType: "text/plain", MessageBody: "no" };
    await route([{ Type: "fixed-response", FixedResponseConfig: fixed }]);
    expect(await ask()).toMatchObject({ status: 403, text: "no" });
  });

  it("takes it quietly when a target is deregistered that is not there", async () => {
    const Targets = [{ Id: "10.9.9.9", Port: 80 }];
    await elb.send(new DeregisterTargetsCommand({ TargetGroupArn: "arn:blue", Targets }));
    expect(played.calls).not.toContain("elasticloadbalancing:DeregisterTargets");
  });
});
