import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** What git shows, before a branch and after it, where there is none. */
export const ZEROS = "0".repeat(40);

/** The files of a small application that can be deployed. */
export const FILES: Readonly<Record<string, string>> = {
  "docker/Dockerfile": "FROM scratch\n",
  "codesries_asset/taskdef.json":
    '{ "family": "<TASK_FAMILY>", "image": "<IMAGE1_NAME>", "port": <CONTAINER_PORT> }\n',
  "codesries_asset/appspec.yaml": "version: 0.0\nContainerPort: <CONTAINER_PORT>\n",
};

/** A bare repository as it stands on the server, and somebody's clone of it. */
export class GitRepository {
  public readonly path: string;
  private readonly clone: string;

  constructor(folder: string) {
    this.path = join(folder, "served.git");
    this.clone = join(folder, "clone");
    this.git("init", "--quiet", "--bare", "--initial-branch=main", this.path);
    this.git("init", "--quiet", "--initial-branch=main", this.clone);
  }

  get url(): string {
    return `file://${this.path}`;
  }

  /** Replaces all files, commits, and says the commit's id. Nothing is pushed. */
  commit(message: string, files: Readonly<Record<string, string>> = FILES): string {
    for (const [name, text] of Object.entries({ ...files, "message.txt": message })) {
      mkdirSync(dirname(join(this.clone, name)), { recursive: true });
      writeFileSync(join(this.clone, name), text);
    }
    this.inClone("add", "--all");
    this.inClone("commit", "--quiet", "--message", message);
    const id = this.inClone("rev-parse", "HEAD");
    for (const name of Object.keys(files)) {
      rmSync(join(this.clone, name));
    }
    return id;
  }

  /** Makes a ref of the server show a commit, by force if need be. */
  push(commit: string, ref = "refs/heads/main"): void {
    this.inClone("push", "--quiet", "--force", this.path, `${commit}:${ref}`);
  }

  /** The same as a command for bash, to happen at some later moment. */
  pushCommand(commit: string, ref = "refs/heads/main"): string {
    return `git -C '${this.clone}' push --quiet --force '${this.path}' '${commit}:${ref}'\n`;
  }

  /** Goes back to an earlier commit, so that the next one replaces what came after it. */
  reset(commit: string): void {
    this.inClone("reset", "--quiet", "--hard", commit);
  }

  /** Forgets what no ref shows any more. */
  prune(): void {
    this.git("-C", this.path, "prune", "--expire=now");
  }

  private inClone(...commandLine: string[]): string {
    return this.git("-C", this.clone, ...commandLine);
  }

  private git(...commandLine: string[]): string {
    const identity = { NAME: "somebody", EMAIL: "somebody@example.com" };
    return execFileSync("git", commandLine, {
      encoding: "utf8",
      env: {
        PATH: process.env.PATH,
        GIT_CONFIG_GLOBAL: "/dev/null",
        GIT_CONFIG_NOSYSTEM: "1",
        ...Object.fromEntries(
          ["AUTHOR", "COMMITTER"].flatMap((role) =>
            Object.entries(identity).map(([name, value]) => [`GIT_${role}_${name}`, value]),
          ),
        ),
      },
    }).trim();
  }
}
