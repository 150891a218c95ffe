import type { Json } from "./stack";

/** The value in `${jsonencode(...)}`, with references as `${...}` texts, as Terraform would fill them in. */
export function decodeJsonencode(text: string): Json {
  const expression = /^\$\{jsonencode\((.*)\)\}$/s.exec(text)?.[1];
  if (expression === undefined) throw new Error(`no jsonencode: ${text.slice(0, 80)}`);
  const json = expression.replace(/"(?:[^"\\]|\\.)*"|[A-Za-z_][\w.]*|=/g, (token) => {
    if (token === "=") return ":";
    if (token.startsWith('"')) return token.replace(/([$%])\1\{/g, "$1{");
    return /^(true|false|null)$/.test(token) ? token : `"\${${token}}"`;
  });
  return JSON.parse(json);
}
