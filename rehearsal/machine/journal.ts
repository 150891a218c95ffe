import {
  appendFileSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import { bootId } from "./processes";
import type { Trace } from "./traces";

/**
 * What a run has done to the machine and not undone yet, on disk: one JSON line for each trace, written before the
 * trace is made, so that whatever ends the run leaves no trace that a later start does not know.
 */
export class Journal {
  constructor(private readonly file: string) {
    mkdirSync(dirname(file), { recursive: true });
  }

  /** Starts a new journal with these traces in it. */
  begin(traces: readonly Trace[]): void {
    writeFileSync(this.file, "");
    for (const trace of traces) {
      this.add(trace);
    }
  }

  /** Writes a trace and waits until the disk has it. */
  add(trace: Trace): void {
    const file = openSync(this.file, "a", 0o600);
    try {
      appendFileSync(file, `${JSON.stringify({ boot: bootId(), trace })}\n`);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  }

  /** What stands in the journal, newest first, each with the boot it was made in. */
  read(): { boot: string; trace: Trace }[] {
    if (!existsSync(this.file)) {
      return [];
    }
    return readFileSync(this.file, "utf8")
      .split("\n")
      .filter(Boolean)
      .flatMap((line) => {
        try {
          return [JSON.parse(line) as { boot: string; trace: Trace }];
        } catch {
          // Cut off while it was written: then what it names has not been made.
          return [];
        }
      })
      .reverse();
  }
}
