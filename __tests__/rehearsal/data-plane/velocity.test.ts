import { evaluateTemplate } from "../../../rehearsal/data-plane/mapping-template";
import { NotPlayed, TemplateError } from "../../../rehearsal/data-plane/template-errors";
import { CONSTRUCTS } from "../../velocity17/constructs";

const print = (template: string, body = "") => evaluateTemplate(template, { body, context: {} }).output;
const printed = CONSTRUCTS.filter(({ expected }) => expected !== undefined);
const throwing = CONSTRUCTS.filter(({ expected }) => expected === undefined);

describe("Velocity as the rehearsal plays it", () => {
  test.each(printed)("prints what Velocity 1.7 prints: $name", ({ template, body, expected }) => {
    expect(print(template, body)).toBe(expected);
  });

  test.each(throwing)("throws where Velocity 1.7 throws: $name", ({ template, body }) => {
    expect(() => print(template, body)).toThrow(TemplateError);
  });

  test("ends a loop after 1,000 rounds", () => {
    expect(print("#foreach($x in $input.body.split(','))x#end", new Array(1500).fill("a").join(","))).toBe(
      "x".repeat(1000),
    );
  });

  test("does not parse what cannot be parsed", () => {
    expect(() => print("#if($x)")).toThrow(TemplateError);
    expect(() => print("#set($x = )")).toThrow(TemplateError);
  });

  test.each([
    ["a method that is not played", "#set($s = 'x')$s.codePointAt(0)"],
    ["another overload of a method that is played", "#set($s = 'x')$s.indexOf(120)"],
    ["a property that Java's classes have", "#set($s = 'x')$s.class"],
    ["an unknown function of $util", "$util.md5('x')"],
    ["an unknown member of $input", "$input.header"],
    ["a macro", "#macro(m)x#end#m()"],
    ["a definition", "#define($d)x#end$d"],
    ["a directive that is not played", "#stop"],
    ["a range", "#foreach($x in [1..3])x#end"],
    ["a product", "#set($n = 2)#set($m = $n * 2)"],
    ["a literal as a condition", "#if('x')a#end"],
    ["an assignment to a member", "#set($context.requestOverride.header.x = 'y')"],
    ["a regular expression that JavaScript may match otherwise", "#set($s = 'x')$s.matches('a++')"],
    ["a class within a class", "#set($s = 'x')$s.matches('[a[b]]')"],
    ["a POSIX class", "#set($s = 'x')$s.matches('\\p{Alpha}')"],
    ["a flag", "#set($s = 'x')$s.matches('(?i)X')"],
    ["a JSONPath with a filter", "$input.path('$..x')"],
  ])("refuses %s instead of guessing", (_, template) => {
    expect(() => print(template)).toThrow(NotPlayed);
  });
});
