import { readdirSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { transformSync } from "@swc/core";

const FOLDER = join(__dirname, "assets");

/** A file of the page as the browser gets it. */
export interface PageFile {
  readonly type: string;
  readonly text: string;
}

/** The page's files by path. Scripts lose their types and stay as they are otherwise: each is a module of its own. */
export function pageFiles(token: string): Map<string, PageFile> {
  const files = new Map<string, PageFile>();
  for (const name of readdirSync(FOLDER)) {
    const text = readFileSync(join(FOLDER, name), "utf8");
    switch (extname(name)) {
      case ".html":
        files.set("/", { type: "text/html; charset=utf-8", text: text.replace("<TOKEN>", token) });
        break;
      case ".css":
        files.set(`/${name}`, { type: "text/css; charset=utf-8", text });
        break;
      case ".ts":
        files.set(`/${name.replace(/\.ts$/, ".js")}`, {
          type: "text/javascript; charset=utf-8",
          text: toScript(text),
        });
        break;
    }
  }
  return files;
}

function toScript(text: string): string {
  return transformSync(text, { jsc: { target: "es2022", parser: { syntax: "typescript" } }, isModule: true })
    .code;
}
