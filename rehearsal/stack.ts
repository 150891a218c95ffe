import { spawn } from "node:child_process";
import { createWriteStream, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { LocalAws } from "./aws/local-aws";
import { run, runOrFail } from "./machine/command";
import type { Terraform } from "./machine/terraform";
import type { Workspace } from "./machine/workspace";

const PROJECT = join(__dirname, "..");

/** Resources between two lines of progress. */
const EVERY = 25;

/** Every service of the stack, by the names that the AWS provider's `endpoints` block has. */
const SERVICES = [
  "apigateway",
  "cloudwatch",
  "codebuild",
  "codedeploy",
  "codepipeline",
  "ec2",
  "ecr",
  "ecs",
  "elbv2",
  "events",
  "iam",
  "logs",
  "s3",
  "secretsmanager",
  "sfn",
  "sns",
  "sqs",
  "sts",
];

/** Resources as they are synthesised: by type, then by name, each with the arguments of its type. */
// biome-ignore lint/suspicious/noExplicitAny: what Terraform's providers define
export type Resources = Record<string, Record<string, any>>;

interface Synthesised {
  readonly terraform: { readonly required_providers: { readonly aws: { readonly source: string } } };
  readonly resource: Resources;
}

export interface StackDeps {
  readonly workspace: Workspace;
  readonly aws: LocalAws;
  readonly terraform: Terraform;
  /** Environment for Terraform: its CLI configuration among it. */
  readonly env: NodeJS.ProcessEnv;
  /** Takes a line of progress. */
  readonly progress: (line: string) => void;
}

/** The stack as shipped, synthesised once, deployed and destroyed by the user's own tool against the local AWS. */
export class RehearsedStack {
  /** Folder with the synthesised JSON, where Terraform runs. */
  public readonly folder: string;
  private readonly file: string;
  /** What was synthesised. */
  private readonly shipped: string;

  private constructor(
    private readonly deps: StackDeps,
    /** Folder in which `cdktf` runs. */
    private readonly home: string,
    public readonly name: string,
  ) {
    this.folder = join(home, "cdktf.out", "stacks", name);
    this.file = join(this.folder, "cdk.tf.json");
    this.shipped = readFileSync(this.file, "utf8");
  }

  /** Synthesises with `main.ts`, as `cdktf synth` does, and lays the override file beside the result. */
  static async synthesise(deps: StackDeps, configFile: string): Promise<RehearsedStack> {
    const home = deps.workspace.runSubfolder("deploy");
    const out = join(home, "cdktf.out");
    await runOrFail(
      "synthesis",
      process.execPath,
      ["--require", join(PROJECT, "tsx.cjs"), join(PROJECT, "main.ts")],
      {
        cwd: PROJECT,
        env: { ...process.env, PIPELINE_CONFIG: configFile, CDKTF_OUTDIR: out },
      },
    );
    const [name, ...others] = readdirSync(join(out, "stacks"));
    if (name === undefined || others.length > 0) {
      throw new Error(`synthesis was expected to make one stack, got: ${[name, ...others].join(", ")}`);
    }
    writeFileSync(
      join(home, "cdktf.json"),
      JSON.stringify({ language: "typescript", app: "true", output: "cdktf.out", projectId: "rehearsal" }),
    );
    // For the state, which a configuration keeps beside the project.
    mkdirSync(join(home, "state"), { recursive: true });
    const stack = new RehearsedStack(deps, home, name);
    stack.writeOverride();
    return stack;
  }

  /** Number of resources that Terraform will make. */
  get resourceCount(): number {
    const { resource } = JSON.parse(this.shipped) as Synthesised;
    return Object.values(resource).reduce((sum, ofType) => sum + Object.keys(ofType).length, 0);
  }

  async deploy(): Promise<void> {
    const total = this.resourceCount;
    let made = 0;
    await this.cdktf("deploy", (line) => {
      if (/: Creation complete after/.test(line)) {
        made += 1;
        if (made % EVERY === 0) this.deps.progress(`${made} of ${total} resources`);
      }
    });
  }

  async destroy(): Promise<void> {
    const total = this.resourceCount;
    let gone = 0;
    await this.cdktf("destroy", (line) => {
      if (/: Destruction complete after/.test(line)) {
        gone += 1;
        if (gone % EVERY === 0) this.deps.progress(`${gone} of ${total} resources`);
      }
    });
  }

  /** @returns the plan's text when it has any change, `undefined` when it is empty */
  async plan(): Promise<string | undefined> {
    const { terraform } = this.deps;
    const result = await run(
      terraform.binary,
      ["plan", "-detailed-exitcode", "-input=false", "-no-color", "-lock=false"],
      { cwd: this.folder, env: this.environment() },
    );
    if (result.status === 0) return undefined;
    return `${result.stdout}\n${result.stderr}`.trim();
  }

  /**
   * Applies what is shipped with a change in its resources; without one, what is shipped again. Terraform does not look
   * at what else there is: the change is all that can differ.
   */
  async apply(change: (resources: Resources) => void = () => {}): Promise<void> {
    const changed = JSON.parse(this.shipped) as Synthesised;
    change(changed.resource);
    writeFileSync(this.file, JSON.stringify(changed));
    await runOrFail(
      "terraform apply",
      this.deps.terraform.binary,
      ["apply", "-auto-approve", "-refresh=false", "-input=false", "-no-color", "-lock=false"],
      { cwd: this.folder, env: this.environment() },
    );
  }

  /** Values of the stack's outputs, the sensitive one too. */
  async outputs(): Promise<Record<string, string>> {
    const { stdout } = await runOrFail("terraform output", this.deps.terraform.binary, ["output", "-json"], {
      cwd: this.folder,
      env: this.environment(),
    });
    const outputs = JSON.parse(stdout) as Record<string, { value: string }>;
    return Object.fromEntries(Object.entries(outputs).map(([name, { value }]) => [name, value]));
  }

  private environment(): NodeJS.ProcessEnv {
    return {
      ...this.deps.env,
      TERRAFORM_BINARY_NAME: this.deps.terraform.binary,
      CHECKPOINT_DISABLE: "1",
      CI: "1",
      DISABLE_VERSION_CHECK: "1",
    };
  }

  /** Terraform merges it into what is shipped, which itself stays untouched. */
  private writeOverride(): void {
    const { aws, terraform } = this.deps;
    const synthesised = JSON.parse(this.shipped) as Synthesised;
    const override = {
      ...(terraform.awsProviderVersion
        ? {
            terraform: {
              required_providers: {
                aws: {
                  source: synthesised.terraform.required_providers.aws.source,
                  version: terraform.awsProviderVersion,
                },
              },
            },
          }
        : {}),
      provider: {
        aws: [
          {
            region: aws.region,
            access_key: aws.administrator.accessKeyId,
            secret_key: aws.administrator.secretAccessKey,
            skip_credentials_validation: true,
            skip_metadata_api_check: "true",
            // A call that the local AWS cannot play shall fail at once, not after minutes.
            max_retries: 2,
            s3_use_path_style: true,
            endpoints: [Object.fromEntries(SERVICES.map((service) => [service, aws.endpoint]))],
          },
        ],
      },
    };
    writeFileSync(join(this.folder, "rehearsal_override.tf.json"), JSON.stringify(override, undefined, 2));
  }

  /** Runs the user's own tool; its output goes to a log. */
  private cdktf(verb: "deploy" | "destroy", onLine: (line: string) => void): Promise<void> {
    const file = this.deps.workspace.log(`cdktf-${verb}`);
    const log = createWriteStream(file);
    const child = spawn(
      process.execPath,
      [
        join(PROJECT, "node_modules", "cdktf-cli", "bundle", "bin", "cdktf"),
        verb,
        this.name,
        "--skip-synth",
        "--skip-provider-lock",
        "--auto-approve",
      ],
      { cwd: this.home, env: this.environment(), stdio: ["ignore", "pipe", "pipe"] },
    );
    for (const stream of [child.stdout, child.stderr]) {
      stream.pipe(log, { end: false });
      createInterface({ input: stream }).on("line", onLine);
    }
    return new Promise((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (status, signal) => {
        log.end(() => {
          if (status === 0) return resolve();
          const lines = readFileSync(file, "utf8").trim().split("\n").slice(-25).join("\n");
          reject(new Error(`cdktf ${verb} failed (${signal ?? `status ${status}`}; log: ${file})\n${lines}`));
        });
      });
    });
  }
}
