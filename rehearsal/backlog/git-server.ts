import { type ChildProcess, spawn } from "node:child_process";
import { timingSafeEqual } from "node:crypto";
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import {
  type AuthContext,
  type Connection,
  type ParsedKey,
  Server,
  type ServerChannel,
  type Session,
  utils,
} from "ssh2";
import { runOrFail } from "../machine/command";
import { gitEnvironment } from "./git-environment";
import type { RefUpdate } from "./webhook";

export interface GitServerOptions {
  /** Folder for repositories; made. */
  readonly folder: string;
  /** The SSH user: in Backlog the space's id, whoever connects. */
  readonly user: string;
  /** Private host key in OpenSSH form. */
  readonly hostKey: string;
  /** Called after each push with what it changed. */
  readonly onPush: (repository: string, updates: readonly RefUpdate[]) => void;
}

/** What somebody who fetches meets; who pushes does not. */
export interface FetchTrouble {
  /** Serves this copy instead: a replica that lags behind. */
  readonly folder?: string;
  /** Lets the client wait, in milliseconds of this machine. */
  readonly delayMs?: number;
  /** Breaks the connection off once it has sent so many bytes. */
  readonly cutAfterBytes?: number;
}

export interface GitServer {
  readonly port: number;
  /** Makes an empty repository. @returns its folder @param path as in the remote: `/PROJ/repo.git` */
  addRepository(path: string): Promise<string>;
  /** Lets a key in. @throws Error when it is no public key in OpenSSH form */
  registerKey(publicKey: string): void;
  /** Shuts a key out again. */
  removeKey(publicKey: string): void;
  /** Sets what fetches meet from now on; `undefined`: nothing. */
  troubleFetches(trouble: FetchTrouble | undefined): void;
  /** Refuses connections until `listen`. */
  goDown(): Promise<void>;
  /** Answers again at the same port, under this host key. */
  listen(hostKey: string): Promise<void>;
  close(): Promise<void>;
}

/** The programs that a git client asks for. */
const SERVICES = ["git-upload-pack", "git-receive-pack"];

/**
 * Backlog Git over SSH: one user for the whole space, whose public keys say who it is; git's two services on the
 * repositories that exist, nothing else (no shell, no forwarding).
 */
export async function startGitServer(options: GitServerOptions): Promise<GitServer> {
  const repositories = new Map<string, string>();
  const keys: ParsedKey[] = [];
  const running = new Set<ChildProcess>();
  const clients = new Set<Connection>();
  const hooks = join(options.folder, "hooks");
  mkdirSync(hooks, { recursive: true, mode: 0o700 });
  // Says what a push changed; git gives it a line for each ref.
  const hook = join(hooks, "post-receive");
  writeFileSync(hook, '#!/bin/sh\ncat >"$REHEARSAL_PUSH"\n');
  chmodSync(hook, 0o755);
  let pushes = 0;
  let trouble: FetchTrouble | undefined;

  const serve = (
    client: Connection,
    channel: ServerChannel,
    command: string,
    protocol: string | undefined,
  ) => {
    const [, service = "", path = ""] =
      /^(git[ -](?:upload|receive)-pack) '?(\/[^']*?)'?$/.exec(command) ?? [];
    const name = service.replace(" ", "-");
    const folder = repositories.get(path.replace(/(\.git)?\/?$/, ".git"));
    if (!SERVICES.includes(name) || folder === undefined) {
      channel.stderr.write(
        path ? `fatal: '${path}' does not appear to be a git repository\n` : "no shell here\n",
      );
      channel.exit(128);
      channel.end();
      return;
    }
    pushes += 1;
    const report = join(options.folder, `push-${pushes}`);
    const met = name === "git-upload-pack" ? trouble : undefined;
    const served = met?.folder ?? folder;
    const child = spawn("git", ["-c", `core.hooksPath=${hooks}`, name.slice(4), served], {
      env: { ...gitEnvironment(), REHEARSAL_PUSH: report, ...(protocol ? { GIT_PROTOCOL: protocol } : {}) },
    });
    running.add(child);
    const start = setTimeout(() => channel.pipe(child.stdin), met?.delayMs ?? 0);
    if (met?.cutAfterBytes !== undefined) cutAfter(met.cutAfterBytes, child, client);
    child.stdin.on("error", () => {});
    child.stdout.pipe(channel, { end: false });
    child.stderr.pipe(channel.stderr, { end: false });
    // A client that went away must not leave its service behind.
    channel.on("close", () => {
      clearTimeout(start);
      child.kill();
    });
    child.on("error", () => channel.end());
    child.on("close", (code) => {
      running.delete(child);
      const updates = takeReport(report);
      channel.exit(code ?? 1);
      channel.end();
      if (updates.length > 0) {
        options.onPush(path, updates);
      }
    });
  };

  const open = (hostKey: string, port: number) =>
    new Promise<Server>((resolve, reject) => {
      const server = new Server({ hostKeys: [hostKey] }, (client) => {
        clients.add(client);
        client.on("close", () => clients.delete(client));
        // A scan or a client that breaks off is that client's trouble.
        client.on("error", () => {});
        client.on("authentication", (context) => authenticate(context, options.user, keys));
        client.on("ready", () => {
          client.on("session", (accept) =>
            handleSession(accept(), (channel, command, protocol) =>
              serve(client, channel, command, protocol),
            ),
          );
        });
      });
      server.once("error", reject);
      server.listen(port, "127.0.0.1", () => resolve(server));
    });
  const shut = (server: Server) =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      for (const client of clients) client.end();
    });
  let server: Server | undefined = await open(options.hostKey, 0);
  const { port } = server.address() as AddressInfo;
  return {
    port,
    async addRepository(path) {
      const folder = join(options.folder, "repositories", path);
      await runOrFail("making a repository", "git", [
        "init",
        "--quiet",
        "--bare",
        "--initial-branch=main",
        folder,
      ]);
      repositories.set(path, folder);
      return folder;
    },
    registerKey: (publicKey) => keys.push(parsePublicKey(publicKey)),
    removeKey(publicKey) {
      const data = parsePublicKey(publicKey).getPublicSSH();
      const index = keys.findIndex((key) => key.getPublicSSH().equals(data));
      if (index >= 0) keys.splice(index, 1);
    },
    troubleFetches: (next) => {
      trouble = next;
    },
    async goDown() {
      if (server) await shut(server);
      server = undefined;
    },
    async listen(hostKey) {
      if (server) await shut(server);
      server = await open(hostKey, port);
    },
    async close() {
      for (const child of running) child.kill("SIGKILL");
      if (server) await shut(server);
      server = undefined;
    },
  };
}

