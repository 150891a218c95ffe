import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RUN_MARK } from "../../../rehearsal/machine/workspace";
import { openInBrowser } from "../../../rehearsal/page/open";

const PAGE = "http://127.0.0.1:1234/";

describe("openInBrowser", () => {
  const { PATH = "" } = process.env;
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "open-"));
    process.env[RUN_MARK] = "a-run";
  });
  afterEach(() => {
    process.env.PATH = PATH;
    delete process.env[RUN_MARK];
    rmSync(folder, { recursive: true });
  });

  async function until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise((resolve) => setTimeout(resolve, 10));
  }

  test("hands the page to the desktop, as a process that is no part of the run", async () => {
    const seen = join(folder, "seen");
    const opener = join(folder, "xdg-open");
    writeFileSync(opener, `#!/bin/sh\necho "$1 [$${RUN_MARK}]" >${seen}.part && mv ${seen}.part ${seen}\n`);
    chmodSync(opener, 0o755);
    process.env.PATH = `${folder}:${PATH}`;
    openInBrowser(PAGE, () => {});
    await until(() => existsSync(seen));
    expect(readFileSync(seen, "utf8")).toBe(`${PAGE} []\n`);
  });

  test("tells the address where there is no desktop", async () => {
    const said: string[] = [];
    process.env.PATH = folder;
    openInBrowser(PAGE, (line) => said.push(line));
    await until(() => said.length > 0);
    expect(said).toEqual([expect.stringMatching(`could not be opened .*its address is ${PAGE}`)]);
  });
});
