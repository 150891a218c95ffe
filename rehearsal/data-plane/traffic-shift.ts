/**
 * The deployment configurations that CodeDeploy has ready for ECS, as steps of traffic.
 * Left out: configurations of one's own.
 *
 * @see https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-configurations.html#deployment-configuration-ecs
 */

/** One step: from then on `percent` of the production traffic goes to the new version. */
export interface ShiftStep {
  readonly percent: number;
  /** Minutes until the next step; 0 after the last. */
  readonly minutes: number;
}

interface Configuration {
  readonly type: "AllAtOnce" | "TimeBasedCanary" | "TimeBasedLinear";
  readonly percent: number;
  readonly minutes: number;
}

const CONFIGURATIONS: Readonly<Record<string, Configuration>> = {
  "CodeDeployDefault.ECSAllAtOnce": { type: "AllAtOnce", percent: 100, minutes: 0 },
  "CodeDeployDefault.ECSCanary10Percent5Minutes": { type: "TimeBasedCanary", percent: 10, minutes: 5 },
  "CodeDeployDefault.ECSCanary10Percent15Minutes": { type: "TimeBasedCanary", percent: 10, minutes: 15 },
  "CodeDeployDefault.ECSLinear10PercentEvery1Minutes": { type: "TimeBasedLinear", percent: 10, minutes: 1 },
  "CodeDeployDefault.ECSLinear10PercentEvery3Minutes": { type: "TimeBasedLinear", percent: 10, minutes: 3 },
};

/** The steps of a deployment configuration; `undefined` when CodeDeploy has none of that name. */
export function shiftSteps(name: string): ShiftStep[] | undefined {
  const configuration = CONFIGURATIONS[name];
  if (!configuration) return undefined;
  const { type, percent, minutes } = configuration;
  if (type === "AllAtOnce") return [{ percent: 100, minutes: 0 }];
  if (type === "TimeBasedCanary") {
    return [
      { percent, minutes },
      { percent: 100, minutes: 0 },
    ];
  }
  return Array.from({ length: 100 / percent }, (_, index) => {
    const reached = percent * (index + 1);
    return { percent: reached, minutes: reached < 100 ? minutes : 0 };
  });
}

/** A deployment configuration as GetDeploymentConfig shows it. */
export function describeConfiguration(name: string): Record<string, unknown> | undefined {
  const configuration = CONFIGURATIONS[name];
  if (!configuration) return undefined;
  const { type, percent, minutes } = configuration;
  const routing =
    type === "TimeBasedCanary"
      ? { type, timeBasedCanary: { canaryPercentage: percent, canaryInterval: minutes } }
      : type === "TimeBasedLinear"
        ? { type, timeBasedLinear: { linearPercentage: percent, linearInterval: minutes } }
        : { type };
  return { deploymentConfigName: name, computePlatform: "ECS", trafficRoutingConfig: routing };
}
