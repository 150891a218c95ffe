import { FAULTS, faultsOf, selectFaults } from "../../../rehearsal/faults/catalogue";

const ids = (names: readonly string[]) => selectFaults(names).map(({ id }) => id);

describe("selectFaults", () => {
  test("takes every fault when none is named", () => {
    expect(selectFaults([])).toEqual(FAULTS);
  });

  test("takes a family by its number, and no other that begins with it", () => {
    expect(ids(["1"])).toEqual(FAULTS.map(({ id }) => id).filter((id) => /^1[a-z]/.test(id)));
  });

  test("takes single faults, and commas as well as blanks between names", () => {
    expect(ids(["2b,3a", "5"])).toEqual(["2b", "3a", "5"]);
  });

  test("fails for a name that is none, and says which there are", () => {
    expect(() => selectFaults(["3a", "3z"])).toThrow(/--faults takes 1a, .*, got: 3z$/);
  });
});

describe("faultsOf", () => {
  const names = (delivery: "bus" | "direct") => faultsOf(delivery).map(({ id }) => id);

  test("leaves out what only the other kind of delivery has", () => {
    expect(names("direct")).not.toContain("1a");
    expect(names("direct")).toContain("2d");
    expect(names("bus")).toContain("1a");
    expect(names("bus")).not.toContain("2d");
  });

  test("keeps what both have", () => {
    expect(names("direct")).toContain("4a");
    expect(names("bus")).toContain("4a");
  });
});

describe("FAULTS", () => {
  test("has no id twice", () => {
    expect(new Set(FAULTS.map(({ id }) => id)).size).toBe(FAULTS.length);
  });

  test.each(FAULTS.map((fault) => [fault.id, fault] as const))(
    "%s says what it guards",
    (_id, { name, guards }) => {
      expect(name).not.toBe("");
      expect(guards).not.toBe("");
    },
  );
});
