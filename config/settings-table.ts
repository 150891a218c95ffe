import { readFileSync, writeFileSync } from "node:fs";
import { z } from "zod";
import { configSchema } from "./schema";

const BEGIN = "<!-- settings -->";
const END = "<!-- /settings -->";
const REQUIRED = "**required**";

interface Setting {
  readonly path: string;
  readonly allowed: string;
  readonly fallback: string;
  readonly description: string;
}

/** Nothing accepts this text; what a schema answers says what it accepts. */
const NEVER_ALLOWED = "\0";

function allowed(schema: z.ZodType): string {
  const message = schema.safeParse(NEVER_ALLOWED).error?.issues[0]?.message ?? "";
  return message
    .replace(/^must be /, "")
    .replace(/"([^"]*)"/g, "`$1`")
    .replace(/^true or false$/, "`true` or `false`");
}

function show(value: unknown): string {
  const json = JSON.stringify(value);
  return Array.isArray(value) && json.length > 60 ? `${value.length} entries` : `\`${json}\``;
}

function settingsOf(schema: z.ZodType, path: string, fallback: string): Setting[] {
  if (schema instanceof z.ZodPrefault) return settingsOf(schema.unwrap() as z.ZodType, path, fallback);
  if (schema instanceof z.ZodObject) {
    return Object.entries<z.ZodType>(schema.shape).flatMap(([name, inner]) =>
      settingsOf(inner, path === "" ? name : `${path}.${name}`, REQUIRED),
    );
  }
  const description = schema.description ?? "";
  if (schema instanceof z.ZodDefault) {
    const value = schema.def.defaultValue;
    const inner = schema.unwrap() as z.ZodType;
    if (inner instanceof z.ZodDiscriminatedUnion) return settingsOfKinds(inner, path, value, description);
    return [{ path, allowed: allowed(inner), fallback: show(value), description }];
  }
  const optional = schema instanceof z.ZodOptional;
  return [{ path, allowed: allowed(schema), fallback: optional ? "none" : fallback, description }];
}

/** A setting whose further settings depend on its kind: they are listed kind by kind. */
function settingsOfKinds(
  union: z.ZodDiscriminatedUnion,
  path: string,
  value: unknown,
  description: string,
): Setting[] {
  const { discriminator } = union.def;
  const kinds = (union.options as z.ZodObject[]).map((option) => {
    const { [discriminator]: kind, ...shape } = option.shape;
    return { name: show((kind as z.ZodLiteral).value), rest: z.object(shape) };
  });
  const chosen = (value as Record<string, unknown>)[discriminator];
  return [
    {
      path: `${path}.${discriminator}`,
      allowed: kinds.map(({ name }) => name.replaceAll('"', "")).join(", "),
      fallback: show(chosen),
      description,
    },
    ...kinds.flatMap(({ name, rest }) =>
      settingsOf(rest, path, REQUIRED).map((setting) => ({
        ...setting,
        description: `With ${name.replaceAll('"', "")}: ${setting.description}`,
      })),
    ),
  ];
}

const cell = (text: string) => text.replaceAll("|", "\\|");

/** Every setting of a configuration as a Markdown table: path, what is allowed, default, meaning. */
export function renderSettingsTable(schema: z.ZodType = configSchema): string {
  const rows = settingsOf(schema, "", REQUIRED).map(
    (setting) =>
      `| \`${setting.path}\` | ${cell(setting.allowed)} | ${cell(setting.fallback)} | ${cell(setting.description)} |`,
  );
  return ["| setting | allowed | default | meaning |", "|---|---|---|---|", ...rows].join("\n");
}

/**
 * Puts the table between the two marks of a Markdown text.
 * @throws when the text does not have each mark once, in order
 */
export function replaceSettingsTable(markdown: string, table: string): string {
  const [before, middle, ...more] = markdown.split(BEGIN);
  const [, after, ...tooMany] = middle?.split(END) ?? [];
  if (after === undefined || more.length > 0 || tooMany.length > 0 || before?.includes(END)) {
    throw new Error(`the text must have the marks ${BEGIN} and ${END}, each once and in this order`);
  }
  return `${before}${BEGIN}\n${table}\n${END}${after}`;
}

// npm run settings
if (require.main === module) {
  const [option, file] = process.argv.slice(2);
  if (option === undefined) {
    console.log(renderSettingsTable());
  } else if (option === "--write" && file !== undefined) {
    writeFileSync(file, replaceSettingsTable(readFileSync(file, "utf8"), renderSettingsTable()));
  } else {
    console.error("usage: settings-table.ts [--write FILE]");
    process.exitCode = 2;
  }
}
