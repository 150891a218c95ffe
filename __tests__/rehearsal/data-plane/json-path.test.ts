import { readPath, writePath } from "../../../rehearsal/data-plane/json-path";

describe("readPath", () => {
  const event = { detail: { ref: "r", list: [{ id: 7 }], "a b": 1 }, "detail-type": "t" };

  test.each([
    ["$", event],
    ["$.detail.ref", "r"],
    ["$.detail-type", "t"],
    ["$.detail.list[0].id", 7],
    ["$.detail['a b']", 1],
    ["$.detail.none", undefined],
    ["$.detail.ref.length", undefined],
    ["$.constructor", undefined],
  ])("reads %s", (path, value) => {
    expect(readPath(path, event)).toEqual(value);
  });

  test.each(["detail", "$..ref", "$.list[*]", "$.list[?(@.id)]", "$.", "$.a b"])("refuses %s", (path) => {
    expect(() => readPath(path, event)).toThrow(`path is not supported by the rehearsal: ${path}`);
  });
});

describe("writePath", () => {
  test("sets a value, makes objects on the way, and leaves the document alone", () => {
    const input = { a: { b: 1 } };
    expect(writePath("$.a.c.d", input, 2)).toEqual({ a: { b: 1, c: { d: 2 } } });
    expect(writePath("$", input, 3)).toBe(3);
    expect(input).toEqual({ a: { b: 1 } });
  });
});
