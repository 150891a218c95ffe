import { contains, overlaps, parseCidr } from "../../config/ipv4";

describe("parseCidr", () => {
  test.each([
    ["0.0.0.0/0", { first: 0, last: 2 ** 32 - 1, prefixLength: 0 }],
    ["255.255.255.255/32", { first: 2 ** 32 - 1, last: 2 ** 32 - 1, prefixLength: 32 }],
    ["192.168.2.0/24", { first: 0xc0a80200, last: 0xc0a802ff, prefixLength: 24 }],
    ["128.0.0.0/1", { first: 2 ** 31, last: 2 ** 32 - 1, prefixLength: 1 }],
  ])("reads %s", (text, network) => {
    expect(parseCidr(text)).toEqual(network);
  });

  test.each([
    "",
    "10.0.0.0",
    "10.0.0/8",
    "10.0.0.0/33",
    "10.0.0.256/32",
    "10.0.0.1/24",
    "10.0.0.0/8 ",
    "10.0.0.0/8\n",
    "-1.0.0.0/8",
    "::/0",
    "a.b.c.d/8",
    "1e1.0.0.0/8",
  ])("refuses %j", (text) => {
    expect(parseCidr(text)).toBeUndefined();
  });
});

describe("contains and overlaps", () => {
  const net = (text: string) => parseCidr(text)!;

  test.each([
    ["10.0.0.0/8", "10.0.0.0/8", true, true],
    ["10.0.0.0/8", "10.255.255.0/24", true, true],
    ["10.255.255.0/24", "10.0.0.0/8", false, true],
    ["10.0.0.0/25", "10.0.0.128/25", false, false],
    ["10.0.0.0/24", "10.0.1.0/24", false, false],
    ["0.0.0.0/0", "255.255.255.255/32", true, true],
  ])("%s and %s", (outer, inner, containing, overlapping) => {
    expect(contains(net(outer), net(inner))).toBe(containing);
    expect(overlaps(net(outer), net(inner))).toBe(overlapping);
    expect(overlaps(net(inner), net(outer))).toBe(overlapping);
  });
});
