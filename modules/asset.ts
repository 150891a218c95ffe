import { readFileSync } from "node:fs";
import { join } from "node:path";

/** The text of a file under `assets/`. */
export function readAsset(...path: string[]): string {
  return readFileSync(join(__dirname, "..", "assets", ...path), "utf8");
}

/** A JSON file under `assets/`, without its white space, so that a plan shows changes of content alone. */
export function readJsonAsset(...path: string[]): string {
  return JSON.stringify(JSON.parse(readAsset(...path)));
}
