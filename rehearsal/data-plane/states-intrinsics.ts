import { createHash } from "node:crypto";

/**
 * Evaluates an intrinsic function: `States.Format`, `States.Hash`, `States.JsonToString`, `States.StringToJson`,
 * `States.Array`; arguments are texts in single quotes, numbers, `true`, `false`, `null`, paths and further functions.
 *
 * @param read gives the value at a path
 * @see https://docs.aws.amazon.com/step-functions/latest/dg/intrinsic-functions.html
 * @throws Error for a function or form it does not know
 */
export function evaluateIntrinsic(text: string, read: (path: string) => unknown): unknown {
  let at = 0;
  const value = expression();
  skipSpace();
  if (at !== text.length) throw malformed();
  return value;

  function expression(): unknown {
    skipSpace();
    if (text[at] === "'") return quoted();
    const token = /^(?:[^\s,()'[]|\[[^\]]*\])+/.exec(text.slice(at))?.[0];
    if (!token) throw malformed();
    at += token.length;
    if (token.startsWith("$")) return read(token);
    if (/^(?:-?\d+(?:\.\d+)?|true|false|null)$/.test(token)) return JSON.parse(token);
    return call(token);
  }

  function call(name: string): unknown {
    const implementation = Object.hasOwn(FUNCTIONS, name) ? FUNCTIONS[name] : undefined;
    if (!implementation) throw new Error(`intrinsic function is not supported by the rehearsal: ${name}`);
    const values: unknown[] = [];
    expect("(");
    skipSpace();
    if (text[at] !== ")") {
      do values.push(expression());
      while (accept(","));
    }
    expect(")");
    return implementation(...values);
  }

  /** A backslash makes a quote or backslash plain; before a brace it stays, for `States.Format` to see. */
  function quoted(): string {
    const literal = /^'((?:[^'\\]|\\[\s\S])*)'/.exec(text.slice(at));
    if (!literal) throw malformed();
    at += literal[0].length;
    return literal[1]!.replace(/\\(['\\])/g, "$1");
  }

  function accept(character: string): boolean {
    skipSpace();
    if (text[at] !== character) return false;
    at += 1;
    return true;
  }

  function expect(character: string): void {
    if (!accept(character)) throw malformed();
  }

  function skipSpace(): void {
    while (text[at] === " ") at += 1;
  }

  function malformed(): Error {
    return new Error(`intrinsic function cannot be read at character ${at + 1}: ${text}`);
  }
}

const ALGORITHMS: Readonly<Record<string, string>> = {
  MD5: "md5",
  "SHA-1": "sha1",
  "SHA-256": "sha256",
  "SHA-384": "sha384",
  "SHA-512": "sha512",
};

const FUNCTIONS: Readonly<Record<string, (...values: unknown[]) => unknown>> = {
  "States.Array": (...values) => values,
  "States.Format": (template, ...values) => {
    let used = 0;
    const filled = String(template).replace(/\\([{}])|\{\}/g, (_found, plain?: string) => {
      if (plain) return plain;
      used += 1;
      if (used > values.length) throw new Error("States.Format has more places than values");
      const value = values[used - 1];
      return typeof value === "string" ? value : JSON.stringify(value);
    });
    if (used !== values.length) throw new Error("States.Format has more values than places");
    return filled;
  },
  "States.Hash": (data, algorithm) => {
    const name = ALGORITHMS[String(algorithm)];
    if (!name) throw new Error(`States.Hash does not know the algorithm ${algorithm}`);
    return createHash(name)
      .update(typeof data === "string" ? data : JSON.stringify(data))
      .digest("hex");
  },
  "States.JsonToString": (value) => JSON.stringify(value),
  "States.StringToJson": (value) => JSON.parse(String(value)),
};
