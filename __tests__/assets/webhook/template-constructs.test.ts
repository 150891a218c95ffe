import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const FOLDER = join(__dirname, "..", "..", "..", "assets", "webhook");

/** Without comments: what is said there is read by people only. */
const TEMPLATES = readdirSync(FOLDER).map((name) => ({
  name,
  text: readFileSync(join(FOLDER, name), "utf8").replace(/##.*\n/g, "\n"),
}));

// What Velocity 1.7 and the rehearsal's engine would read differently, and what the rehearsal does not play.
const KEPT_OUT: readonly [string, RegExp][] = [
  ["an escaped reference or directive", /\\[$#]/],
  ["a doubled quote inside a string", /[^(,\s]''|''[^),\s]|[^(,\s\\:]""(?!\))/],
  ["a loop, which API Gateway ends after 1,000 rounds", /#foreach/],
  ["a macro or a directive that reads another text", /#(macro|define|parse|include|evaluate|stop|break|@)/],
  ["a block comment or unparsed text", /#[*[]/],
  ["braces that Terraform would evaluate", /[$%]\{/],
  ["a reference that ends in a hyphen, which is part of a name", /\$!?[A-Za-z][\w-]*-/],
  ["a directive with text before it on its line", /^.*\S.*#(set|if|else|elseif|end)/],
  ["a carriage return or a tab", /[\r\t]/],
  ["anything but ASCII", /[^\n -~]/],
];

describe.each(TEMPLATES)("$name", ({ text }) => {
  test.each(KEPT_OUT)("has no %s", (_, form) => {
    expect(text.split("\n").filter((line) => form.test(line))).toEqual([]);
  });

  test("sets the status in one place at most: API Gateway answers 5xx when it is set twice", () => {
    expect((text.match(/responseOverride/g) ?? []).length).toBeLessThanOrEqual(1);
  });

  test("gives each variable a value that is not null before it takes one that may be", () => {
    const assignments = [...text.matchAll(/#set\(\$(\w+) = (.*)\)$/gm)].map(([, name, value]) => ({
      name,
      value,
    }));
    const mayBeNull = assignments.filter(({ value }) =>
      /^\$(push|input\.path|input\.body|util)\b/.test(value!),
    );
    const unguarded = mayBeNull.filter(({ name }) => {
      const first = assignments.find((assignment) => assignment.name === name)!;
      return !/^("|'|\{|false)/.test(first.value!);
    });
    expect(unguarded).toEqual([]);
  });
});
