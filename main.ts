import { App } from "cdktf";
import { loadConfig } from "./config/load-config";
import { BacklogDockerBuild } from "./stacks/backlog-docker-build";

const config = loadConfig();
const app = new App();

new BacklogDockerBuild(app, config);

app.synth();
