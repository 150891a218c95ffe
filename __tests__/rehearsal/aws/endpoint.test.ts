import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { startLocalAws } from "../../../rehearsal/aws/endpoint";
import type { PolicyDocument } from "../../../rehearsal/aws/iam";
import { callJson, callQuery } from "../../../rehearsal/aws/json-api";
import { type Activity, AwsError, type Credentials } from "../../../rehearsal/aws/local-aws";
import { type Policies, remembering } from "../../../rehearsal/aws/policies";

const ACCOUNT = "123456789012";
const ROLE = `arn:aws:iam::${ACCOUNT}:role/build`;
const QUEUE = `arn:aws:sqs:eu-west-1:${ACCOUNT}:dead`;
const RULE = `arn:aws:events:eu-west-1:${ACCOUNT}:rule/bus/rule`;

const rolePolicy: PolicyDocument = {
  Statement: [
    {
      Effect: "Allow",
      Action: ["codebuild:StartBuild", "cloudwatch:DescribeAlarms"],
      Resource: [`arn:aws:codebuild:eu-west-1:${ACCOUNT}:project/mine`],
    },
    { Effect: "Allow", Action: ["s3:GetObject", "s3:PutObject"], Resource: "arn:aws:s3:::bucket/*" },
    { Effect: "Allow", Action: "s3:ListBucket", Resource: "arn:aws:s3:::open" },
    { Effect: "Allow", Action: "s3:GetObject", Resource: "arn:aws:s3:::open/*" },
  ],
};
const resourcePolicies: Record<string, PolicyDocument> = {
  [QUEUE]: {
    Statement: {
      Effect: "Allow",
      Action: "sqs:SendMessage",
      Resource: QUEUE,
      Principal: { Service: "events.amazonaws.com" },
      Condition: { ArnEquals: { "aws:SourceArn": RULE } },
    },
  },
  "arn:aws:s3:::bucket/locked": {
    Statement: { Effect: "Deny", Action: "s3:*", Resource: "*", Principal: "*" },
  },
  "arn:aws:s3:::bucket/plain-http": {
    Statement: {
      Effect: "Deny",
      Action: "s3:*",
      Resource: "*",
      Principal: "*",
      Condition: { Bool: { "aws:SecureTransport": "false" } },
    },
  },
  "arn:aws:s3:::shared/key": {
    Statement: { Effect: "Allow", Action: "s3:GetObject", Resource: "*", Principal: { AWS: ROLE } },
  },
};
/** How often a role's policies were read. */
let readings = 0;
const policies: Policies = {
  trustPolicy: async (name) =>
    name === "build"
      ? {
          Statement: {
            Effect: "Allow",
            Action: "sts:AssumeRole",
            Principal: { Service: ["codebuild.amazonaws.com", "apigateway.amazonaws.com"] },
            Condition: { StringEquals: { "aws:SourceAccount": ACCOUNT } },
          },
        }
      : undefined,
  rolePolicies: async () => {
    readings += 1;
    return [rolePolicy];
  },
  resourcePolicy: async (arn) => resourcePolicies[arn],
};

