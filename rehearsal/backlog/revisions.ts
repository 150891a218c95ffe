import { run } from "../machine/command";
import { gitEnvironment } from "./git-environment";
import type { RefUpdate, Revision } from "./webhook";

const NO_COMMIT = /^0+$/;

/** A push of a whole history is told about with its last commits only. */
const MOST_REVISIONS = 20;

/** Separate fields and records of git's output. */
const [FIELD, RECORD] = ["\x1f", "\x1e"];

/**
 * The commits that a push brought to a ref, oldest first: so the first one is not the new tip, and nobody can come to
 * rely on that (Backlog's order is not documented).
 */
export async function revisionsOf(gitFolder: string, update: RefUpdate): Promise<Revision[]> {
  if (NO_COMMIT.test(update.after)) {
    return [];
  }
  const range = NO_COMMIT.test(update.before)
    ? [update.after, "--not", `--exclude=${update.ref}`, "--glob=refs/*"]
    : [`${update.before}..${update.after}`];
  const format = ["%H", "%cI", "%an", "%ae", "%B"].join("%x1f");
  const result = await run(
    "git",
    [
      ...["-C", gitFolder, "log", `--max-count=${MOST_REVISIONS}`, `--format=%x1e${format}%x1f`],
      ...["--name-status", "--no-renames", "-m", "--first-parent", "-z", ...range],
    ],
    { env: gitEnvironment() },
  );
  if (result.status !== 0) {
    throw new Error(`git log of ${update.ref} failed: ${result.stderr.trim()}`);
  }
  return result.stdout
    .split(RECORD)
    .filter((record) => record !== "")
    .map(parseRevision)
    .reverse();
}

function parseRevision(record: string): Revision {
  const [id = "", timestamp = "", name = "", email = "", message = "", files = ""] = record.split(FIELD);
  // After the format come status and path of each file, each ended by a NUL.
  const fields = files
    .split("\0")
    .map((field) => field.replace(/^\n+/, ""))
    .filter(Boolean);
  const changed = (status: string) =>
    fields.filter((_, index) => index % 2 === 1 && fields[index - 1] === status);
  return {
    id,
    message: message.trimEnd(),
    timestamp: timestamp.replace(/Z$/, "+00:00"),
    author: { name, email },
    added: changed("A"),
    modified: [...changed("M"), ...changed("T")],
    removed: changed("D"),
  };
}
