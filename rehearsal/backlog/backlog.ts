import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type GitServer, startGitServer } from "./git-server";
import { generateKeyPair } from "./key-pair";
import { revisionsOf } from "./revisions";
import { gitSshCommand, writeSshWrapper } from "./ssh-client";
import { checkHookUrl, type Delivery, deliver, type RefUpdate, webhookPayload } from "./webhook";

export interface BacklogOptions {
  /** Folder for everything it keeps; made. */
  readonly folder: string;
  readonly space: string;
  /** `backlog.jp`, `backlog.com` or `backlogtool.com`. */
  readonly domain: string;
  readonly projectKey: string;
  readonly repository: string;
  /** Loopback address that webhooks are sent from. */
  readonly sourceAddress: string;
  /** Sleeps a Backlog second. */
  readonly wait: (seconds: number) => Promise<void>;
  /** Told about each push and each end of a delivery. */
  readonly onDelivery?: (delivery: Delivery) => void;
  readonly signal?: AbortSignal;
}

export interface Backlog {
  /** As in the configuration: `ssh://<space>@<space>.git.<domain>/<PROJECT>/<repository>.git`. */
  readonly remote: string;
  /** The same repository for people on this machine, without the redirected `ssh`. */
  readonly localRemote: string;
  readonly port: number;
  /** A line for known_hosts, under Backlog's name. */
  readonly hostKeyLine: string;
  /** Folder with an `ssh` that finds this server under Backlog's name, to put first on a PATH. */
  readonly sshFolder: string;
  /** `GIT_SSH_COMMAND` of a developer whose key is registered. */
  readonly developerSshCommand: string;
  /** Every push so far, with its delivery. */
  readonly deliveries: readonly Delivery[];
  /** Sets the repository's one hook URL. @throws Error when it is not on this machine */
  setHookUrl(url: string): void;
  /** Registers a public key in the personal settings of somebody who may read and write. */
  registerKey(publicKey: string): void;
  /** The Git server, to make trouble at. */
  readonly server: Pick<GitServer, "goDown" | "listen" | "removeKey" | "troubleFetches">;
  /** Private host key that clients have pinned. */
  readonly hostKey: string;
  /** Folder of the repository on the server. */
  readonly gitFolder: string;
  /** Keeps webhooks back until the returned function is called. */
  holdHooks(): () => void;
  /** Sends the webhook of an update, as after a push. */
  notify(update: RefUpdate): Promise<Delivery>;
  /** Waits until no delivery is under way. */
  settled(): Promise<void>;
  close(): Promise<void>;
}

/** Starts a Backlog space with one project, one empty repository and one developer. */
export async function startBacklog(options: BacklogOptions): Promise<Backlog> {
  const { folder, space, domain, projectKey, repository } = options;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = `/${projectKey}/${repository}.git`;
  const host = `${space}.git.${domain}`;
  const page = `https://${space}.${domain}/git/${projectKey}/${repository}`;
  const deliveries: Delivery[] = [];
  const underWay = new Set<Promise<Delivery>>();
  let hookUrl: string | undefined;
  let gitFolder = "";

  let held = Promise.resolve();

  const send = async (update: RefUpdate): Promise<Delivery> => {
    await held;
    const delivery: Delivery = { ...update, attempts: [], state: "sending" };
    deliveries.push(delivery);
    options.onDelivery?.(delivery);
    try {
      if (hookUrl === undefined) {
        throw new Error("the repository has no hook URL");
      }
      const revisions = await revisionsOf(gitFolder, update);
      const payload = webhookPayload(update, { name: repository, description: null, url: page }, revisions);
      await deliver(hookUrl, payload, delivery, options);
    } catch (error) {
      delivery.attempts.push({
        at: Date.now(),
        trouble: error instanceof Error ? error.message : String(error),
      });
      delivery.state = "lost";
    }
    options.onDelivery?.(delivery);
    return delivery;
  };
  const notify = (update: RefUpdate): Promise<Delivery> => {
    const sending = send(update);
    underWay.add(sending);
    void sending.then(() => underWay.delete(sending));
    return sending;
  };

  const hostKeys = generateKeyPair();
  const server = await startGitServer({
    folder: join(folder, "git"),
    user: space,
    hostKey: hostKeys.private,
    onPush: (_path, updates) => {
      for (const update of updates) void notify(update);
    },
  });
  gitFolder = await server.addRepository(path);

  const developer = generateKeyPair("developer");
  server.registerKey(developer.public);
  const keyFile = join(folder, "developer_key");
  writeFileSync(keyFile, developer.private, { mode: 0o600 });
  const sshFolder = await writeSshWrapper(join(folder, "ssh"), { host, port: server.port });
  const publicHostKey = hostKeys.public.split(" ").slice(0, 2).join(" ");
  const hostKeyLine = `${host} ${publicHostKey}`;
  const knownHosts = join(folder, "known_hosts");
  writeFileSync(knownHosts, `${hostKeyLine}\n[127.0.0.1]:${server.port} ${publicHostKey}\n`);
  return {
    remote: `ssh://${space}@${host}${path}`,
    localRemote: `ssh://${space}@127.0.0.1:${server.port}${path}`,
    port: server.port,
    hostKeyLine,
    sshFolder,
    developerSshCommand: gitSshCommand(sshFolder, keyFile, knownHosts),
    deliveries,
    setHookUrl(url) {
      checkHookUrl(url);
      hookUrl = url;
    },
    registerKey: (publicKey) => server.registerKey(publicKey),
    server,
    hostKey: hostKeys.private,
    gitFolder,
    holdHooks() {
      let release = () => {};
      held = new Promise((resolve) => {
        release = resolve;
      });
      return release;
    },
    notify,
    async settled() {
      while (underWay.size > 0) {
        await Promise.all(underWay);
      }
    },
    close: () => server.close(),
  };
}
