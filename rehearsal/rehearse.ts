import { join } from "node:path";
import { parseArgs } from "node:util";
import { loadConfig } from "../config/load-config";
import { faultsOf, selectFaults } from "./faults/catalogue";
import { withSideBranches } from "./faults/side-branches";
import { compare, snapshot } from "./machine/leftovers";
import { Workspace } from "./machine/workspace";
import { Progress } from "./progress";
import { rehearse } from "./rehearsal";

const ROOT = join(__dirname, "..");

const USAGE = `npm run rehearse -- [options]

Deploys the stack of the configuration (PIPELINE_CONFIG, or pipeline.config.ts) against an AWS on this machine, pushes
two versions of the starter application over SSH, watches them go live, and takes everything down again.

  --keep            leave it running after the two pushes, for pushes of your own; Ctrl-C ends it
  --faults [3 4b]   instead of the two pushes, break things and check what comes of it: every fault, or only these
                    families and faults
  --protections     instead of the two pushes, take one protection after another out of what is deployed, and see that
                    the fault it stands against does harm then
  --open            open the page that shows what happens in your browser
  --time-scale N    divide the waits of AWS by N (default 30)
  --help            this text`;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      faults: { type: "boolean", default: false },
      keep: { type: "boolean", default: false },
      protections: { type: "boolean", default: false },
      open: { type: "boolean", default: false },
      "time-scale": { type: "string", default: "30" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const timeScale = Number(values["time-scale"]);
  if (!(timeScale >= 1 && timeScale <= 600)) {
    throw new Error(`--time-scale must be a number from 1 to 600, got: ${values["time-scale"]}`);
  }
  if (positionals.length > 0 && !values.faults) {
    throw new Error(`only --faults takes names, got: ${positionals.join(" ")}`);
  }
  if (values.faults && values.protections) throw new Error("--faults and --protections exclude each other");
  const loaded = loadConfig();
  if (values.protections && loaded.webhook.delivery !== "bus") {
    throw new Error('--protections needs webhook.delivery "bus": most of them are part of it');
  }
  const config = values.faults || values.protections ? withSideBranches(loaded) : loaded;
  const chosen = values.faults ? faultsOf(config.webhook.delivery, selectFaults(positionals)) : undefined;
  const progress = new Progress();
  const before = await snapshot({ root: ROOT });
  const workspace = await Workspace.open(ROOT, { say: progress.say });
  const faults: string[] = [];
  try {
    faults.push(
      ...(await rehearse(workspace, progress, {
        config,
        timeScale,
        keep: values.keep,
        open: values.open,
        ...(chosen ? { faults: chosen } : {}),
        protections: values.protections,
      })),
    );
  } catch (error) {
    faults.push(error instanceof Error ? error.message : String(error));
  }
  faults.push(...(await workspace.close()));
  const after = await snapshot({ root: ROOT, run: workspace.id });
  const { left, elsewhere } = compare(before, after, { root: ROOT, run: workspace.id });
  faults.push(...left.map((thing) => `left behind: ${thing}`));
  for (const thing of elsewhere) progress.say(`changed meanwhile, by somebody else: ${thing}`);

  for (const fault of faults) progress.say(`FAULT: ${fault}`);
  progress.say(
    faults.length === 0 ? "The rehearsal went well." : `The rehearsal failed; logs: ${workspace.logFolder}`,
  );
  return faults.length === 0 ? 0 : 1;
}

main().then(
  (status) => process.exit(status),
  (error: Error) => {
    console.error(error.message);
    process.exit(2);
  },
);
