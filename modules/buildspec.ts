import { readFileSync } from "node:fs";
import { join } from "node:path";

const SCRIPTS = join(__dirname, "..", "assets", "image-build");

/** A script without what only its readers need: whole-line comments and blank lines. */
function condense(script: string): string {
  return script
    .split("\n")
    .filter((line) => !/^\s*(#(?!!).*)?$/.test(line))
    .join("\n");
}

/** The command that writes a script into the folder which the steps share. */
function write(name: string): string {
  const delimiter = `END_OF_${name.toUpperCase().replace(/[^A-Z]/g, "_")}`;
  return `cat >"$WORK_DIR/${name}" <<'${delimiter}'\n${condense(readFileSync(join(SCRIPTS, name), "utf8"))}\n${delimiter}`;
}

// Not `unset` or `export -n` once and for all: whether CodeBuild carries that, or a variable that is not exported,
// from one command to the next is documented nowhere.
const RUN = "env -u GIT_SSH_KEY bash";

/** A step that runs without the key. */
function step(name: string): string[] {
  return [write(name), `${RUN} "$WORK_DIR/${name}"`];
}

/** A step that speaks to the git server, and so gets the key: on standard input, where no child finds it. */
function stepWithKey(name: string): string[] {
  return [write(name), `printf '%s\\n' "$GIT_SSH_KEY" | ${RUN} "$WORK_DIR/${name}"`];
}

/**
 * One phase. Each command is a literal block, so that nothing in it has to be escaped; the smallest indentation
 * that YAML allows, since every character counts.
 */
function phase(name: string, commands: readonly string[]): string {
  const items = commands.map((command) => `  - |\n${command.replace(/^/gm, "   ")}\n`);
  return ` ${name}:\n  commands:\n${items.join("")}`;
}

/**
 * The buildspec of the image build: the scripts of `assets/image-build`, written out and run in order.
 *
 * Each script is a process of its own and starts without the key in its environment. No shell option of theirs
 * reaches the shell of CodeBuild, and each finds out by itself how the earlier ones ended: post_build runs although
 * build failed.
 *
 * Plain text: whoever puts it into a Terraform string escapes `${`.
 */
export function renderBuildspec(): string {
  return [
    "version: 0.2\nenv:\n shell: bash\nphases:\n",
    phase("pre_build", [
      "WORK_DIR=$(mktemp -d) && export WORK_DIR",
      write("common.sh"),
      write("remote.sh"),
      write("remote-git.sh"),
      ...step("check-push.sh"),
      ...stepWithKey("fetch-commit.sh"),
    ]),
    phase("build", [...step("build-image.sh"), ...step("render-deployment.sh")]),
    phase("post_build", stepWithKey("publish-artifact.sh")),
  ].join("");
}
