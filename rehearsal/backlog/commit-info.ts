import { run } from "../machine/command";
import { gitEnvironment } from "./git-environment";

/** A commit as Backlog's list of commits shows it. */
export interface CommitInfo {
  readonly author: string;
  readonly message: string;
}

/** @returns `undefined` when the repository has no such commit */
export async function commitInfo(gitFolder: string, commit: string): Promise<CommitInfo | undefined> {
  if (!/^[0-9a-f]{40}$/.test(commit)) return undefined;
  const { status, stdout } = await run(
    "git",
    ["-C", gitFolder, "log", "--max-count=1", "--format=%an%x1f%B", commit, "--"],
    { env: gitEnvironment() },
  );
  if (status !== 0) return undefined;
  const [author = "", message = ""] = stdout.split("\x1f");
  return { author, message: message.trim() };
}
