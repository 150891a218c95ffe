import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * `npm run bench`: synthesis of the shipped configuration, started as cdktf.json does, beside an empty CDKTF
 * application run by tsx as it comes. In turn, so that a machine whose speed drifts treats both alike. Whole
 * processes: time by the clock, largest memory.
 */
const ROUNDS = 7;
const ROOT = join(__dirname, "..");
const APPS = {
  "this stack": ["--require", "./tsx.cjs", "main.ts"],
  "empty application": ["--import", "tsx", "bench/empty-app.ts"],
};

interface Sample {
  readonly seconds: number;
  readonly megabytes: number;
}

const median = (values: number[]) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

function synthesise(app: string[], out: string): Sample {
  const start = process.hrtime.bigint();
  const { status, stderr } = spawnSync(process.execPath, ["--require", "./bench/report-memory.cjs", ...app], {
    cwd: ROOT,
    encoding: "utf8",
    env: { ...process.env, CDKTF_OUTDIR: out },
  });
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  const kilobytes = /maxRSS=(\d+)/.exec(stderr)?.[1];
  if (status !== 0 || kilobytes === undefined) throw new Error(`${app.join(" ")} failed:\n${stderr}`);
  return { seconds, megabytes: Number(kilobytes) / 1024 };
}

const out = mkdtempSync(join(tmpdir(), "bench-"));
try {
  const samples = new Map(Object.keys(APPS).map((name) => [name, [] as Sample[]]));
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [name, app] of Object.entries(APPS)) {
      const sample = synthesise(app, join(out, name.replace(" ", "-")));
      // The first round fills the caches.
      if (round > 0) samples.get(name)!.push(sample);
    }
  }
  for (const [name, list] of samples) {
    const seconds = median(list.map((one) => one.seconds));
    const megabytes = Math.max(...list.map((one) => one.megabytes));
    console.log(
      `${name.padEnd(18)} ${seconds.toFixed(2)} s (median of ${ROUNDS})  ${megabytes.toFixed(0)} MB (largest)`,
    );
  }
  const [ours, empty] = [...samples.values()];
  const ratio = median(ours!.map((one, index) => one.seconds / empty![index]!.seconds));
  console.log(`ratio of the times  ${ratio.toFixed(2)} (median of the pairs)`);
} finally {
  rmSync(out, { recursive: true, force: true });
}
