import { spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

const ASSETS = join(__dirname, "..", "..", "..", "assets");
const STAND_INS = join(__dirname, "stand-ins");

/** Folder of the starter application. */
export const APPLICATION = join(ASSETS, "application");

/** A line that no output may contain; stands for the key where no server asks for one. */
export const SECRET = "c2VjcmV0LWtleS1tYXRlcmlhbA";

/** How a script ended, and all that it said. */
export interface Ending {
  readonly status: number | null;
  readonly output: string;
}

/** A machine as CodeBuild gives one: an empty folder, the build's environment, and stand-ins for aws and docker. */
export class BuildMachine {
  public readonly home = mkdtempSync(join(tmpdir(), "image-build-test-"));
  public readonly workDir = join(this.home, "work");
  public key = `-----BEGIN OPENSSH PRIVATE KEY-----\n${SECRET}\n-----END OPENSSH PRIVATE KEY-----\n`;
  public environment: Record<string, string> = {
    PATH: `${STAND_INS}:${process.env.PATH}`,
    GIT_REF: "refs/heads/main",
    GIT_HOST_KEY_CHECK: "pinned",
    LIVE_REF: "refs/heads/main",
    BUILD_REFS: "refs/heads/main\nrefs/heads/feature/*",
    ECR_REPOSITORY_URI: "127.0.0.1:5000/team/web",
    BUILD_CACHE: "inline",
    DOCKERFILE: "docker/Dockerfile",
    DOCKER_CONTEXT: "docker",
    DOCKER_PLATFORM: "linux/amd64",
    DEPLOY_FILES: "codesries_asset",
    ARTIFACT_BUCKET: "bucket",
    ARTIFACT_KEY: "artifact.zip",
    TASK_FAMILY: "web",
    TASK_EXECUTION_ROLE_ARN: "arn:aws:iam::123456789012:role/execution",
    TASK_ROLE_ARN: "arn:aws:iam::123456789012:role/task",
    CONTAINER_NAME: "web",
    CONTAINER_PORT: "8080",
    CPU: "256",
    MEMORY: "512",
    CPU_ARCHITECTURE: "X86_64",
    LOG_GROUP_NAME: "/ecs/web",
    LOG_STREAM_PREFIX: "web",
    AWS_DEFAULT_REGION: "ap-northeast-1",
  };
  private readonly state = join(this.home, "stand-ins");

  constructor() {
    for (const folder of [
      this.workDir,
      ...["tags", "images", "local", "fail", "before"].map((name) => this.at(name)),
    ]) {
      mkdirSync(folder, { recursive: true });
    }
  }

  /** Path in the state of the stand-ins. */
  at(name: string): string {
    return join(this.state, name);
  }

  /** What a stand-in has noted; empty when there is nothing. */
  noted(name: string): string {
    return existsSync(this.at(name)) ? readFileSync(this.at(name), "utf8") : "";
  }

  /** Writes into the state of the stand-ins. */
  arrange(name: string, text: string): void {
    writeFileSync(this.at(name), text);
  }

  /** An image that stands in the registry already. */
  arrangeImage(tag: string, revision: string): string {
    const digest = `sha256:${"ab".repeat(32)}`;
    this.arrange(`tags/${tag}`, `${digest}\n`);
    this.arrange(`images/${digest}`, `${revision}\n`);
    return digest;
  }

  /** An artifact that another build has published. */
  arrangeArtifact(metadata: Readonly<Record<string, string>>): void {
    this.arrange("artifact", "a zip");
    this.arrange("artifact.etag", '"0123456789abcdef0123456789abcdef"\n');
    this.arrange("artifact.metadata", JSON.stringify(metadata));
  }

  /** Writes files below the work folder, as an earlier step leaves them. */
  leave(files: Readonly<Record<string, string>>): void {
    for (const [name, text] of Object.entries(files)) {
      const path = join(this.workDir, name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text);
    }
  }

  /** A file below the work folder. */
  read(name: string): string {
    return readFileSync(join(this.workDir, name), "utf8");
  }

  /** Whether a step has left something. */
  has(name: string): boolean {
    return existsSync(join(this.workDir, name));
  }

  /** Names in the folder of the checked-out files. */
  checkedOut(): string[] {
    return readdirSync(join(this.workDir, "source")).sort();
  }

  /** Runs one script of `assets/image-build` by itself; the key waits on its standard input. */
  run(script: string): Promise<Ending> {
    return this.bash([join(ASSETS, "image-build", script)], { WORK_DIR: this.workDir });
  }

  /** Runs scripts one after the other, as far as they end well. */
  async runAll(...scripts: string[]): Promise<Ending> {
    let ending: Ending = { status: 0, output: "" };
    for (const script of scripts) {
      const next = await this.run(script);
      ending = { status: next.status, output: ending.output + next.output };
      if (next.status !== 0) {
        break;
      }
    }
    return ending;
  }

  /** Runs bash in an environment like CodeBuild's. */
  bash(commandLine: readonly string[], extra: Readonly<Record<string, string>> = {}): Promise<Ending> {
    return new Promise((resolve, reject) => {
      const child = spawn("bash", commandLine, {
        cwd: this.home,
        env: {
          HOME: this.home,
          TMPDIR: this.home,
          STAND_INS: this.state,
          ...this.environment,
          ...extra,
        },
      });
      let output = "";
      const collect = (text: Buffer) => {
        output += text.toString();
      };
      child.stdout.on("data", collect);
      child.stderr.on("data", collect);
      child.on("error", reject);
      child.on("close", (status) => resolve({ status, output }));
      // A script that ends early leaves its input unread.
      child.stdin.on("error", () => undefined);
      child.stdin.end(this.key);
    });
  }

  remove(): void {
    rmSync(this.home, { recursive: true, force: true });
  }
}
