/** Control characters but the tab, and those that change the direction of the text around them. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const INVISIBLE = /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** Colours and cursor movements of terminals. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: an escape sequence begins with one
const ESCAPE_SEQUENCE = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?)/g;

/** One line of somebody else's text, fit to be shown: nothing in it hides or reorders what stands beside it. */
export function plain(text: string, longest = 500): string {
  const shown = text
    .slice(0, longest * 2)
    .replace(ESCAPE_SEQUENCE, "")
    .replace(INVISIBLE, "\ufffd");
  return shown.length > longest ? `${shown.slice(0, longest)}…` : shown;
}

/** The same for a text of several lines. */
export function plainLines(text: string, longest = 20_000): string {
  return text
    .slice(0, longest)
    .split(/\r?\n/)
    .map((line) => plain(line))
    .join("\n");
}
