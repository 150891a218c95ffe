import { NotPlayed } from "./template-errors";

// Constructs that mean the same to java.util.regex and to JavaScript (flag u), or can be rewritten; whatever else
// a pattern has is refused instead of being matched in another way.
const PARTS: readonly [RegExp, (match: RegExpExecArray, inClass: boolean) => string][] = [
  [/\\x\{([0-9A-Fa-f]{1,6})\}/y, (m) => `\\u{${m[1]}}`],
  [/\\x([0-9A-Fa-f]{2})/y, (m) => `\\u{${m[1]}}`],
  [/\\u([0-9A-Fa-f]{4})/y, (m) => `\\u{${m[1]}}`],
  [/\\s/y, (_, inClass) => (inClass ? " \\t\\n\\v\\f\\r" : "[ \\t\\n\\v\\f\\r]")],
  [/\\[dDwW]/y, (m) => m[0]],
  [/\\[tnrf]/y, (m) => m[0]],
  // An escaped sign stands for itself in both; JavaScript lets only its own syntax be escaped.
  [/\\([^A-Za-z0-9])/y, (m) => `\\u{${m[1]!.codePointAt(0)!.toString(16)}}`],
  [/\./y, (_, inClass) => (inClass ? "." : "[^\\n\\r\\u0085\\u2028\\u2029]")],
  [/\((?!\?)|\(\?:|\(\?=|\(\?!|\)/y, (m, inClass) => (inClass ? `\\${m[0]}` : m[0])],
  [/(?:[*+?]|\{\d+(?:,\d*)?\})\??(?![+])/y, (m, inClass) => (inClass ? escapeInClass(m[0]) : m[0])],
  [/[|^$]/y, (m, inClass) => (inClass ? escapeInClass(m[0]) : m[0])],
  [/-/y, () => "-"],
  [/[^\\()[\]{}*+?.|^$&-]/uy, (m) => m[0]],
  [/&(?!&)/y, () => "&"],
];

function escapeInClass(text: string): string {
  return text.replace(/[*+?{}|^$]/g, (sign) => `\\${sign}`);
}

/** A pattern of java.util.regex (as Java 8 has it) as a JavaScript expression. */
export function javaRegex(pattern: string, flags = ""): RegExp {
  let source = "";
  let inClass = false;
  let at = 0;
  while (at < pattern.length) {
    if (!inClass && pattern[at] === "[") {
      const negated = pattern[at + 1] === "^";
      source += negated ? "[^" : "[";
      at += negated ? 2 : 1;
      inClass = true;
    } else if (inClass && pattern[at] === "]") {
      source += "]";
      at += 1;
      inClass = false;
    } else {
      const [length, text] = translate(pattern, at, inClass);
      source += text;
      at += length;
    }
  }
  return new RegExp(source, `u${flags}`);
}

function translate(pattern: string, at: number, inClass: boolean): [number, string] {
  for (const [form, rewrite] of PARTS) {
    form.lastIndex = at;
    const match = form.exec(pattern);
    if (match) return [match[0].length, rewrite(match, inClass)];
  }
  throw new NotPlayed(`the regular expression ${pattern} at character ${at + 1}`);
}
