import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type PageFile, pageFiles } from "./page-files";
import { refusal, SECURITY_HEADERS } from "./request-guard";
import type { PageEvent, PageState } from "./state";

/** A page that does not keep up is cut off at so many bytes; it comes again by itself and gets everything anew. */
const MOST_UNSENT_BYTES = 16 * 1024 * 1024;

const MOST_WATCHERS = 32;

const MOST_BODY_BYTES = 4096;

/** How long a page waits before it comes again, and how often a silent connection is shown to be alive. */
const [RETRY_MILLISECONDS, HEARTBEAT_MILLISECONDS] = [1000, 15_000];

export interface PageServerOptions {
  /** @default a free one */
  readonly port?: number;
  /** What a page gets that has just connected. */
  readonly snapshot: () => PageState;
  /** Sends a dead letter on its way again. @throws Error that says why it cannot */
  readonly replay: (letter: { queue: string; id: string }) => Promise<void>;
}

/** Serves the activity page on a loopback port: its files, the stream of what happens, and one button. */
export class PageServer {
  private readonly watchers = new Set<ServerResponse>();
  private readonly token = randomBytes(32).toString("base64url");
  private readonly files: Map<string, PageFile> = pageFiles(this.token);
  private readonly heartbeat: NodeJS.Timeout;
  private readonly server: Server;

  private constructor(private readonly options: PageServerOptions) {
    this.server = createServer((incoming, outgoing) => {
      this.serve(incoming, outgoing).catch((error: Error) => answer(outgoing, 500, error.message));
    });
    this.heartbeat = setInterval(() => this.send(": still here\n\n"), HEARTBEAT_MILLISECONDS).unref();
  }

  static async start(options: PageServerOptions): Promise<PageServer> {
    const page = new PageServer(options);
    page.server.listen(options.port ?? 0, "127.0.0.1");
    await once(page.server, "listening");
    return page;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/`;
  }

  /** Whether anybody is looking. */
  get isWatched(): boolean {
    return this.watchers.size > 0;
  }

  /** Tells every page that is open. */
  publish(event: PageEvent): void {
    if (this.isWatched) this.send(frame(event));
  }

  async close(): Promise<void> {
    clearInterval(this.heartbeat);
    this.publish({ type: "end" });
    for (const watcher of this.watchers) watcher.end();
    this.server.close();
    this.server.closeIdleConnections();
    // What was written is on its way; nobody may hold the end up by not reading it.
    setTimeout(() => this.server.closeAllConnections(), 200).unref();
    await once(this.server, "close");
  }

  private get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  private send(text: string): void {
    for (const watcher of this.watchers) {
      watcher.write(text);
      if (watcher.writableLength > MOST_UNSENT_BYTES) watcher.destroy();
    }
  }

  private async serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const { method = "", headers } = incoming;
    const path = (incoming.url ?? "/").split("?", 1)[0]!;
    const refused = refusal({ method, path, headers }, this.port, this.token);
    const file = this.files.get(path);
    if (refused) answer(outgoing, refused.status, refused.reason);
    else if (method === "POST" && path === "/replay") await this.replay(incoming, outgoing);
    else if (method === "POST") answer(outgoing, 404, "no such button");
    else if (path === "/events") this.watch(outgoing);
    else if (file) {
      outgoing.writeHead(200, { ...SECURITY_HEADERS, "Content-Type": file.type }).end(file.text);
    } else answer(outgoing, 404, "no such page");
  }

  private watch(outgoing: ServerResponse): void {
    if (this.watchers.size >= MOST_WATCHERS) {
      answer(outgoing, 503, "too many pages are open");
      return;
    }
    outgoing.writeHead(200, { ...SECURITY_HEADERS, "Content-Type": "text/event-stream" });
    const state = frame({ type: "state", state: this.options.snapshot() });
    outgoing.write(`retry: ${RETRY_MILLISECONDS}\n\n${state}`);
    this.watchers.add(outgoing);
    outgoing.on("error", () => outgoing.destroy());
    outgoing.on("close", () => this.watchers.delete(outgoing));
  }

  private async replay(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const body = await bodyOf(incoming);
    const letter = body === undefined ? undefined : letterOf(body);
    if (!letter) {
      answer(outgoing, 400, "a queue and the id of a message are expected");
      return;
    }
    try {
      await this.options.replay(letter);
    } catch (error) {
      answer(outgoing, 409, (error as Error).message);
      return;
    }
    answer(outgoing, 200, "on its way again");
  }
}

function frame(event: PageEvent): string {
  return `data: ${JSON.stringify(event)}\n\n`;
}

function answer(outgoing: ServerResponse, status: number, text: string): void {
  if (outgoing.headersSent) {
    outgoing.destroy();
    return;
  }
  outgoing
    .writeHead(status, {
      ...SECURITY_HEADERS,
      "Content-Type": "text/plain; charset=utf-8",
      Connection: "close",
    })
    .end(`${text}\n`);
}

/** `undefined` when it is too long. */
async function bodyOf(incoming: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MOST_BODY_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function letterOf(body: string): { queue: string; id: string } | undefined {
  try {
    const { queue, id } = JSON.parse(body);
    return typeof queue === "string" && typeof id === "string" ? { queue, id } : undefined;
  } catch {
    return undefined;
  }
}
