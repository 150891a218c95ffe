import { readFileSync } from "node:fs";
import { join } from "node:path";
import { FAULTS } from "../../rehearsal/faults/catalogue";

const TEXT = readFileSync(join(__dirname, "..", "..", "docs", "failures.md"), "utf8");

/** Last cells of the tables' rows. */
const SOURCES = TEXT.split("\n")
  .filter((line) => /^\|(?! ---|---)/.test(line) && !line.endsWith("| from |"))
  .map((line) => line.split("|").at(-2)?.trim() ?? "");

const IDS = FAULTS.map(({ id }) => id);

describe("docs/failures.md", () => {
  test("has tables at all", () => {
    expect(SOURCES.length).toBeGreaterThan(20);
  });

  test.each(SOURCES.map((source) => [source]))(
    "takes a line from a fault that is played, or from AWS: %s",
    (source) => {
      const isFromAws = /^\[[^\]]+\]\(https:\/\/docs\.aws\.amazon\.com\/\S+\)$/.test(source);
      const unknown = isFromAws ? [] : source.split(", ").filter((id) => !IDS.includes(id));
      expect(unknown).toEqual([]);
    },
  );
});
