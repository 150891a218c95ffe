import { request } from "node:http";
import { Feed } from "../../../rehearsal/page/feed";
import { PageServer } from "../../../rehearsal/page/server";

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

describe("PageServer", () => {
  let server: PageServer;
  let feed: Feed;
  let token: string;
  const replay = jest.fn();

  beforeAll(async () => {
    feed = new Feed((event) => server.publish(event));
    server = await PageServer.start({ snapshot: () => feed.snapshot(), replay });
    const { body } = await ask("/");
    token = /name="token" content="([^"]+)"/.exec(body)![1]!;
  });
  beforeEach(() => replay.mockReset());
  afterAll(() => server.close());

  const origin = () => server.url.replace(/\/$/, "");

  function ask(path: string, { method = "GET", headers = {}, body = "" } = {}): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const outgoing = request(new URL(path, server.url), { method, headers, agent: false }, (response) => {
        let text = "";
        response.on("data", (chunk) => {
          text += chunk;
          // The stream has no end: its first frame is enough.
          if (path === "/events" && text.includes("data: ")) outgoing.destroy();
        });
        response.on("close", () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }),
        );
      });
      outgoing.on("error", reject);
      outgoing.end(body);
    });
  }

  const LETTER = JSON.stringify({ queue: "dead", id: "1" });
  const press = (headers: Record<string, string> = {}, body = LETTER, path = "/replay") =>
    ask(path, {
      method: "POST",
      headers: {
        Origin: origin(),
        "Content-Type": "application/json",
        "X-Rehearsal-Token": token,
        ...headers,
      },
      body,
    });

  test.each(["/", "/page.js", "/page.css", "/events", "/nothing"])(
    "lets nothing foreign into %s",
    async (path) => {
      const { headers } = await ask(path);
      expect(headers).toMatchObject({
        "content-security-policy": expect.stringMatching(
          /^default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; form-action 'none'; frame-ancestors 'none'; base-uri 'none'/,
        ),
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "cache-control": "no-store",
      });
      expect(headers).not.toHaveProperty("access-control-allow-origin");
    },
  );

  test("is small, without types, and asks nobody else", async () => {
    let size = 0;
    for (const path of [
      "/",
      "/page.css",
      "/page.js",
      "/dom.js",
      "/push-row.js",
      "/traffic-view.js",
      "/letters-view.js",
    ]) {
      const { status, body } = await ask(path);
      expect([path, status]).toEqual([path, 200]);
      size += body.length;
      expect(body.replaceAll("http://www.w3.org/2000/svg", "")).not.toMatch(/\/\/[a-z0-9.-]+\.[a-z]{2,}/);
      expect(body).not.toMatch(/innerHTML|outerHTML|insertAdjacentHTML|document\.write|\son[a-z]+=/);
    }
    expect(size).toBeLessThan(60_000);
  });

  test.each(["evil.example", "127.0.0.1", "127.0.0.1:1"])("serves no other host name: %p", async (host) => {
    for (const path of ["/", "/events"]) {
      expect((await ask(path, { headers: { Host: host } })).status).toBe(403);
    }
  });

  test("goes by the name localhost too", async () => {
    const host = `localhost:${new URL(server.url).port}`;
    expect((await ask("/", { headers: { Host: host } })).status).toBe(200);
  });

  test.each(["cross-site", "same-site"])("gives its stream and its script to no %s page", async (site) => {
    for (const path of ["/events", "/page.js"]) {
      expect((await ask(path, { headers: { "Sec-Fetch-Site": site } })).status).toBe(403);
    }
    expect((await ask("/", { headers: { "Sec-Fetch-Site": site } })).status).toBe(200);
  });

  test("sends a new page everything so far", async () => {
    const id = feed.pushed({ ref: "refs/heads/</script>", after: "a".repeat(40), at: 1 });
    const { headers, body } = await ask("/events");
    expect(headers["content-type"]).toBe("text/event-stream");
    const [retry, data] = body.split("\n\n");
    expect(retry).toBe("retry: 1000");
    const event = JSON.parse(data!.replace("data: ", ""));
    expect(event).toMatchObject({ type: "state", state: { pushes: [{ id, name: "</script>" }] } });
  });

  test("keeps a frame of the stream on one line", async () => {
    const letter = { queue: "q", id: "1", about: "x\n\ndata: {}", error: "\r\n\r\n", at: 1, replays: "" };
    const stream = await new Promise<string>((resolve, reject) => {
      const outgoing = request(new URL("/events", server.url), { agent: false }, (response) => {
        let text = "";
        response.on("data", (chunk) => {
          text += chunk;
          feed.deadLetters([letter]);
          if (text.includes('"type":"letters"')) resolve(text);
        });
        response.on("error", () => {});
      });
      outgoing.on("error", reject);
      outgoing.end();
    });
    const [, ...frames] = stream.trim().split("\n\n");
    expect(frames.map((frame) => JSON.parse(frame.replace(/^data: /, "")).type)).toEqual([
      "state",
      "letters",
    ]);
  });

  test("replays a dead letter when its own page asks", async () => {
    expect(await press()).toMatchObject({ status: 200, body: "on its way again\n" });
    expect(replay).toHaveBeenCalledWith({ queue: "dead", id: "1" });
  });

  test("says why a letter cannot be replayed", async () => {
    replay.mockRejectedValue(new Error("the message is not in the queue any more"));
    expect(await press()).toMatchObject({ status: 409, body: "the message is not in the queue any more\n" });
  });

  test.each([
    ["no origin", { Origin: "" }, 403],
    ["another page", { Origin: "http://evil.example" }, 403],
    ["a page of another port", { Origin: "http://127.0.0.1:1" }, 403],
    ["a page without an origin of its own", { Origin: "null" }, 403],
    ["a cross-site request", { "Sec-Fetch-Site": "cross-site" }, 403],
    ["another token", { "X-Rehearsal-Token": "x".repeat(43) }, 403],
    ["no token", { "X-Rehearsal-Token": "" }, 403],
    ["a form", { "Content-Type": "application/x-www-form-urlencoded" }, 415],
    ["plain text", { "Content-Type": "text/plain" }, 415],
  ])("refuses a button's request: %s", async (_, headers, status) => {
    expect((await press(headers)).status).toBe(status);
    expect(replay).not.toHaveBeenCalled();
  });

  test.each(["", "[]", "{", '{"queue":1,"id":"1"}', `{"queue":"q","id":"${"x".repeat(5000)}"}`])(
    "refuses a body that names no letter: %.20s",
    async (body) => {
      expect((await press({}, body)).status).toBe(400);
      expect(replay).not.toHaveBeenCalled();
    },
  );

  test("has no other button, and changes nothing by GET", async () => {
    expect((await press({}, LETTER, "/events")).status).toBe(404);
    expect((await ask("/replay")).status).toBe(404);
    expect((await ask("/", { method: "PUT" })).status).toBe(405);
    expect(replay).not.toHaveBeenCalled();
  });

  test("reads no file beside its own", async () => {
    for (const path of ["/../server.ts", "/tsconfig.json", "/%2e%2e/server.ts", "/page.ts"]) {
      expect((await ask(path)).status).toBe(404);
    }
  });
});
