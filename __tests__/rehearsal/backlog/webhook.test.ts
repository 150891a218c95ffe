import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import {
  checkHookUrl,
  type Delivery,
  deliver,
  webhookBody,
  webhookPayload,
} from "../../../rehearsal/backlog/webhook";

const after = "dfac5de786839179987b7f7207e54936048b41ce";
const before = "cd33ef0e846548e02cb2ba1e737c401da3f09235";
const update = { before, after, ref: "refs/heads/test/webhook" };
const repository = { name: "pwa", description: null, url: "https://example.backlog.jp/git/AST/pwa" };
const revision = {
  id: after,
  message: "test",
  timestamp: "2020-02-05T17:02:51+09:00",
  author: { name: "author", email: "author@example.com" },
  added: [],
  modified: ["src/commons/constants.ts"],
  removed: [],
};

/** As a real Backlog sent it, decoded. */
const CAPTURED =
  '{"revisions":[{"timestamp":"2020-02-05T17:02:51+09:00","url":"https://example.backlog.jp/git/AST/pwa/commit/dfac5de786839179987b7f7207e54936048b41ce","id":"dfac5de786839179987b7f7207e54936048b41ce","message":"test","modified":["src/commons/constants.ts"],"author":{"name":"author","email":"author@example.com"}}],"repository":{"name":"pwa","description":null,"url":"https://example.backlog.jp/git/AST/pwa"},"ref":"refs/heads/test/webhook","after":"dfac5de786839179987b7f7207e54936048b41ce","before":"cd33ef0e846548e02cb2ba1e737c401da3f09235"}';

describe("the webhook's body", () => {
  test("is byte for byte the captured JSON", () => {
    expect(JSON.stringify(webhookPayload(update, repository, [revision]))).toBe(CAPTURED);
  });

  test("names added and removed files only where there are some", () => {
    const payload = webhookPayload(update, repository, [
      { ...revision, added: ["a"], modified: [], removed: ["b"] },
    ]) as { revisions: Record<string, unknown>[] };
    expect(payload.revisions[0]).toMatchObject({ added: ["a"], removed: ["b"] });
    expect(payload.revisions[0]).not.toHaveProperty("modified");
  });

  test('is one form parameter with : / " @ and + percent-encoded and blanks as +', () => {
    const body = webhookBody({ text: 'a b+c:/"@é&=%' });
    expect(body).toBe("payload=%7B%22text%22%3A%22a+b%2Bc%3A%2F%5C%22%40%C3%A9%26%3D%25%22%7D");
    const encoded = webhookBody(webhookPayload(update, repository, [revision]));
    expect(encoded).toContain("%222020-02-05T17%3A02%3A51%2B09%3A00%22");
    expect(decodeURIComponent(encoded.slice("payload=".length).replaceAll("+", " "))).toBe(CAPTURED);
  });
});

describe("deliver", () => {
  let server: Server;
  let url: string;
  let statuses: number[];
  let seen: { address: string | undefined; type: string | undefined; body: string }[];
  const waited: number[] = [];
  const options = {
    sourceAddress: "127.54.64.128",
    wait: async (seconds: number) => {
      waited.push(seconds);
    },
  };
  const newDelivery = (): Delivery => ({ ...update, attempts: [], state: "sending" });

  beforeEach(async () => {
    seen = [];
    waited.length = 0;
    server = createServer((request, response) => {
      let body = "";
      request.on("data", (chunk) => {
        body += chunk;
      });
      request.on("end", () => {
        seen.push({ address: request.socket.remoteAddress, type: request.headers["content-type"], body });
        response.writeHead(statuses.shift() ?? 200).end("{}");
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/prod/secret`;
  });
  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });

  test("posts a form from the given source address", async () => {
    statuses = [200];
    const delivery = newDelivery();
    await deliver(url, { a: 1 }, delivery, options);
    expect(seen).toEqual([
      {
        address: "127.54.64.128",
        type: "application/x-www-form-urlencoded",
        body: "payload=%7B%22a%22%3A1%7D",
      },
    ]);
    expect(delivery.state).toBe("accepted");
  });

  test("tries again after a 5xx, with growing pauses", async () => {
    statuses = [503, 500, 200];
    const delivery = newDelivery();
    await deliver(url, {}, delivery, options);
    expect(delivery.attempts.map(({ status }) => status)).toEqual([503, 500, 200]);
    expect(delivery.state).toBe("accepted");
    expect(waited).toEqual([...waited].sort((a, b) => a - b));
    expect(waited).toHaveLength(2);
  });

  test.each([400, 403, 429])("does not try again after a %i", async (status) => {
    statuses = [status];
    const delivery = newDelivery();
    await deliver(url, {}, delivery, options);
    expect(seen).toHaveLength(1);
    expect(delivery.state).toBe("refused");
  });

  test("gives a push up as lost after several tries", async () => {
    statuses = Array(20).fill(503);
    const delivery = newDelivery();
    await deliver(url, {}, delivery, options);
    expect(delivery.state).toBe("lost");
    expect(seen).toHaveLength(6);
  });

  test("tries again when nobody listens", async () => {
    await new Promise((resolve) => server.close(resolve));
    const delivery = newDelivery();
    await deliver(url, {}, delivery, options);
    expect(delivery.state).toBe("lost");
    expect(delivery.attempts[0]?.trouble).toMatch(/ECONNREFUSED/);
  });

  test.each([
    "https://example.com/a",
    "http://example.com/a",
    "http://127.0.0.1.example.com/a",
    "http://10.0.0.1/",
  ])("refuses to send to %s", (bad) => {
    expect(() => checkHookUrl(bad)).toThrow(/must be http on a loopback address/);
  });

  test("does not repeat the secret path in its refusal", () => {
    expect(() => checkHookUrl("https://example.com/prod/topsecret")).not.toThrow(/topsecret/);
  });
});
