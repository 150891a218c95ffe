import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decodeJsonencode } from "./jsonencode";
import type { Synthesised } from "./stack";

/** What the placeholder task serves. */
export interface Served {
  /** Arguments of httpd, with the folder left out. */
  readonly options: readonly string[];
  /** The page at a path as httpd would find it; `undefined`: 404. */
  page(path: string): string | undefined;
}

/** Runs the placeholder's command exactly as the task definition has it, with a stand-in for httpd. */
export function servePlaceholder<T>(stack: Synthesised, look: (served: Served) => T): T {
  const [container] = decodeJsonencode(stack.one("aws_ecs_task_definition").container_definitions);
  const home = mkdtempSync(join(tmpdir(), "placeholder-"));
  try {
    const httpd = join(home, "httpd");
    writeFileSync(httpd, `#!/bin/sh\nprintf '%s\\n' "$@" >'${home}/arguments'\n`);
    chmodSync(httpd, 0o755);
    const [command, ...options] = container.command;
    const variables = container.environment.map(({ name, value }: { name: string; value: string }) => [
      name,
      value,
    ]);
    execFileSync(command, options, {
      cwd: home,
      env: { PATH: `${home}:${process.env.PATH}`, ...Object.fromEntries(variables) },
    });
    const given = readFileSync(join(home, "arguments"), "utf8").trimEnd().split("\n");
    const site = given[given.indexOf("-h") + 1]!;
    return look({
      options: given.filter((argument) => argument !== site),
      page: (path) => {
        const file = join(site, path.endsWith("/") ? `${path}index.html` : path);
        return existsSync(file) && statSync(file).isFile() ? readFileSync(file, "utf8") : undefined;
      },
    });
  } finally {
    rmSync(home, { recursive: true });
  }
}
