import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { lastLines, runOrFail } from "./command";
import type { Engine } from "./container-engine";
import { canInstallPackages, installPackages } from "./debian";
import type { Workspace } from "./workspace";

/** Where the image that a build starts from came from. */
export type ImageOrigin = "present" | "cache" | "registry" | "busybox of Debian";

/**
 * Makes sure that the engine has an image: its own, the one kept from a former run, the registry's, or, where none can
 * be pulled, a busybox of this machine under the same name, which is enough for the starter application.
 * @throws Error when the image cannot be had in any of these ways
 */
export async function ensureImage(
  workspace: Workspace,
  engine: Engine,
  name: string,
  say: (line: string) => void,
): Promise<ImageOrigin> {
  if ((await engine.run(["image", "inspect", name])).status === 0) {
    return "present";
  }
  if (!engine.own) {
    workspace.leave({
      kind: "images",
      docker: engine.docker,
      host: engine.host,
      label: engine.label,
      prefix: name,
    });
  }
  const kept = join(
    workspace.cacheFolder,
    `image-${createHash("sha256").update(name).digest("hex").slice(0, 12)}.tar`,
  );
  if (existsSync(kept) && (await engine.run(["load", "--input", kept])).status === 0) {
    return "cache";
  }
  const pulled = await engine.run(["pull", "--quiet", name], { timeoutInSeconds: 60 });
  if (pulled.status === 0) {
    await keep(engine, name, kept);
    return "registry";
  }
  if (!canInstallPackages()) {
    throw new Error(
      `could not pull ${name}: ${lastLines(pulled, 1)}\nmake the registry reachable, or bring the image: docker load --input FILE`,
    );
  }
  say(`${name} cannot be pulled here (${lastLines(pulled, 1)})`);
  say("Making an image of that name from the package busybox-static instead");
  await importBusybox(workspace, engine, name);
  return "busybox of Debian";
}

/** Written beside its place first: half a file must not be taken for an image later. */
async function keep(engine: Engine, name: string, file: string): Promise<void> {
  const draft = `${file}.${process.pid}`;
  const saved = await engine.run(["save", "--output", draft, name]);
  if (saved.status === 0) {
    renameSync(draft, file);
  } else {
    rmSync(draft, { force: true });
  }
}

const USERS = ["root:x:0:0:root:/root:/bin/sh", "nobody:x:65534:65534:nobody:/tmp:/bin/false"];
const GROUPS = ["root:x:0:", "nobody:x:65534:"];

async function importBusybox(workspace: Workspace, engine: Engine, name: string): Promise<void> {
  await installPackages(workspace, ["busybox-static"]);
  const busybox = "/bin/busybox";
  const tree = workspace.runSubfolder("busybox-image");
  for (const folder of ["bin", "etc", "root", "tmp", "usr/bin", "usr/sbin", "var/www"]) {
    mkdirSync(join(tree, folder), { recursive: true });
  }
  await copyFile(busybox, join(tree, "bin/busybox"));
  const applets = await runOrFail("listing what busybox can do", busybox, ["--list"]);
  for (const applet of applets.stdout.split("\n").filter((line) => line && line !== "busybox")) {
    symlinkSync("busybox", join(tree, "bin", applet));
  }
  writeFileSync(join(tree, "etc/passwd"), `${USERS.join("\n")}\n`);
  writeFileSync(join(tree, "etc/group"), `${GROUPS.join("\n")}\n`);
  await runOrFail("packing the image", "chmod", ["--recursive", "u=rwX,go=rX", tree]);
  chmodSync(join(tree, "tmp"), 0o1777);
  const archive = `${tree}.tar`;
  await runOrFail("packing the image", "tar", [
    ...["--create", "--file", archive, "--directory", tree],
    ...["--owner=0", "--group=0", "--sort=name", "--mtime=@0", "."],
  ]);
  const result = await engine.run([
    ...[
      "import",
      "--change",
      'CMD ["sh"]',
      "--change",
      "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ],
    ...[archive, name],
  ]);
  if (result.status !== 0) {
    throw new Error(`could not make the image ${name}: ${lastLines(result)}`);
  }
}
