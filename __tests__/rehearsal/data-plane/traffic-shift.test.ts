import { describeConfiguration, shiftSteps } from "../../../rehearsal/data-plane/traffic-shift";

describe("shiftSteps", () => {
  it("moves all traffic at once", () => {
    expect(shiftSteps("CodeDeployDefault.ECSAllAtOnce")).toEqual([{ percent: 100, minutes: 0 }]);
  });

  it("tries a part of the traffic first", () => {
    expect(shiftSteps("CodeDeployDefault.ECSCanary10Percent15Minutes")).toEqual([
      { percent: 10, minutes: 15 },
      { percent: 100, minutes: 0 },
    ]);
  });

  it("moves the traffic in equal steps", () => {
    const steps = shiftSteps("CodeDeployDefault.ECSLinear10PercentEvery3Minutes") ?? [];
    expect(steps.map(({ percent }) => percent)).toEqual([10, 20, 30, 40, 50, 60, 70, 80, 90, 100]);
    expect(steps.map(({ minutes }) => minutes)).toEqual([3, 3, 3, 3, 3, 3, 3, 3, 3, 0]);
  });

  it("knows nothing of other names", () => {
    expect(shiftSteps("CodeDeployDefault.OneAtATime")).toBeUndefined();
    expect(describeConfiguration("CodeDeployDefault.OneAtATime")).toBeUndefined();
  });

  it("shows a configuration as the API does", () => {
    expect(describeConfiguration("CodeDeployDefault.ECSLinear10PercentEvery1Minutes")).toMatchObject({
      trafficRoutingConfig: {
        type: "TimeBasedLinear",
        timeBasedLinear: { linearPercentage: 10, linearInterval: 1 },
      },
    });
  });
});