describe("startLocalAws", () => {
  let moto: Server;
  let aws: Awaited<ReturnType<typeof startLocalAws>>;
  let role: Credentials;
  /** What reached the control plane, as `METHOD URL`. */
  let reached: string[];
  const activities: Activity[] = [];

  beforeAll(async () => {
    moto = createServer((request, response) => {
      reached.push(`${request.method} ${request.url} ${request.headers.host}`);
      const isAbsent = request.url!.includes("absent");
      response.writeHead(isAbsent ? 404 : 200, { "content-type": "text/plain", "x-moto": "yes" });
      response.end(isAbsent ? "" : "{}");
    });
    await new Promise<void>((resolve) => moto.listen(0, "127.0.0.1", resolve));
    aws = await startLocalAws({
      motoUrl: `http://127.0.0.1:${(moto.address() as AddressInfo).port}`,
      region: "eu-west-1",
      accountId: ACCOUNT,
      timeScale: 1000,
      onActivity: (activity) => activities.push(activity),
      policies: remembering(policies),
    });
    role = await aws.assumeRole(ROLE, "codebuild.amazonaws.com");
  });
  beforeEach(() => {
    reached = [];
  });
  afterAll(async () => {
    await aws.close();
    await new Promise((resolve) => moto.close(resolve));
  });

  const s3 = (credentials: Credentials, path: string, method = "GET") =>
    fetch(`${aws.endpoint}${path}`, {
      method,
      headers: { Authorization: `AWS4 Credential=${credentials.accessKeyId}/d/eu-west-1/s3/aws4_request` },
    });

  test("passes every call of the administrator on, byte for byte and with the same host", async () => {
    await s3(aws.administrator, "/bucket/a%20b?acl", "PUT");
    expect(reached).toEqual([`PUT /bucket/a%20b?acl ${new URL(aws.endpoint).host}`]);
  });

  test("refuses an unsigned call", async () => {
    const answer = await fetch(aws.endpoint);
    expect(answer.status).toBe(403);
    expect(await answer.text()).toContain("Request is missing Authentication Token");
    expect(reached).toEqual([]);
  });

  test("refuses credentials that it did not hand out", async () => {
    const stranger = { accessKeyId: "AKIASTRANGER", secretAccessKey: "x" };
    await expect(callJson(aws, stranger, "codebuild", "StartBuild", {})).rejects.toMatchObject({
      code: "UnrecognizedClientException",
    });
  });

  test("lets a role do what its policies allow", async () => {
    await expect(callJson(aws, role, "codebuild", "StartBuild", { projectName: "mine" })).resolves.toEqual(
      {},
    );
  });

  test("denies in the form of the JSON protocol, naming who, what and where", async () => {
    await expect(
      callJson(aws, role, "codebuild", "StartBuild", { projectName: "other" }),
    ).rejects.toMatchObject({
      code: "AccessDeniedException",
      status: 400,
      message: expect.stringMatching(
        /^User: arn:aws:sts::123456789012:assumed-role\/build\/codebuild-\w+ is not authorized to perform: codebuild:StartBuild on resource: arn:aws:codebuild:eu-west-1:123456789012:project\/other$/,
      ),
    });
    expect(reached).toEqual([]);
  });

  test("denies in the form of the query protocol", async () => {
    const parameters = { Action: "Publish", TopicArn: "arn:aws:sns:eu-west-1:1:topic" };
    await expect(callQuery(aws, role, "sns", parameters)).rejects.toMatchObject({
      code: "AccessDenied",
      status: 403,
    });
  });

  test("denies in the form of S3", async () => {
    const answer = await s3(role, "/elsewhere/key");
    expect(answer.status).toBe(403);
    expect(await answer.text()).toMatch(
      /^<Error><Code>AccessDenied<\/Code><Message>User: .*<\/Message><\/Error>$/,
    );
  });

  test("denies in CBOR where that was asked", async () => {
    const answer = await fetch(`${aws.endpoint}/service/Granite/operation/DescribeAlarms`, {
      method: "POST",
      headers: { Authorization: `AWS4 Credential=${role.accessKeyId}/d/eu-west-1/monitoring/aws4_request` },
    });
    expect(answer.status).toBe(403);
    expect(answer.headers.get("smithy-protocol")).toBe("rpc-v2-cbor");
    expect(Buffer.from(await answer.arrayBuffer()).toString("latin1")).toContain("AccessDenied");
  });

  test("refuses a role's call when it does not know which permission that needs", async () => {
    const answer = await s3(role, "/bucket/key?acl", "PUT");
    expect(answer.status).toBe(403);
    expect(await answer.text()).toContain(
      "the rehearsal does not know which permission s3 PUT /bucket/key needs",
    );
  });

  test("counts the policy of the resource: a deny wins, an allow suffices, plain HTTP is not meant", async () => {
    expect((await s3(role, "/bucket/locked")).status).toBe(403);
    expect((await s3(role, "/bucket/plain-http")).status).toBe(200);
    expect((await s3(role, "/shared/key")).status).toBe(200);
    expect((await s3(role, "/shared/other")).status).toBe(403);
  });

  test("hides that an object is absent from who may not list its bucket", async () => {
    expect((await s3(role, "/bucket/absent")).status).toBe(403);
    expect((await s3(role, "/bucket/absent", "HEAD")).status).toBe(403);
    expect((await s3(role, "/open/absent")).status).toBe(404);
    expect((await s3(aws.administrator, "/bucket/absent")).status).toBe(404);
  });

  test("reads a role's policies once, and again when they may have changed", async () => {
    const change =
      "Action=PutRolePolicy&Version=2010-05-08&RoleName=build&PolicyName=p&PolicyDocument=%7B%7D";
    const call = (credentials: Credentials, service: string, body: string) =>
      fetch(aws.endpoint, {
        method: "POST",
        headers: {
          Authorization: `AWS4 Credential=${credentials.accessKeyId}/d/eu-west-1/${service}/aws4_request`,
          "Content-Type": "application/x-www-form-urlencoded",
        },
        body,
      });
    await s3(role, "/bucket/key");
    const before = readings;
    await s3(role, "/bucket/key");
    expect(readings).toBe(before);
    await call(aws.administrator, "iam", change);
    await s3(role, "/bucket/key");
    expect(readings).toBe(before + 1);
  });

  test("evaluates trust policies with the keys that each service sends", async () => {
    await expect(aws.assumeRole(ROLE, "codebuild.amazonaws.com")).resolves.toMatchObject({
      accessKeyId: expect.stringMatching(/^ASIA/),
    });
    // API Gateway sends no source account: the same condition keeps it out.
    await expect(aws.assumeRole(ROLE, "apigateway.amazonaws.com")).rejects.toMatchObject({
      code: "AccessDenied",
    });
    await expect(aws.assumeRole(ROLE, "events.amazonaws.com")).rejects.toMatchObject({
      code: "AccessDenied",
    });
    await expect(aws.assumeRole(`${ROLE}-none`, "codebuild.amazonaws.com")).rejects.toMatchObject({
      code: "AccessDenied",
    });
    await expect(aws.assumeRole(ROLE, "lambda.amazonaws.com")).rejects.toThrow(
      "not known which trust condition",
    );
  });

  test("lets a service act in its own name where the resource's policy says so", async () => {
    const source = { arn: RULE };
    await aws.authorizeService("events.amazonaws.com", "sqs:SendMessage", QUEUE, source);
    await expect(
      aws.authorizeService("events.amazonaws.com", "sqs:SendMessage", QUEUE, { arn: `${RULE}2` }),
    ).rejects.toMatchObject({ code: "AccessDenied" });
    await expect(
      aws.authorizeService("sns.amazonaws.com", "sqs:SendMessage", QUEUE, source),
    ).rejects.toMatchObject({ code: "AccessDenied" });
  });

  test("checks a permission outside a call", async () => {
    await aws.authorize(role.accessKeyId, "s3:PutObject", "arn:aws:s3:::bucket/x");
    await expect(aws.authorize(role.accessKeyId, "ecr:PutImage", "arn:aws:ecr:::r")).rejects.toMatchObject({
      code: "AccessDenied",
    });
  });

  test("plays a registered action, which may ask the control plane", async () => {
    aws.handle("events", "PutEvents", async (_request, next) => ({ moto: (await next()).status }));
    await expect(callJson(aws, aws.administrator, "events", "PutEvents", {})).resolves.toEqual({ moto: 200 });
  });

  test("answers an error of a handler in the protocol's form, and its own faults as 500", async () => {
    aws.handle("ecs", "Fail", async () => {
      throw new AwsError("ClientException", "no", 400);
    });
    aws.handle("ecs", "Break", async () => {
      throw new Error("broken");
    });
    await expect(callJson(aws, aws.administrator, "ecs", "Fail", {})).rejects.toMatchObject({
      code: "ClientException",
      message: "no",
      status: 400,
    });
    await expect(callJson(aws, aws.administrator, "ecs", "Break", {})).rejects.toMatchObject({
      message: "Error: broken",
      status: 500,
    });
  });

  test("divides waits by the time scale, and stamps reports with the time", async () => {
    const start = Date.now();
    await aws.wait(20);
    expect(Date.now() - start).toBeGreaterThanOrEqual(19);
    expect(Date.now() - start).toBeLessThan(2000);
    aws.report({ stage: "queued", state: "started", detail: "x" });
    expect(activities).toEqual([{ stage: "queued", state: "started", detail: "x", at: expect.any(Number) }]);
  });
});
