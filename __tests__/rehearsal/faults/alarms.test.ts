import { measureBy } from "../../../rehearsal/faults/alarms";
import type { Happened } from "../../../rehearsal/timeline";

const aws = {
  clientConfig: () => {
    throw new Error("no call was expected");
  },
};

describe("measureBy", () => {
  const list: Happened[] = [
    { stage: "received", state: "failed", detail: "webhook answered 503: AWS answered 400", at: 1 },
    { stage: "building", state: "failed", detail: "FAILED: exit status 1", at: 2 },
    { stage: "queued", state: "failed", detail: "rule r could not reach m", at: 3 },
  ];
  const measure = measureBy(aws, () => list);
  const count = (namespace: string, name: string) => measure({ namespace, name, dimensions: {} });

  test.each([
    ["AWS/ApiGateway", "5XXError", 1],
    ["AWS/ApiGateway", "4XXError", 0],
    ["AWS/CodeBuild", "FailedBuilds", 1],
    ["AWS/States", "ExecutionsFailed", 0],
  ])("counts %s %s", async (namespace, name, value) => {
    expect(await count(namespace, name)).toBe(value);
  });

  test("fails for a metric that it cannot measure", async () => {
    await expect(count("AWS/Lambda", "Errors")).rejects.toThrow(/does not measure AWS\/Lambda Errors/);
  });
});
