import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findExecutables } from "../machine/command";

export interface SshRedirect {
  /** Name that programs connect to, e.g. `example.git.backlog.jp`. */
  readonly host: string;
  /** Port of the server on this machine that stands for it. */
  readonly port: number;
}

/**
 * Writes an `ssh` into a folder which, put first on a PATH, reaches a server of this machine under its real name, so
 * that scripts need no change. Only the way there is set: which host key is right stays the caller's business, and it
 * is looked up under the real name.
 * @returns the folder
 * @throws Error when there is no ssh on the PATH
 */
export async function writeSshWrapper(folder: string, redirect: SshRedirect): Promise<string> {
  const [ssh] = (await findExecutables("ssh")).filter((path) => !path.startsWith(`${folder}/`));
  if (!ssh) {
    throw new Error("found no ssh on the PATH; on Debian or Ubuntu: apt-get install openssh-client");
  }
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const wrapper = join(folder, "ssh");
  const way = [`HostName=127.0.0.1`, `Port=${redirect.port}`, `HostKeyAlias=${redirect.host}`];
  writeFileSync(
    wrapper,
    [
      "#!/bin/sh",
      'case " $* " in',
      // Options before the caller's win over any configuration file; the alias is what known_hosts is searched for.
      `  *[\\ @]${redirect.host}\\ *) set -- ${way.map((option) => `-o ${quote(option)}`).join(" ")} "$@" ;;`,
      "esac",
      // Neither the user's nor the machine's settings take part; a caller's own -F comes later and wins.
      `exec ${quote(ssh)} -F /dev/null "$@"`,
      "",
    ].join("\n"),
  );
  chmodSync(wrapper, 0o755);
  return folder;
}

/** A value for `GIT_SSH_COMMAND` with one key and one known host, for whoever pushes. */
export function gitSshCommand(wrapperFolder: string, keyFile: string, knownHostsFile: string): string {
  return [
    join(wrapperFolder, "ssh"),
    ...["-i", keyFile, "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "BatchMode=yes"],
    ...["-o", `UserKnownHostsFile=${knownHostsFile}`, "-o", "StrictHostKeyChecking=yes"],
  ]
    .map(quote)
    .join(" ");
}

function quote(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
