import { request } from "node:http";
import { isLoopback } from "./loopback";

/** What a push changed: one line of a post-receive hook. */
export interface RefUpdate {
  /** 40 hex digits; zeros for a new ref. */
  readonly before: string;
  /** 40 hex digits; zeros for a removed ref. */
  readonly after: string;
  readonly ref: string;
}

export interface Revision {
  readonly id: string;
  readonly message: string;
  /** ISO 8601 with the committer's offset, e.g. `2020-02-05T17:02:51+09:00`. */
  readonly timestamp: string;
  readonly author: { readonly name: string; readonly email: string };
  readonly added: readonly string[];
  readonly modified: readonly string[];
  readonly removed: readonly string[];
}

export interface WebhookRepository {
  readonly name: string;
  readonly description: string | null;
  /** Address of the repository's page: `https://<space>.<domain>/git/<PROJECT>/<name>`. */
  readonly url: string;
}

/**
 * The JSON that Backlog sends for a push: its keys in the order of a captured request, lists of files only where a
 * commit has such files.
 */
export function webhookPayload(
  update: RefUpdate,
  repository: WebhookRepository,
  revisions: readonly Revision[],
): Record<string, unknown> {
  return {
    revisions: revisions.map(({ id, message, timestamp, author, added, modified, removed }) => ({
      timestamp,
      url: `${repository.url}/commit/${id}`,
      id,
      message,
      ...(added.length > 0 ? { added } : {}),
      ...(modified.length > 0 ? { modified } : {}),
      ...(removed.length > 0 ? { removed } : {}),
      author: { name: author.name, email: author.email },
    })),
    repository: { name: repository.name, description: repository.description, url: repository.url },
    ref: update.ref,
    after: update.after,
    before: update.before,
  };
}

/** A body as Backlog encodes it: one form parameter, everything but `A-Za-z0-9*-._` percent-encoded, blanks as `+`. */
export function webhookBody(payload: Record<string, unknown>): string {
  return new URLSearchParams({ payload: JSON.stringify(payload) }).toString();
}

/** One try to deliver; `status` is missing when nobody answered. */
export interface DeliveryAttempt {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly status?: number;
  readonly trouble?: string;
}

export interface Delivery extends RefUpdate {
  readonly attempts: DeliveryAttempt[];
  /** `accepted` after a 2xx, `refused` after a 4xx (Backlog gives up at once), `lost` after the last retry. */
  state: "sending" | "accepted" | "refused" | "lost";
}

export interface SenderOptions {
  /** Address of this machine to send from, as Backlog sends from its own published ones. */
  readonly sourceAddress: string;
  /** Sleeps a Backlog second. */
  readonly wait: (seconds: number) => Promise<void>;
  readonly signal?: AbortSignal;
}

/** Backlog repeats a delivery "several times" after a 5xx; how often and when is not published. */
const RETRY_AFTER_SECONDS = [10, 30, 60, 120, 300];

/**
 * Posts a push to the hook URL, again after a 5xx or when nobody answers, never again after a 2xx or a 4xx.
 * @throws Error when the URL is not one of this machine: a rehearsal must not reach a real webhook
 */
export async function deliver(
  hookUrl: string,
  payload: Record<string, unknown>,
  delivery: Delivery,
  options: SenderOptions,
): Promise<void> {
  const body = webhookBody(payload);
  for (const pause of [...RETRY_AFTER_SECONDS, undefined]) {
    const attempt = await post(hookUrl, body, options);
    delivery.attempts.push(attempt);
    const { status } = attempt;
    if (status !== undefined && status < 500) {
      delivery.state = status >= 200 && status < 300 ? "accepted" : "refused";
      return;
    }
    if (pause === undefined || options.signal?.aborted) {
      break;
    }
    await options.wait(pause);
  }
  delivery.state = "lost";
}

/** @throws Error when the URL is not `http` on a loopback address */
export function checkHookUrl(hookUrl: string): void {
  const url = new URL(hookUrl);
  if (url.protocol !== "http:" || !isLoopback(url.hostname)) {
    // Not the URL itself: its path is a secret.
    throw new Error(
      `a rehearsal's webhook must be http on a loopback address, got: ${url.protocol}//${url.host}`,
    );
  }
}

function post(
  hookUrl: string,
  body: string,
  { sourceAddress, signal }: SenderOptions,
): Promise<DeliveryAttempt> {
  checkHookUrl(hookUrl);
  const at = Date.now();
  return new Promise((resolve) => {
    const failed = (error: Error) => resolve({ at, trouble: error.message });
    const outgoing = request(hookUrl, {
      method: "POST",
      localAddress: sourceAddress,
      timeout: 30_000,
      ...(signal ? { signal } : {}),
      headers: {
        "Content-Type": "application/x-www-form-urlencoded",
        "Content-Length": Buffer.byteLength(body),
      },
    });
    outgoing.on("timeout", () => outgoing.destroy(new Error("no answer within 30 s")));
    outgoing.on("error", failed);
    outgoing.on("response", (response) => {
      response.on("error", failed);
      response.on("end", () => resolve({ at, status: response.statusCode ?? 0 }));
      // Backlog does not look at the body.
      response.resume();
    });
    outgoing.end(body);
  });
}
