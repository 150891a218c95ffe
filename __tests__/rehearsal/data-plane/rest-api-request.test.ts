import type { Integration, Method } from "@aws-sdk/client-api-gateway";
import { AwsError } from "../../../rehearsal/aws/local-aws";
import type { Deployment } from "../../../rehearsal/data-plane/rest-api-deployment";
import {
  answer,
  MAX_BODY_BYTES,
  type Stage,
  type StageRequest,
} from "../../../rehearsal/data-plane/rest-api-request";
import { ANSWERS } from "../../assets/webhook/answers";
import { type Answering, startFakeAws } from "./fake-aws";
import { COMMIT, PUSH, SECRET_PATH, senderPolicy, webhookMethod } from "./webhook-deployment";

let fake: Awaited<ReturnType<typeof startFakeAws>>;
let answering: Answering;

beforeEach(async () => {
  answering = () => ({ json: { FailedEntryCount: 0, Entries: [{ EventId: "e-1" }] } });
  fake = await startFakeAws((request) => answering(request));
});
afterEach(() => fake.close());

function stage(changes: Partial<Deployment> = {}, method: Method = webhookMethod()): Stage {
  return {
    name: "backlog",
    variables: {},
    admit: () => true,
    deployment: {
      restApiId: "api1",
      policy: senderPolicy("192.0.2.0/24"),
      resources: new Map([
        ["/", {}],
        [SECRET_PATH, { POST: method }],
      ]),
      gatewayResponses: new Map(),
      ...changes,
    },
  };
}

function post(changes: Partial<StageRequest> = {}): StageRequest {
  return {
    method: "POST",
    path: SECRET_PATH,
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: Buffer.from(PUSH),
    sourceIp: "192.0.2.7",
    ...changes,
  };
}

const withIntegration = (changes: Partial<Integration>) => stage({}, webhookMethod(changes));
const withPolicy = (policy: unknown) => stage({ policy: policy as Deployment["policy"] });

