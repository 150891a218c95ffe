import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";

const PROJECT = join(__dirname, "..");
const { app } = JSON.parse(readFileSync(join(PROJECT, "cdktf.json"), "utf8"));

/** Runs the application as `cdktf synth` does. */
function run(
  environment: Readonly<Record<string, string>>,
): Promise<{ status: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn("sh", ["-c", app], { cwd: PROJECT, env: { ...process.env, ...environment } });
    let output = "";
    const collect = (text: Buffer) => {
      output += text.toString();
    };
    child.stdout.on("data", collect);
    child.stderr.on("data", collect);
    child.on("error", reject);
    child.on("close", (status) => resolve({ status, output }));
  });
}

describe("the application", () => {
  const folders: string[] = [];
  const synth = async (environment: Readonly<Record<string, string>> = {}) => {
    const outdir = mkdtempSync(join(tmpdir(), "main-"));
    folders.push(outdir);
    const ending = await run({ CDKTF_OUTDIR: outdir, PIPELINE_CONFIG: "", ...environment });
    return { ...ending, outdir };
  };
  let first: { status: number | null; output: string; outdir: string };
  let second: { status: number | null; output: string; outdir: string };

  beforeAll(async () => {
    // Where and when it runs must not show.
    [first, second] = await Promise.all([
      synth({ TZ: "Asia/Tokyo", LANG: "ja_JP.UTF-8" }),
      synth({ TZ: "UTC", LANG: "C", USER: "somebody", HOME: "/nonexistent" }),
    ]);
  });
  afterAll(() => {
    for (const folder of folders) rmSync(folder, { recursive: true });
  });

  const files = (outdir: string) =>
    (readdirSync(outdir, { recursive: true }) as string[])
      .filter((name) => name.endsWith(".json"))
      .map((name) => join(outdir, name))
      .sort();
  const texts = (outdir: string) => files(outdir).map((file) => readFileSync(file, "utf8"));

  test("synthesises the shipped configuration", () => {
    expect(first).toMatchObject({ status: 0, output: "" });
    expect(files(first.outdir).map((file) => file.slice(first.outdir.length))).toEqual([
      "/manifest.json",
      "/stacks/backlog-docker-build-backlog-cicd/cdk.tf.json",
    ]);
  });

  test("gives the same bytes each time", () => {
    const digests = ({ outdir }: { outdir: string }) =>
      texts(outdir).map((text) => createHash("sha256").update(text).digest("hex"));
    expect(second.status).toBe(0);
    expect(digests(second)).toEqual(digests(first));
  });

  test("puts no path of this machine into them", () => {
    for (const text of texts(first.outdir)) {
      for (const path of [PROJECT, homedir(), tmpdir(), first.outdir, process.execPath]) {
        expect(text).not.toContain(`${path}/`);
      }
      expect(text).not.toMatch(/"(\/(home|root|Users|tmp|var)\/[^"]*)"/);
    }
  });

  test("lists the faults of a configuration and ends with an error", async () => {
    const { status, output } = await run({
      PIPELINE_CONFIG: "package.json",
      CDKTF_OUTDIR: join(tmpdir(), "never"),
    });
    expect(status).not.toBe(0);
    expect(output).toContain("ConfigError: package.json must `export default defineConfig({ ... })`");
    expect(output).not.toMatch(/^ +at /m);
  });
});

test("main.ts stays a composition root: no resource, no environment, no choice", () => {
  const source = readFileSync(join(PROJECT, "main.ts"), "utf8");
  expect(source.split("\n").length).toBeLessThanOrEqual(40);
  expect(source).not.toMatch(/process\.env|provider-aws|\bif\b/);
});
