import { transformInput } from "../../../rehearsal/data-plane/input-transformer";

const rule = { name: "rule", arn: "arn:rule" };
const event = { detail: { ref: "refs/heads/main", list: [1, "a"], odd: 'a"b', number: 7 } };
const paths = {
  ref: "$.detail.ref",
  list: "$.detail.list",
  odd: "$.detail.odd",
  number: "$.detail.number",
  no: "$.no",
};

describe("transformInput", () => {
  test.each([
    ['{"ref": <ref>}', '{"ref": "refs/heads/main"}'],
    ['{"text": "at <ref>, <number>"}', '{"text": "at refs/heads/main, 7"}'],
    ['{"list": <list>, "number": <number>}', '{"list": [1,"a"], "number": 7}'],
    ['"<ref> failed"', '"refs/heads/main failed"'],
    ['{"a": "\\"<ref>\\""}', '{"a": "\\"refs/heads/main\\""}'],
    ['{"rule": <aws.events.rule-name>}', '{"rule": "rule"}'],
  ])("fills in %s", (InputTemplate, expected) => {
    expect(transformInput({ InputPathsMap: paths, InputTemplate }, event, rule)).toBe(expected);
  });

  test("does not escape values: a quote in one breaks the JSON, as on AWS", () => {
    const bare = transformInput({ InputPathsMap: paths, InputTemplate: '{"odd": <odd>}' }, event, rule);
    expect(bare).toBe('{"odd": "a"b"}');
    expect(() => JSON.parse(bare)).toThrow();
  });

  test("leaves nothing where the event has nothing", () => {
    expect(transformInput({ InputPathsMap: paths, InputTemplate: '{"no": "<no>"}' }, event, rule)).toBe(
      '{"no": ""}',
    );
  });

  test("gives the whole event on request", () => {
    const text = transformInput({ InputTemplate: '{"event": <aws.events.event.json>}' }, event, rule);
    expect(JSON.parse(text)).toEqual({ event });
  });

  test("throws for a variable that nothing defines", () => {
    expect(() => transformInput({ InputTemplate: "<what>" }, event, rule)).toThrow("<what>");
  });
});
