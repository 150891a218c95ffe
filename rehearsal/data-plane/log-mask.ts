import { StringDecoder } from "node:string_decoder";

const MASK = "***";

/** A secret of several lines may be printed line by line; shorter lines than this would mask ordinary text. */
const SHORTEST_LINE = 8;

/**
 * Replaces secrets by `***` in a stream of bytes, wherever the stream is cut into chunks.
 * CodeBuild does the same with the values of its Secrets Manager variables.
 */
export class LogMask {
  private readonly secrets: readonly string[];
  private readonly decoder = new StringDecoder("utf8");
  private held = "";

  constructor(values: Iterable<string>) {
    const secrets = new Set<string>();
    for (const value of values) {
      if (value !== "") secrets.add(value);
      if (value.trim() !== "") secrets.add(value.trim());
      for (const line of value.split(/\r?\n/)) {
        if (line.trim().length >= SHORTEST_LINE) secrets.add(line.trim());
      }
    }
    // The longest first: a secret's line must not spoil the search for the whole.
    this.secrets = [...secrets].sort((a, b) => b.length - a.length);
  }

  /** Takes the next bytes and returns what is safe to show; the start of a possible secret is kept back. */
  push(chunk: Buffer): string {
    return this.release(this.decoder.write(chunk), false);
  }

  /** Returns what was kept back at the end of the stream. */
  end(): string {
    return this.release(this.decoder.end(), true);
  }

  private release(text: string, last: boolean): string {
    const input = this.held + text;
    let shown = "";
    let at = 0;
    while (at < input.length) {
      const rest = input.length - at;
      // Only the end of the input can hold a secret whose other half has not come yet.
      if (!last && this.secrets.some((s) => s.length > rest && s.startsWith(input.slice(at)))) break;
      const secret = this.secrets.find((s) => input.startsWith(s, at));
      shown += secret ? MASK : input[at];
      at += secret?.length ?? 1;
    }
    this.held = input.slice(at);
    return shown;
  }
}
