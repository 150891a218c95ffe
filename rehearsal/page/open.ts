import { spawn } from "node:child_process";
import { RUN_MARK } from "../machine/workspace";

/** Opens an address in the user's browser, which is no part of the run and outlives it. */
export function openInBrowser(url: string, say: (line: string) => void): void {
  const { [RUN_MARK]: _, ...env } = process.env;
  const browser = spawn("xdg-open", [url], { env, detached: true, stdio: "ignore" });
  browser.on("error", (error) =>
    say(`the page could not be opened (${error.message}); its address is ${url}`),
  );
  browser.unref();
}
