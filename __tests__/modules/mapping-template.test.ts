import {
  type PushTarget,
  renderRequestTemplate,
  renderResponseMappings,
} from "../../modules/mapping-template";

const SOURCE = { space: "example", domain: "backlog.com", projectKey: "KEY_1", repository: "my.repo-2" };
const BUS: PushTarget = { delivery: "bus", eventBusName: "push" };

describe(renderRequestTemplate, () => {
  test("names the repository by its URL", () => {
    expect(renderRequestTemplate(SOURCE, BUS)).toContain("'https://example.backlog.com/git/KEY_1/my.repo-2'");
  });

  test.each<PushTarget>([BUS, { delivery: "direct", projectName: "build" }])(
    "leaves no placeholder for $delivery",
    (target) => {
      expect(renderRequestTemplate(SOURCE, target)).not.toMatch(/__/);
    },
  );

  test.each<[PushTarget, string]>([
    [{ delivery: "bus", eventBusName: "${aws_x.bus.name}" }, '"EventBusName":"${aws_x.bus.name}"'],
    [{ delivery: "direct", projectName: "${TfToken[TOKEN.7]}" }, '"projectName":"${TfToken[TOKEN.7]}"'],
  ])("leaves references to Terraform: %j", (target, text) => {
    const template = renderRequestTemplate(SOURCE, target);
    expect(template).toContain(text);
    expect(template.match(/[$%]\{/g)).toHaveLength(1);
  });

  test.each(["", "a b", 'a"b', "a'b", "a$b", "a#b", "a\\b", "a\nb", '${x["y"]}', "${x}${y}'", "日本"])(
    "refuses the name %j",
    (eventBusName) => {
      expect(() => renderRequestTemplate(SOURCE, { delivery: "bus", eventBusName })).toThrow(
        `EVENT_BUS_NAME must consist of letters, digits, ".", "_", "/" and "-", or be one reference of Terraform, got: ${JSON.stringify(eventBusName)}`,
      );
    },
  );

  test("stays far below API Gateway's 300 KB", () => {
    expect(renderRequestTemplate(SOURCE, BUS).length).toBeLessThan(10_000);
  });
});

describe(renderResponseMappings, () => {
  test.each(["bus", "direct"] as const)("maps every status of AWS for %s", (delivery) => {
    expect(
      renderResponseMappings(delivery).map(({ statusCode, selectionPattern }) => [
        statusCode,
        selectionPattern,
      ]),
    ).toEqual([
      ["200", undefined],
      ["400", "4\\d{2}"],
      ["503", "5\\d{2}"],
    ]);
  });
});
