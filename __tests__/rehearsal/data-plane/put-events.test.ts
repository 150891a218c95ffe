import type { AwsRequest } from "../../../rehearsal/aws/local-aws";
import { failedEntry, readEntries } from "../../../rehearsal/data-plane/put-events";

const entry = { Source: "s", DetailType: "t", Detail: "{}" };
const request = (body: unknown) =>
  ({ body: Buffer.from(typeof body === "string" ? body : JSON.stringify(body)) }) as AwsRequest;

describe("readEntries", () => {
  test("takes one to ten entries", () => {
    expect(readEntries(request({ Entries: [entry] }))).toEqual([entry]);
    expect(readEntries(request({ Entries: Array(10).fill(entry) }))).toHaveLength(10);
  });

  test.each([
    ["no JSON", "{"],
    ["a list instead of the request", []],
    ["a text instead of the list", { Entries: "x" }],
    ["an object instead of the list", { Entries: {} }],
    ["a text instead of an entry", { Entries: ["x"] }],
    ["an object as detail", { Entries: [{ ...entry, Detail: {} }] }],
    ["a number as source", { Entries: [{ ...entry, Source: 1 }] }],
    ["a text as resources", { Entries: [{ ...entry, Resources: "x" }] }],
  ])("answers %s with SerializationException", (_what, body) => {
    expect(() => readEntries(request(body))).toThrow(
      expect.objectContaining({ code: "SerializationException" }),
    );
  });

  test.each([
    ["no entries", {}],
    ["an empty list", { Entries: [] }],
    ["eleven entries", { Entries: Array(11).fill(entry) }],
    ["more than 256 KB", { Entries: [{ ...entry, Detail: `{"a":"${"x".repeat(256 * 1024)}"}` }] }],
  ])("answers %s with ValidationException", (_what, body) => {
    expect(() => readEntries(request(body))).toThrow(
      expect.objectContaining({ code: "ValidationException" }),
    );
  });
});

describe("failedEntry", () => {
  test.each([
    [entry, undefined],
    [{ ...entry, Source: "" }, "InvalidArgument"],
    [{ Source: "s", Detail: "{}" }, "InvalidArgument"],
    [{ ...entry, Detail: "{" }, "MalformedDetail"],
    [{ ...entry, Detail: "[]" }, "MalformedDetail"],
    [{ ...entry, Detail: '"text"' }, "MalformedDetail"],
    [{ ...entry, Source: "aws.s3" }, "NotAuthorizedForSourceException"],
  ])("judges %j as %s", (given, code) => {
    expect(failedEntry(given)?.ErrorCode).toBe(code);
  });
});
