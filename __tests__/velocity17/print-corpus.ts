/**
 * Prints, one JSON document a line, every evaluation of the unit tests with what the rehearsal's engine made of
 * it, so that Apache Velocity 1.7 can be held against it.
 */
import { renderRequestTemplate, renderResponseMappings } from "../../modules/mapping-template";
import { evaluateTemplate } from "../../rehearsal/data-plane/mapping-template";
import { TemplateError } from "../../rehearsal/data-plane/template-errors";
import { ANSWERS } from "../assets/webhook/answers";
import { BODIES, SOURCE } from "../assets/webhook/bodies";
import { CONSTRUCTS } from "./constructs";

function evaluated(template: string, body: string) {
  try {
    const { output, responseStatus = null } = evaluateTemplate(template, {
      body,
      context: { requestId: "request-1" },
    });
    return { output, status: responseStatus };
  } catch (error) {
    if (error instanceof TemplateError) return { output: null, status: null };
    throw error;
  }
}

function print(name: string, template: string, body: string): void {
  process.stdout.write(`${JSON.stringify({ name, template, body, ...evaluated(template, body) })}\n`);
}

const requests = {
  bus: renderRequestTemplate(SOURCE, { delivery: "bus", eventBusName: "example-push" }),
  direct: renderRequestTemplate(SOURCE, { delivery: "direct", projectName: "example-build" }),
};
for (const [delivery, template] of Object.entries(requests)) {
  for (const { name, body } of BODIES) print(`${delivery}: ${name}`, template, body);
}
for (const { delivery, status, body } of ANSWERS) {
  for (const { statusCode, template } of renderResponseMappings(delivery)) {
    print(`${delivery}: answer ${statusCode} to ${status} ${body}`, template, body);
  }
}
for (const { name, template, body } of CONSTRUCTS) print(`construct: ${name}`, template, body);
