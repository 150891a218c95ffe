import { renderResponseMappings } from "../../../modules/mapping-template";
import { evaluateTemplate } from "../../../rehearsal/data-plane/mapping-template";
import { ANSWERS } from "./answers";

describe("the webhook's response templates", () => {
  test.each(ANSWERS)(
    "answer $answer when $delivery gets $status $body",
    ({ delivery, status, body, answer }) => {
      const mappings = renderResponseMappings(delivery);
      const mapping =
        mappings.find(({ selectionPattern }) =>
          new RegExp(`^(?:${selectionPattern})$`).test(String(status)),
        ) ?? mappings.find(({ selectionPattern }) => selectionPattern === undefined);
      const { output, responseStatus } = evaluateTemplate(mapping!.template, {
        body,
        context: { requestId: "request-1" },
      });
      expect(responseStatus ?? Number(mapping!.statusCode)).toBe(answer);
      // Fault 5: nothing of AWS goes back.
      expect(JSON.parse(output)).toEqual({ requestId: "request-1" });
    },
  );

  test.each(["bus", "direct"] as const)(
    "have one mapping for each status with %s, as API Gateway keeps them",
    (delivery) => {
      const codes = renderResponseMappings(delivery).map(({ statusCode }) => statusCode);
      expect(codes).toEqual([...new Set(codes)]);
    },
  );
});