function parsePublicKey(publicKey: string): ParsedKey {
  const key = utils.parseKey(publicKey.trim());
  if (key instanceof Error || key.isPrivateKey()) {
    throw new Error("cannot register this key: it is no public key in OpenSSH form");
  }
  return key;
}

/** Lets the first bytes of an answer through, and then the connection is gone. */
function cutAfter(bytes: number, child: ChildProcess, client: Connection): void {
  let sent = 0;
  child.stdout?.on("data", (chunk: Buffer) => {
    sent += chunk.length;
    if (sent >= bytes) client.end();
  });
}

function authenticate(context: AuthContext, user: string, keys: readonly ParsedKey[]): void {
  if (context.method !== "publickey" || context.username !== user) {
    context.reject(["publickey"]);
    return;
  }
  const offered = context.key.data;
  const known = keys.find((key) => {
    const data = key.getPublicSSH();
    return data.length === offered.length && timingSafeEqual(data, offered);
  });
  if (!known) {
    context.reject(["publickey"]);
  } else if (!context.signature) {
    // The client only asks whether it is worth signing with this key.
    context.accept();
  } else if (context.blob && known.verify(context.blob, context.signature, context.hashAlgo) === true) {
    context.accept();
  } else {
    context.reject(["publickey"]);
  }
}

function handleSession(
  session: Session,
  serve: (channel: ServerChannel, command: string, protocol: string | undefined) => void,
): void {
  let protocol: string | undefined;
  session.on("env", (accept, reject, info: { key: string; val: string }) => {
    if (info.key === "GIT_PROTOCOL" && /^[a-z0-9=:]{1,64}$/.test(info.val)) {
      protocol = info.val;
      accept?.();
    } else {
      reject?.();
    }
  });
  session.on("exec", (accept, _reject, info) => serve(accept(), info.command, protocol));
}

/** Lines `<before> <after> <ref>` that the hook has written; none when nothing changed. */
function takeReport(file: string): RefUpdate[] {
  try {
    const lines = readFileSync(file, "utf8").split("\n").filter(Boolean);
    rmSync(file);
    return lines.map((line) => {
      const [before = "", after = "", ref = ""] = line.split(" ");
      return { before, after, ref };
    });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") {
      return [];
    }
    throw error;
  }
}
