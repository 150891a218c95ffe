import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(__dirname, "..", "..");
const readme = readFileSync(join(ROOT, "README.md"), "utf8");
const ci = readFileSync(join(ROOT, ".ci", "run"), "utf8");
const scripts = Object.keys(JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")).scripts);

/** Commands in code blocks, and in back quotes on the lines of text; with the line they stand on. */
function commands(): { command: string; line: string }[] {
  const blocks = [...readme.matchAll(/^```sh\n([\s\S]*?)^```/gm)].flatMap(([, text]) =>
    text!.trim().split("\n"),
  );
  const inBlocks = blocks.map((line) => ({ command: line.replace(/\s+#.*/, ""), line }));
  const inText = readme
    .replace(/^```sh\n[\s\S]*?^```/gm, "")
    .split("\n")
    .flatMap((line) =>
      [...line.matchAll(/`([^`]+)`/g)]
        .map(([, command]) => ({ command: command!, line }))
        .filter(({ command }) => /^(npm|npx|terraform|aws|ssh-keyscan|git|\S+=\S+ npx) /.test(command)),
    );
  return [...inBlocks, ...inText];
}

describe("README.md", () => {
  test("has commands at all", () => {
    expect(commands().length).toBeGreaterThan(10);
  });

  test.each(commands())("`$command` is run by CI, or says what it needs instead", ({ command, line }) => {
    const needed = /\*\((AWS account|your Backlog space)\)\*/.test(line);
    const ran =
      command === ".ci/run" || ci.includes(command.replace(/^npm run (\S+)/, "npm run --silent $1"));
    expect(needed || ran ? [] : [command]).toEqual([]);
  });

  test("names only scripts that exist", () => {
    const named = [...readme.matchAll(/npm run (?:--silent )?([a-z]+)/g)].map(([, name]) => name!);
    expect(named.filter((name) => !scripts.includes(name))).toEqual([]);
  });

  test("links only to what is there", () => {
    const links = [...readme.matchAll(/\]\(([^)#]+)\)/g)].map(([, path]) => path!);
    expect(links.filter((path) => !/^https?:/.test(path) && !existsSync(join(ROOT, path)))).toEqual([]);
  });
});
