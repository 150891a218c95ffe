import { evaluateTemplate, urlDecode } from "../../../rehearsal/data-plane/mapping-template";
import { TemplateError } from "../../../rehearsal/data-plane/template-errors";

const evaluate = (template: string, body = "", context = {}) => evaluateTemplate(template, { body, context });

describe("a mapping template of API Gateway", () => {
  test("sees the request's id, and members that are not there as their source", () => {
    expect(evaluate("$context.requestId $context.other", "", { requestId: "r-1" }).output).toBe(
      "r-1 $context.other",
    );
  });

  test("reads members and elements of the body", () => {
    const body = '{"a":{"b":["x",{"c d":2}]},"__type":"t"}';
    expect(
      evaluate("$input.path('$.a.b[0]') $input.path('$.__type') $!input.path('$.x.y')|", body).output,
    ).toBe("x t |");
    expect(evaluate(`$input.path("$.a.b[1]['c d']") $input.json('$.a.b')`, body).output).toBe(
      '2 ["x",{"c d":2}]',
    );
  });

  test("takes a body that is no JSON for a text without members", () => {
    expect(evaluate("$input.path('$')|$!input.path('$.x')|$input.body", "plain").output).toBe("plain||plain");
  });

  test("finds parameters in the path, then the query, then the headers", () => {
    const { output } = evaluateTemplate(
      "$input.params('a') $input.params('b') $!input.params('c')| $input.params().header.b",
      {
        body: "",
        context: {},
        parameters: { path: { a: "1" }, querystring: { a: "2", b: "3" }, header: { b: "4" } },
      },
    );
    expect(output).toBe("1 3 | 4");
  });

  test("encodes as Java does", () => {
    expect(evaluate("$util.urlEncode($input.body)", "a b+c~é!").output).toBe("a+b%2Bc%7E%C3%A9%21");
    expect(evaluate("$util.base64Encode($input.body) $util.base64Decode('w6k=')", "é").output).toBe("w6k= é");
    expect(evaluate("$util.escapeJavaScript($input.body)", "a'\"\\/\n\u0001é").output).toBe(
      "a\\'\\\"\\\\\\/\\n\\u0001\\u00E9",
    );
  });

  test("overrides the status once", () => {
    expect(evaluate("#set($context.responseOverride.status = 503)x")).toEqual({
      output: "x",
      responseStatus: 503,
    });
    expect(evaluate("x")).toEqual({ output: "x" });
  });

  test("fails when the status is overridden twice, as API Gateway does", () => {
    const twice = "#set($context.responseOverride.status = 503)".repeat(2);
    expect(() => evaluate(twice)).toThrow(TemplateError);
  });

  test("fails when the status is no status", () => {
    expect(() => evaluate("#set($context.responseOverride.status = 'x')")).toThrow(TemplateError);
  });

  test("fails for JSON that is too deep for the stack", () => {
    expect(() => evaluate("$util.parseJson($input.body)", "[".repeat(200_000) + "]".repeat(200_000))).toThrow(
      TemplateError,
    );
  });
});

describe(urlDecode, () => {
  test.each([
    ["a+b", "a b"],
    ["%E3%81%82", "あ"],
    ["あ%20い", "あ い"],
    ["%ef%bb%bfx", "\ufeffx"],
    ["%F0%9F", "\ufffd"],
    ["", ""],
  ])("makes %j %j", (encoded, plain) => expect(urlDecode(encoded)).toBe(plain));

  test.each(["%", "%4", "%zz", "a%2g", "%-1", "%%41"])("throws for %j", (encoded) => {
    expect(() => urlDecode(encoded)).toThrow(TemplateError);
  });
});
