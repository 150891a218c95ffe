import { LogMask } from "../../../rehearsal/data-plane/log-mask";

const KEY = "-----BEGIN KEY-----\nfirst-line-of-it\nsecond-line-of-it\n-----END KEY-----\n";

function masked(secrets: string[], chunks: readonly Buffer[]): string {
  const mask = new LogMask(secrets);
  return chunks.map((chunk) => mask.push(chunk)).join("") + mask.end();
}

describe("LogMask", () => {
  it("hides a secret wherever the stream is cut", () => {
    const text = Buffer.from("before s3cr3t-välue after, s3cr3t-välue");
    for (let size = 1; size <= text.length; size += 1) {
      const chunks = [];
      for (let at = 0; at < text.length; at += size) chunks.push(text.subarray(at, at + size));
      expect(masked(["s3cr3t-välue"], chunks)).toBe("before *** after, ***");
    }
  });

  it("hides a secret of several lines as a whole and line by line", () => {
    const text = `${KEY}x\n> second-line-of-it <`;
    const shown = masked([KEY], [Buffer.from(text)]);
    expect(shown).toBe("***x\n> *** <");
  });

  it("gives out the start of a secret that does not go on", () => {
    const mask = new LogMask(["abcdef"]);
    expect(mask.push(Buffer.from("xabc"))).toBe("x");
    expect(mask.push(Buffer.from("yabc"))).toBe("abcy");
    expect(mask.end()).toBe("abc");
  });

  it("hides the longer of two secrets that start alike", () => {
    expect(masked(["abc", "abcdef"], [Buffer.from("abcd"), Buffer.from("ef abc")])).toBe("*** ***");
  });

  it("has nothing to hide for an empty value", () => {
    expect(masked([""], [Buffer.from("text")])).toBe("text");
  });
});
