/**
 * Reads a value by the small JSONPath that EventBridge's input paths and Step Functions' reference paths share:
 * `$`, `.name`, `['name']`, `[0]`. Undefined when the document has nothing there.
 *
 * @throws Error for any other path
 */
export function readPath(path: string, document: unknown): unknown {
  return stepsOf(path).reduce<unknown>(
    (value, step) =>
      typeof value === "object" && value !== null && Object.hasOwn(value, step)
        ? (value as Record<string, unknown>)[step]
        : undefined,
    document,
  );
}

/** A copy of the document with a value set at a path; objects on the way are made as needed. */
export function writePath(path: string, document: unknown, value: unknown): unknown {
  return write(stepsOf(path), document);

  function write([step, ...rest]: readonly string[], at: unknown): unknown {
    if (step === undefined) return value;
    const object = typeof at === "object" && at !== null ? at : {};
    return { ...object, [step]: write(rest, (object as Record<string, unknown>)[step]) };
  }
}

const STEP = /^(?:\.([\p{L}_][\p{L}\p{N}_-]*)|\['([^']*)'\]|\[(\d+)\])/u;

function stepsOf(path: string): string[] {
  const steps: string[] = [];
  let rest = path.startsWith("$") ? path.slice(1) : "?";
  while (rest) {
    const step = STEP.exec(rest);
    if (!step) throw new Error(`path is not supported by the rehearsal: ${path}`);
    steps.push((step[1] ?? step[2] ?? step[3])!);
    rest = rest.slice(step[0].length);
  }
  return steps;
}
