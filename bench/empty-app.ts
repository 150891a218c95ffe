import { App, LocalBackend, TerraformStack } from "cdktf";

// What any CDKTF application costs: one stack, nothing in it.
const app = new App();
const stack = new TerraformStack(app, "empty");
new LocalBackend(stack, { path: "empty.tfstate" });
app.synth();
