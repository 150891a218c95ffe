import { startLocalAws } from "../../../rehearsal/aws/endpoint";
import { callJson } from "../../../rehearsal/aws/json-api";
import { AwsError } from "../../../rehearsal/aws/local-aws";

describe("RunningLocalAws.intercept", () => {
  let aws: Awaited<ReturnType<typeof startLocalAws>>;
  const call = () => callJson(aws, aws.administrator, "codebuild", "StartBuild", {});

  beforeEach(async () => {
    aws = await startLocalAws({
      // Nothing here may reach it.
      motoUrl: "http://127.0.0.1:1",
      region: "eu-west-1",
      accountId: "123456789012",
      timeScale: 1000,
      onActivity: () => {},
    });
    aws.handle("codebuild", "StartBuild", async () => ({ build: "played" }));
  });
  afterEach(() => aws.close());

  test("passes a call on to whoever plays the action", async () => {
    aws.intercept("codebuild", "StartBuild", (_request, next) => next());
    expect(await call()).toEqual({ build: "played" });
  });

  test("asks the last one first", async () => {
    const order: string[] = [];
    for (const name of ["first", "last"]) {
      aws.intercept("codebuild", "StartBuild", (_request, next) => {
        order.push(name);
        return next();
      });
    }
    await call();
    expect(order).toEqual(["last", "first"]);
  });

  test("can answer with an error, until it is taken away", async () => {
    const undo = aws.intercept("codebuild", "StartBuild", () => {
      throw new AwsError("ThrottlingException", "Rate exceeded");
    });
    await expect(call()).rejects.toMatchObject({ code: "ThrottlingException" });
    undo();
    expect(await call()).toEqual({ build: "played" });
  });

  test("leaves other actions alone", async () => {
    aws.intercept("codebuild", "StopBuild", () => {
      throw new AwsError("ThrottlingException", "Rate exceeded");
    });
    expect(await call()).toEqual({ build: "played" });
  });

  test("can play an action several times for one call", async () => {
    let played = 0;
    aws.handle("codebuild", "StartBuild", async () => {
      played += 1;
      return {};
    });
    aws.intercept("codebuild", "StartBuild", async (_request, next) => {
      await next();
      return next();
    });
    await call();
    expect(played).toBe(2);
  });
});
