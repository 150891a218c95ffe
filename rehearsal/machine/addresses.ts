import { createServer } from "node:net";
import { networkInterfaces } from "node:os";
import { run } from "./command";

/** First and last address of an IPv4 range in CIDR form, as numbers. */
function parseRange(range: string): { first: number; last: number } {
  const [address = "", bits = "32"] = range.split("/");
  const size = 2 ** (32 - Number(bits));
  const first = Math.floor(toNumber(address) / size) * size;
  return { first, last: first + size - 1 };
}

function toNumber(address: string): number {
  return address.split(".").reduce((number, part) => number * 256 + Number(part), 0);
}

function overlap(a: string, b: string): boolean {
  const [left, right] = [parseRange(a), parseRange(b)];
  return left.first <= right.last && right.first <= left.last;
}

/** Names of the interfaces that have an IPv4 address in `range`. */
export async function interfacesWithin(range: string): Promise<string[]> {
  const result = await run("ip", ["-oneline", "-4", "address", "show"]);
  return result.stdout
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , , address]) => address !== undefined && overlap(range, `${address.split("/")[0]}/32`))
    .map(([, name]) => name!);
}

/**
 * A private /20 for an engine's networks that no interface, route or name server of this machine uses.
 * @throws Error when all that are tried are in use
 */
export async function freeRange(): Promise<string> {
  const routes = (await run("ip", ["-4", "route", "show", "table", "all"])).stdout
    .split("\n")
    .flatMap((line) => line.match(/\b\d+\.\d+\.\d+\.\d+(\/\d+)?\b/g) ?? []);
  const own = Object.values(networkInterfaces()).flatMap((list) =>
    (list ?? []).map(({ cidr }) => cidr ?? ""),
  );
  // A route for half the internet (a VPN's) yields to the narrower one of a bridge.
  const used = [...routes, ...own].filter(
    (range) => /^\d+\./.test(range) && Number(range.split("/")[1] ?? 32) >= 8,
  );
  // 172.16.0.0/12 from its end: engines hand out its beginning.
  for (let second = 31; second >= 24; second -= 1) {
    for (let third = 240; third >= 0; third -= 16) {
      const candidate = `172.${second}.${third}.0/20`;
      if (!used.some((range) => overlap(candidate, range))) {
        return candidate;
      }
    }
  }
  throw new Error(
    "found no free private address range in 172.24.0.0 to 172.31.255.255 for the container engine",
  );
}

/** A TCP port of 127.0.0.1 that is free now, for a program that cannot choose one and tell. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}
