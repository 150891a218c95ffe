import { request } from "node:http";

/** One answer, or the lack of one. */
export interface Visit {
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** HTTP status; 0 when there was no answer. */
  readonly status: number;
  readonly body: string;
}

/** Asks one URL again and again, one request at a time, and keeps what came. */
export class Visitor {
  public readonly visits: Visit[] = [];
  private stopped = false;
  private readonly done: Promise<void>;

  /** @param pauseInMilliseconds between an answer and the next request */
  constructor(
    private readonly url: string,
    private readonly pauseInMilliseconds = 40,
  ) {
    this.done = this.keepVisiting();
  }

  /** When the page first contained `text` with status 200; milliseconds since the epoch. */
  firstSeen(text: string): number | undefined {
    return this.visits.find((visit) => visit.status === 200 && visit.body.includes(text))?.at;
  }

  /** Visits from `since` on that were not answered 2xx or 3xx. */
  failures(since = 0): Visit[] {
    return this.visits.filter(({ at, status }) => at >= since && (status < 200 || status >= 400));
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await this.done;
  }

  private async keepVisiting(): Promise<void> {
    while (!this.stopped) {
      const at = Date.now();
      this.visits.push({ at, ...(await visit(this.url)) });
      await new Promise((resolve) => setTimeout(resolve, this.pauseInMilliseconds));
    }
  }
}

function visit(url: string): Promise<Omit<Visit, "at">> {
  return new Promise((resolve) => {
    const outgoing = request(url, { agent: false, timeout: 5000 }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() }),
      );
      response.on("error", (error) => resolve({ status: 0, body: error.message }));
    });
    outgoing.on("timeout", () => outgoing.destroy(new Error("no answer within 5 s")));
    outgoing.on("error", (error) => resolve({ status: 0, body: error.message }));
    outgoing.end();
  });
}
