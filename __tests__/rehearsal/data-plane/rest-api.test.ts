import { once } from "node:events";
import { connect } from "node:net";
import type { PolicyDocument } from "../../../rehearsal/aws/iam";
import type { AwsRequest } from "../../../rehearsal/aws/local-aws";
import { type RestApi, startRestApi } from "../../../rehearsal/data-plane/rest-api";
import { type Received, startFakeAws } from "./fake-aws";
import { COMMIT, PUSH, SECRET_PATH, senderPolicy, webhookMethod } from "./webhook-deployment";

/** The REST API as it is configured, whatever is deployed. */
interface Configured {
  policy: PolicyDocument | undefined;
  deploymentId: string;
  throttle: { rate: number; burst: number };
}

let configured: Configured;
let fake: Awaited<ReturnType<typeof startFakeAws>>;
let gateway: RestApi;

/** How AWS returns a policy. */
const insideOfJsonString = (text: string) => JSON.stringify(text).slice(1, -1);

function eventBus(body: string) {
  return Array.isArray(JSON.parse(body).Entries)
    ? { json: { FailedEntryCount: 0, Entries: [{ EventId: "e-1" }] } }
    : { status: 400, json: { __type: "SerializationException" } };
}

function controlPlane({ path, headers, body }: Received) {
  if (headers["x-amz-target"]) return eventBus(body);
  const { pathname, searchParams } = new URL(path, "http://x");
  const { policy, deploymentId, throttle } = configured;
  switch (pathname) {
    case "/restapis/api1":
      return { json: { id: "api1", ...(policy && { policy: insideOfJsonString(JSON.stringify(policy)) }) } };
    case "/restapis/api1/resources":
      // In two pages.
      return searchParams.get("position") === "2"
        ? { json: { item: [{ id: "r2", path: SECRET_PATH, resourceMethods: { POST: webhookMethod() } }] } }
        : { json: { item: [{ id: "r1", path: "/" }], position: "2" } };
    case "/restapis/api1/gatewayresponses":
      return { json: { item: [{ responseType: "THROTTLED", statusCode: "503" }] } };
    case "/restapis/api1/stages/backlog": {
      const settings = { throttlingRateLimit: throttle.rate, throttlingBurstLimit: throttle.burst };
      return { json: { stageName: "backlog", deploymentId, methodSettings: { "*/*": settings } } };
    }
    default:
      return { status: 404, json: { __type: "NotFoundException", message: "no such thing" } };
  }
}

/** As Terraform makes a deployment, through the endpoint. */
async function deploy(id: string): Promise<void> {
  const request = { method: "POST", url: "/restapis/api1/deployments" } as AwsRequest;
  const body = Buffer.from(JSON.stringify({ id }));
  await fake.handlers.get("apigateway:Unknown")!(request, async () => ({ status: 201, headers: {}, body }));
  configured.deploymentId = id;
}

function push(body = PUSH, path = SECRET_PATH.slice(1)): Promise<Response> {
  const headers = { "content-type": "application/x-www-form-urlencoded" };
  return fetch(gateway.url("api1", "backlog", path), { method: "POST", headers, body });
}

beforeEach(async () => {
  configured = {
    policy: senderPolicy("127.0.0.1/32"),
    deploymentId: "d1",
    throttle: { rate: 20, burst: 100 },
  };
  fake = await startFakeAws(controlPlane);
  gateway = await startRestApi(fake.aws, { requestTimeoutMs: 500 });
});
afterEach(async () => {
  await gateway.close();
  await fake.close();
});

