import { cpSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Config } from "../config/schema";
import { runOrFail } from "./machine/command";

const STARTER = join(__dirname, "..", "assets", "application");

export interface ApplicationDeps {
  /** Where the working copy is made; must not exist. */
  readonly folder: string;
  readonly remote: string;
  /** Environment in which git reaches the rehearsed Backlog. */
  readonly env: NodeJS.ProcessEnv;
  readonly config: Config;
}

/** A developer's working copy of the application, made of the starter files that the README tells people to copy. */
export class Application {
  private constructor(private readonly deps: ApplicationDeps) {}

  static async start(deps: ApplicationDeps): Promise<Application> {
    const application = new Application(deps);
    const { folder, config } = deps;
    const { build, branch } = config.backlogDockerBuild;
    mkdirSync(folder);
    await application.git("init", "--quiet", "--initial-branch", branch);
    await application.git("remote", "add", "origin", deps.remote);
    cpSync(join(STARTER, "docker"), join(folder, build.context), { recursive: true });
    const dockerfile = join(folder, build.dockerfile);
    if (dockerfile !== join(folder, build.context, "Dockerfile")) {
      mkdirSync(dirname(dockerfile), { recursive: true });
      renameSync(join(folder, build.context, "Dockerfile"), dockerfile);
    }
    cpSync(join(STARTER, "codesries_asset"), join(folder, build.deployFiles), { recursive: true });
    return application;
  }

  /**
   * Changes the page's version, commits and pushes.
   * @returns the commit's 40 hex digits
   */
  async release(version: string): Promise<string> {
    const { folder, config } = this.deps;
    const page = join(folder, config.backlogDockerBuild.build.context, "www", "index.html");
    const text = readFileSync(page, "utf8");
    const changed = text.replace(/<p>version [^<]*<\/p>/, `<p>version ${version}</p>`);
    if (!changed.includes(`version ${version}<`)) throw new Error(`${page} has no line with its version`);
    writeFileSync(page, changed);
    await this.git("add", "--all");
    await this.git("commit", "--quiet", "--allow-empty", "--message", `Version ${version}`);
    await this.git("push", "--quiet", "origin", `HEAD:refs/heads/${config.backlogDockerBuild.branch}`);
    return (await this.git("rev-parse", "HEAD")).trim();
  }

  /**
   * Writes files (paths relative to the repository's root), and commits; nothing is pushed.
   * @returns the commit's 40 hex digits
   */
  async commit(message: string, files: Readonly<Record<string, string>>): Promise<string> {
    for (const [path, text] of Object.entries(files)) writeFileSync(join(this.deps.folder, path), text);
    await this.git("add", "--all");
    await this.git("commit", "--quiet", "--allow-empty", "--message", message);
    return this.head();
  }

  /** Pushes a commit to a branch, over whatever is there. */
  async push(commit: string, branch: string): Promise<void> {
    await this.git("push", "--quiet", "--force", "origin", `${commit}:refs/heads/${branch}`);
  }

  /** The commit that the working copy is at. */
  async head(): Promise<string> {
    return (await this.git("rev-parse", "HEAD")).trim();
  }

  /** Goes back to a commit, in the working copy alone. */
  async reset(commit: string): Promise<void> {
    await this.git("reset", "--quiet", "--hard", commit);
  }

  private async git(...args: string[]): Promise<string> {
    const { stdout } = await runOrFail(`git ${args[0]}`, "git", args, {
      cwd: this.deps.folder,
      env: {
        ...this.deps.env,
        // The rehearsal's author, whoever's machine it is.
        GIT_CONFIG_GLOBAL: "/dev/null",
        GIT_CONFIG_SYSTEM: "/dev/null",
        GIT_AUTHOR_NAME: "Rehearsal",
        GIT_AUTHOR_EMAIL: "rehearsal@example.com",
        GIT_COMMITTER_NAME: "Rehearsal",
        GIT_COMMITTER_EMAIL: "rehearsal@example.com",
      },
      timeoutInSeconds: 120,
    });
    return stdout;
  }
}
