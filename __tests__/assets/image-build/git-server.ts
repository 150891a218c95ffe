import { spawn } from "node:child_process";
import type { AddressInfo } from "node:net";
import { Server, utils } from "ssh2";
import type { KeyPair } from "../../../rehearsal/backlog/key-pair";

/** How a server differs from git's own over OpenSSH. */
export interface GitServerOptions {
  readonly hostKey: KeyPair;
  readonly userKey: KeyPair;
  /** Speaks only the protocol's first version, which gives out no commit but those that refs show. */
  readonly oldProtocol?: boolean;
  /** So many connections are cut before they are of use. */
  readonly cuts?: number;
}

/** Serves git repositories by their path over SSH on this machine, read only. */
export class GitServer {
  /** Connections that got as far as to ask for a login. */
  public logins = 0;
  private constructor(
    private readonly server: Server,
    public readonly port: number,
  ) {}

  static async start({
    hostKey,
    userKey,
    oldProtocol = false,
    cuts = 0,
  }: GitServerOptions): Promise<GitServer> {
    const allowed = utils.parseKey(userKey.public);
    if (allowed instanceof Error) {
      throw allowed;
    }
    let cutsLeft = cuts;
    const server = new Server({ hostKeys: [hostKey.private] }, (client) => {
      client.on("error", () => undefined);
      client.on("authentication", (attempt) => {
        started.logins++;
        const known = attempt.method === "publickey" && attempt.key.data.equals(allowed.getPublicSSH());
        return known ? attempt.accept() : attempt.reject(["publickey"]);
      });
      client.on("session", (accept) => {
        const session = accept();
        const environment: Record<string, string> = {};
        session.on("env", (acceptVariable, _, { key, val }) => {
          environment[key] = val;
          acceptVariable?.();
        });
        session.on("exec", (acceptCommand, rejectCommand, { command }) => {
          const path = /^git-upload-pack '(\/[^']*)'$/.exec(command)?.[1];
          if (path === undefined) {
            rejectCommand();
            return;
          }
          if (cutsLeft-- > 0) {
            client.end();
            return;
          }
          const protocol = oldProtocol ? {} : { GIT_PROTOCOL: environment.GIT_PROTOCOL };
          const channel = acceptCommand();
          const git = spawn("git", ["upload-pack", path], { env: { PATH: process.env.PATH, ...protocol } });
          git.stdin.on("error", () => undefined);
          channel.pipe(git.stdin);
          git.stdout.pipe(channel, { end: false });
          git.stderr.pipe(channel.stderr, { end: false });
          git.on("close", (status) => {
            channel.exit(status ?? 1);
            channel.end();
          });
        });
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const started = new GitServer(server, (server.address() as AddressInfo).port);
    return started;
  }

  /** Address of a repository. */
  url(path: string): string {
    return `ssh://example@127.0.0.1:${this.port}${path}`;
  }

  /** A line for known_hosts that pins a key for this server. */
  knownHost(key: KeyPair): string {
    return `[127.0.0.1]:${this.port} ${key.public.split(" ").slice(0, 2).join(" ")}`;
  }

  stop(): Promise<void> {
    return new Promise((resolve) => this.server.close(() => resolve()));
  }
}
