import { createHash } from "node:crypto";
import { readPath } from "../../../rehearsal/data-plane/json-path";
import { evaluateIntrinsic } from "../../../rehearsal/data-plane/states-intrinsics";

const input = { ref: "main", n: 7, object: { a: 1 } };
const evaluate = (text: string) => evaluateIntrinsic(text, (path) => readPath(path, input));

describe("evaluateIntrinsic", () => {
  test.each([
    ["States.Format('{}/{}', $.ref, $.n)", "main/7"],
    ["States.Format('it\\'s {}', $.ref)", "it's main"],
    ["States.Format('\\{{}\\}', $.ref)", "{main}"],
    ["States.Format('{}', $.object)", '{"a":1}'],
    ["States.Array($.ref, 'x', 1, true, null)", ["main", "x", 1, true, null]],
    ["States.Array()", []],
    ["States.JsonToString($.object)", '{"a":1}'],
    ["States.StringToJson('[1]')", [1]],
    ["States.Hash('abc', 'SHA-256')", createHash("sha256").update("abc").digest("hex")],
    [
      "States.Hash(States.Format('{} {}', $.ref, $.n), 'SHA-256')",
      createHash("sha256").update("main 7").digest("hex"),
    ],
  ])("evaluates %s", (text, expected) => {
    expect(evaluate(text)).toEqual(expected);
  });

  test.each([
    ["States.UUID()", "not supported by the rehearsal: States.UUID"],
    ["States.Format('{}')", "more places than values"],
    ["States.Format('x', 1)", "more values than places"],
    ["States.Hash('x', 'CRC')", "does not know the algorithm CRC"],
    ["States.Array(1", "cannot be read at character 15"],
    ["States.Array(1) x", "cannot be read"],
    ["States.Array('x)", "cannot be read"],
  ])("refuses %s", (text, message) => {
    expect(() => evaluate(text)).toThrow(message);
  });
});