describe("a request to the webhook's stage", () => {
  test("becomes one call of AWS as the integration's role, and an answer with a request id alone", async () => {
    const { status, headers, body, reason } = await answer(fake.aws, stage(), post());
    expect({ status, reason }).toEqual({ status: 200, reason: undefined });
    expect(JSON.parse(body)).toEqual({ requestId: headers["x-amzn-requestid"] });

    expect(fake.assumed).toEqual([["arn:aws:iam::123456789012:role/webhook", "apigateway.amazonaws.com"]]);
    expect(fake.received).toHaveLength(1);
    const [{ method, headers: sent, body: json }] = fake.received as [(typeof fake.received)[0]];
    expect(method).toBe("POST");
    expect(sent).toMatchObject({
      "x-amz-target": "AWSEvents.PutEvents",
      "content-type": "application/x-amz-json-1.1",
      "x-amz-security-token": "token-1",
    });
    expect(sent.authorization).toMatch(/Credential=ASIAROLE\/\d{8}\/ap-northeast-1\/events\/aws4_request,/);
    expect(JSON.parse(JSON.parse(json).Entries[0].Detail).after).toBe(COMMIT);
  });

  test("is refused when it comes from another address, before anything else is looked at", async () => {
    const { status, body, reason } = await answer(
      fake.aws,
      stage(),
      post({ sourceIp: "192.0.3.1", path: "/x" }),
    );
    expect(status).toBe(403);
    expect(JSON.parse(body).Message).toBe(
      "User: anonymous is not authorized to perform: execute-api:Invoke on resource: arn:aws:execute-api:ap-northeast-1:********9012:api1/backlog/POST/x with an explicit deny",
    );
    expect(reason).toBe("the resource policy does not admit 192.0.3.1");
    expect(fake.received).toEqual([]);
  });

  test("is refused when the policy allows nobody", async () => {
    expect((await answer(fake.aws, withPolicy({ Statement: [] }), post())).status).toBe(403);
  });

  test("is served to everybody without a policy, as AWS would", async () => {
    const { status } = await answer(fake.aws, withPolicy(undefined), post({ sourceIp: "198.51.100.1" }));
    expect(status).toBe(200);
  });

  test.each([
    { path: "/wrong", method: "POST" },
    { path: "/", method: "POST" },
    { path: `${SECRET_PATH}/x`, method: "POST" },
    { path: SECRET_PATH, method: "GET" },
    { path: SECRET_PATH, method: "constructor" },
  ])("is answered 403 for $method $path, without telling what is there", async (changes) => {
    const { status, body, reason } = await answer(fake.aws, stage(), post(changes));
    expect([status, body]).toEqual([403, '{"message":"Missing Authentication Token"}']);
    expect(reason).not.toContain(SECRET_PATH);
  });

  test.each(["application/json", "text/plain", undefined])("is answered 415 for %s", async (type) => {
    const headers: Record<string, string> = type === undefined ? {} : { "content-type": type };
    const { status, body } = await answer(fake.aws, stage(), post({ headers }));
    expect([status, body]).toEqual([415, '{"message":"Unsupported Media Type"}']);
  });

  test("is taken with a charset behind the content type", async () => {
    const headers = { "content-type": "Application/X-WWW-Form-Urlencoded; charset=UTF-8" };
    expect((await answer(fake.aws, stage(), post({ headers }))).status).toBe(200);
  });

  test("is passed on as it is where the behaviour is WHEN_NO_MATCH", async () => {
    const headers = { "content-type": "text/plain" };
    const integration = withIntegration({ passthroughBehavior: "WHEN_NO_MATCH" });
    await answer(fake.aws, integration, post({ headers }));
    expect(fake.received[0]?.body).toBe(PUSH);
  });

  test("is answered 413 above the limit", async () => {
    const { status, body } = await answer(fake.aws, stage(), post({ body: undefined }));
    expect([status, body]).toEqual([
      413,
      `{"message":"HTTP content length exceeded ${MAX_BODY_BYTES} bytes."}`,
    ]);
  });

  test("is answered 429 when there are too many, and 503 when the deployment says so", async () => {
    const full = { ...stage(), admit: () => false };
    const { status, body } = await answer(fake.aws, full, post());
    expect([status, body]).toEqual([429, '{"message":"Too Many Requests"}']);

    const responseTemplates = { "application/json": '{"requestId":"$context.requestId"}' };
    const throttled = { responseType: "THROTTLED", statusCode: "503", responseTemplates } as const;
    const custom = stage({ gatewayResponses: new Map([["THROTTLED", throttled]]) });
    const other = await answer(fake.aws, { ...custom, admit: () => false }, post());
    expect(other.status).toBe(503);
    expect(JSON.parse(other.body)).toEqual({ requestId: other.headers["x-amzn-requestid"] });
  });

  test("is answered as DEFAULT_4XX has it where its type has no answer of its own", async () => {
    const responseTemplates = { "application/json": '{"m":$context.error.messageString}' };
    const fallback = { responseType: "DEFAULT_4XX", statusCode: "418", responseTemplates } as const;
    const custom = stage({ gatewayResponses: new Map([["DEFAULT_4XX", fallback]]) });
    const { status, body } = await answer(fake.aws, custom, post({ path: "/wrong" }));
    expect([status, body]).toEqual([418, '{"m":"Missing Authentication Token"}']);
  });

  test("is answered 500 when the request template cannot be evaluated, and nothing is sent", async () => {
    const { status, body } = await answer(fake.aws, stage(), post({ body: Buffer.from("payload=%") }));
    expect([status, body]).toEqual([500, '{"message":"Internal server error"}']);
    expect(fake.received).toEqual([]);
  });

  test("is answered 500 when the role does not let API Gateway in", async () => {
    fake.refuseRole(new AwsError("AccessDenied", "not authorized", 403));
    const { status, reason } = await answer(fake.aws, stage(), post());
    expect(status).toBe(500);
    expect(reason).toContain("may not assume arn:aws:iam::123456789012:role/webhook");
  });

  test.each([
    { "integration.request.header.Content-Type": "'application/x-amz-json-1.1'" },
    { "integration.request.header.X-Amz-Target": "'AWSEvents.PutEvents'" },
  ])("is answered 503 when a header of the integration is missing: only %j", async (requestParameters) => {
    const { status, reason } = await answer(fake.aws, withIntegration({ requestParameters }), post());
    expect([status, reason]).toEqual([503, "AWS answered 404 UnknownOperationException"]);
    expect(fake.received).toEqual([]);
  });

  test("is answered 504 when AWS does not answer in time", async () => {
    answering = () => undefined;
    const { status, body } = await answer(fake.aws, withIntegration({ timeoutInMillis: 50 }), post());
    expect([status, body]).toEqual([504, '{"message":"Endpoint request timed out"}']);
  });

  test("is answered 504 when AWS cannot be reached", async () => {
    const { status } = await answer({ ...fake.aws, endpoint: "http://127.0.0.1:1" }, stage(), post());
    expect(status).toBe(504);
  });

  test("is answered 500 when no integration response fits", async () => {
    const { status } = await answer(fake.aws, withIntegration({ integrationResponses: {} }), post());
    expect(status).toBe(500);
  });

  test("is answered 500 when the method has no such response", async () => {
    const method = { ...webhookMethod(), methodResponses: {} };
    expect((await answer(fake.aws, stage({}, method), post())).status).toBe(500);
  });

  test("is answered 500 when the response template overrides the status twice", async () => {
    const twice = "#set($context.responseOverride.status = 503)".repeat(2);
    const response = { statusCode: "200", responseTemplates: { "application/json": twice } };
    const { status } = await answer(
      fake.aws,
      withIntegration({ integrationResponses: { 200: response } }),
      post(),
    );
    expect(status).toBe(500);
  });

  test("matches the whole status against the selection pattern", async () => {
    const responses = {
      200: { statusCode: "200", responseTemplates: { "application/json": "default" } },
      400: {
        statusCode: "400",
        selectionPattern: "00|20",
        responseTemplates: { "application/json": "part" },
      },
    };
    const { body } = await answer(fake.aws, withIntegration({ integrationResponses: responses }), post());
    expect(body).toBe("default");
  });

  test.each([
    ["an authoriser", { authorizationType: "AWS_IAM" }],
    ["an API key", { apiKeyRequired: true }],
    ["a validator", { requestValidatorId: "v" }],
  ])("is answered 500 for a method with %s, which is not played", async (_, changes) => {
    const { status, reason } = await answer(fake.aws, stage({}, { ...webhookMethod(), ...changes }), post());
    expect(status).toBe(500);
    expect(reason).toContain("not played");
  });

  test.each(ANSWERS)("is answered $answer when $delivery gets $status $body", async (answerCase) => {
    answering = () => ({ status: answerCase.status, text: answerCase.body });
    const result = await answer(fake.aws, stage({}, webhookMethod({}, answerCase.delivery)), post());
    expect(result.status).toBe(answerCase.answer);
    expect(JSON.parse(result.body)).toEqual({ requestId: result.headers["x-amzn-requestid"] });
  });
});
