import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { renderSettingsTable, replaceSettingsTable } from "../../config/settings-table";
import { config, type Json } from "../support/stack";

const table = renderSettingsTable();
const rows = table
  .split("\n")
  .slice(2)
  .map((line) => line.split(/(?<!\\)\|/).map((cell) => cell.trim()))
  .map(([, path, allowed, fallback, meaning]) => ({
    path: path!.replaceAll("`", ""),
    allowed,
    fallback,
    meaning,
  }));

describe("renderSettingsTable", () => {
  test("has a row for every setting of a checked configuration", () => {
    const pathsOf = (value: Json, path: string): string[] =>
      typeof value === "object" && !Array.isArray(value)
        ? Object.entries(value).flatMap(([name, inner]) => pathsOf(inner, path ? `${path}.${name}` : name))
        : [path];
    const { project, ...others } = config();
    const { tags: _, ...named } = project;
    const paths = rows.map(({ path }) => path);
    expect(paths).toEqual(expect.arrayContaining(pathsOf({ ...others, project: named }, "")));
    expect(new Set(paths.filter((path) => path !== "state.region")).size).toBe(paths.length - 1);
  });

  test("says for each what is allowed, its default and what it means", () => {
    for (const row of rows) {
      expect(row).toEqual({
        path: expect.stringMatching(/^[a-zA-Z0-9.]+$/),
        allowed: expect.stringMatching(/^(?!must |Invalid).+/),
        fallback: expect.stringMatching(/^(\*\*required\*\*|none|\d+ entries|`.+`)$/),
        meaning: expect.stringMatching(/\S.{8,}/),
      });
    }
  });

  test("renders defaults, required and optional settings, and the kinds of a choice", () => {
    const schema = z.strictObject({
      count: z.int("must be 1 | 2").default(1).describe("How many."),
      inner: z
        .strictObject({ name: z.enum(["a"], 'must be "a"').describe("Its name.") })
        .prefault({ name: "a" }),
      maybe: z.boolean("must be true or false").optional().describe("Or not."),
      kind: z
        .discriminatedUnion("type", [
          z.strictObject({ type: z.literal("x"), size: z.int("must be a size").describe("Size.") }),
          z.strictObject({ type: z.literal("y") }),
        ])
        .default({ type: "y" })
        .describe("Which."),
    });
    expect(renderSettingsTable(schema).split("\n").slice(2)).toEqual([
      "| `count` | 1 \\| 2 | `1` | How many. |",
      "| `inner.name` | `a` | **required** | Its name. |",
      "| `maybe` | `true` or `false` | none | Or not. |",
      '| `kind.type` | `x`, `y` | `"y"` | Which. |',
      "| `kind.size` | a size | **required** | With `x`: Size. |",
    ]);
  });
});

describe("replaceSettingsTable", () => {
  test("replaces what stands between the marks, and nothing else", () => {
    const text = "a\n<!-- settings -->\nold\n<!-- /settings -->\nb\n";
    expect(replaceSettingsTable(text, "| new |")).toBe(
      "a\n<!-- settings -->\n| new |\n<!-- /settings -->\nb\n",
    );
  });

  test.each([
    ["no marks", "a"],
    ["no end", "<!-- settings -->"],
    ["no beginning", "<!-- /settings -->"],
    ["the wrong order", "<!-- /settings --><!-- settings -->"],
    ["two beginnings", "<!-- settings --><!-- settings --><!-- /settings -->"],
    ["two ends", "<!-- settings --><!-- /settings --><!-- /settings -->"],
  ])("refuses a text with %s", (_, text) => {
    expect(() => replaceSettingsTable(text, "")).toThrow(
      "the text must have the marks <!-- settings --> and <!-- /settings -->, each once and in this order",
    );
  });
});

test("README.md has the settings of the schema (npm run settings)", () => {
  const readme = readFileSync(join(__dirname, "..", "..", "README.md"), "utf8");
  expect(readme).toBe(replaceSettingsTable(readme, table));
});
