import { defineConfig } from "./config/define-config";

// One file for each environment; PIPELINE_CONFIG names another than this one.
// Every setting with its default: README.md, "Settings". No secret belongs in here.
export default defineConfig({
  project: {
    name: "backlog",
    env: "cicd",
    region: "ap-northeast-1",
    tags: { ManagedBy: "terraform" },
    removal: "retain",
  },
  backlog: {
    space: "example", // https://example.backlog.jp
    domain: "backlog.jp",
    projectKey: "PROJ",
    repository: "app",
    // What `ssh-keyscan -t ed25519 example.git.backlog.jp` prints, once you have compared it.
    knownHosts: [
      "example.git.backlog.jp ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIL1S1o+BnV59bZM4TBUOkfyfUEPFJoXj2JdmKxXK2QGA",
    ],
  },
  backlogDockerBuild: {
    branch: "main",
    service: {
      // Who may reach the service; "0.0.0.0/0" is everybody.
      allowedCidrs: ["0.0.0.0/0"],
    },
  },
  alerts: {
    emails: [],
  },
});