describe(startRestApi, () => {
  test("takes a push and reports its commit", async () => {
    const response = await push();
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ requestId: response.headers.get("x-amzn-requestid") });
    expect(fake.reported).toEqual([
      {
        stage: "received",
        state: "succeeded",
        commit: COMMIT,
        ref: "refs/heads/test/webhook",
        detail: "push of refs/heads/test/webhook taken, answered 200",
      },
    ]);
  });

  test("reports why it takes none, never naming the secret path", async () => {
    await push("payload=%7B%7D");
    await push(PUSH, "wrong");
    await push("payload=%");
    expect(fake.reported.map(({ state }) => state)).toEqual(["failed", "failed", "failed"]);
    expect(fake.reported.map(({ detail }) => detail)).toEqual([
      "webhook answered 400: what is no push is not taken; AWS answered 400 SerializationException",
      "webhook answered 403: there is no such path",
      expect.stringMatching(/^webhook answered 500: the request template cannot be evaluated: /),
    ]);
    expect(JSON.stringify(fake.reported)).not.toContain(SECRET_PATH.slice(1));
  });

  test("names the repository of a push that is another's", async () => {
    const repository = { url: "https://other.backlog.jp/git/PROJ/app" };
    const foreign = { ref: "refs/heads/main", before: COMMIT, after: COMMIT, repository };
    await push(new URLSearchParams({ payload: JSON.stringify(foreign) }).toString());
    expect(fake.reported.map(({ detail }) => detail)).toEqual([
      "webhook answered 400: a push of https://other.backlog.jp/git/PROJ/app, refs/heads/main, is not taken; AWS answered 400 SerializationException",
    ]);
  });

  test("takes the address of the TCP peer", async () => {
    configured.policy = senderPolicy("127.0.0.2/32");
    await deploy("d2");
    expect((await push()).status).toBe(403);
  });

  test("serves what a deployment froze, not what was changed since (faults 6 and 7)", async () => {
    await deploy("d2");
    configured.policy = senderPolicy("192.0.2.0/24");
    expect((await push()).status).toBe(200);
    await deploy("d3");
    expect((await push()).status).toBe(403);
  });

  test("serves without address restriction when the deployment came before the policy (fault 7)", async () => {
    configured.policy = undefined;
    await deploy("d2");
    configured.policy = senderPolicy("192.0.2.0/24");
    expect((await push()).status).toBe(200);
  });

  test("throttles with the stage's settings, at once", async () => {
    configured.throttle = { rate: 0, burst: 2 };
    const statuses = [await push(), await push(), await push()].map(({ status }) => status);
    expect(statuses).toEqual([200, 200, 503]);
    configured.throttle = { rate: 1, burst: 1 };
    expect((await push()).status).toBe(200);
  });

  test("answers 403 for a stage or an API that does not exist", async () => {
    const response = await fetch(gateway.url("api1", "other", "x"), { method: "POST" });
    expect([response.status, await response.text()]).toEqual([403, '{"message":"Forbidden"}']);
    expect((await fetch(gateway.url("api2", "backlog", "x"))).status).toBe(403);
    expect((await fetch(new URL("/", gateway.url("a", "b", "c")))).status).toBe(403);
  });

  test("answers 413 for more than 10 MB", async () => {
    expect((await push("x".repeat(10 * 1024 * 1024 + 1))).status).toBe(413);
  });

  test("lets go of a sender that does not finish", async () => {
    const { hostname, port, pathname } = new URL(gateway.url("api1", "backlog", SECRET_PATH.slice(1)));
    const socket = connect(Number(port), hostname);
    socket.on("error", () => {});
    socket.write(`POST ${pathname} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\npayload=`);
    socket.resume();
    await once(socket, "close");
    expect((await push()).status).toBe(200);
  });

  test("survives a sender that hangs up", async () => {
    const { hostname, port, pathname } = new URL(gateway.url("api1", "backlog", SECRET_PATH.slice(1)));
    const socket = connect(Number(port), hostname);
    socket.write(`POST ${pathname} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\npayload=`, () =>
      socket.destroy(),
    );
    await once(socket, "close");
    expect((await push()).status).toBe(200);
    expect(fake.reported).toHaveLength(1);
  });

  test("answers 500 while the control plane is out of order", async () => {
    await fake.close();
    const response = await push();
    expect([response.status, await response.text()]).toEqual([500, '{"message":"Internal server error"}']);
    fake = await startFakeAws(controlPlane);
  });
});
