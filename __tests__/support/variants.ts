import type { ConfigInput } from "../../config/schema";
import type { Changes } from "./stack";

const ACCOUNT = "ap-northeast-1:123456789012";

/** Configurations that between them make every resource and every statement that the stack can have. */
export const VARIANTS: Readonly<Record<string, Changes<ConfigInput>>> = {
  shipped: {},
  direct: { webhook: { delivery: "direct", accessLog: "existingAccountRole" } },
  everything: {
    project: { removal: "destroy" },
    alerts: { emails: ["a@example.com", "b@example.com"] },
    webhook: { accessLog: "manageAccountRole" },
    backlogDockerBuild: {
      buildOnlyBranches: ["feature/*"],
      network: { natGateways: 1, s3EndpointBuckets: ["assets-*"] },
      build: { architecture: "arm64", cache: "registry", inVpc: true },
      service: {
        accessLog: true,
        certificateArn: `arn:aws:acm:${ACCOUNT}:certificate/0a1b`,
        testAllowedCidrs: ["10.0.0.0/8"],
      },
      deployment: { approval: true, stopUnlessReroutedWithinMinutes: 30 },
    },
  },
  "own secret": {
    state: { type: "s3", bucket: "states", region: "ap-northeast-1" },
    backlog: { sshKey: { secretArn: `arn:aws:secretsmanager:${ACCOUNT}:secret:git-AbCdEf` } },
  },
};
