import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { startLocalAws } from "../../../rehearsal/aws/endpoint";
import type { ServiceEvent } from "../../../rehearsal/data-plane/event-bus";
import { playObjectEvents } from "../../../rehearsal/data-plane/object-events";

describe("playObjectEvents", () => {
  let moto: Server;
  let aws: Awaited<ReturnType<typeof startLocalAws>>;
  let events: ServiceEvent[];
  /** How many writes the control plane has at once, and the most it ever had. */
  let writes: number;
  let most: number;

  beforeEach(async () => {
    events = [];
    writes = 0;
    most = 0;
    moto = createServer(async (request, response) => {
      if (request.url!.includes("notification")) {
        const on = request.url!.startsWith("/on")
          ? "<EventBridgeConfiguration></EventBridgeConfiguration>"
          : "";
        response.end(`<NotificationConfiguration>${on}</NotificationConfiguration>`);
        return;
      }
      writes += 1;
      most = Math.max(most, writes);
      await new Promise((resolve) => setTimeout(resolve, 10));
      writes -= 1;
      const isLost = request.headers["if-none-match"] !== undefined;
      response.writeHead(isLost ? 412 : 200, { etag: '"e1"', "x-amz-version-id": "v1" }).end();
    });
    await new Promise<void>((resolve) => moto.listen(0, "127.0.0.1", resolve));
    aws = await startLocalAws({
      motoUrl: `http://127.0.0.1:${(moto.address() as AddressInfo).port}`,
      region: "eu-west-1",
      accountId: "123456789012",
      timeScale: 1,
      onActivity: () => {},
    });
    playObjectEvents(aws, (event) => {
      events.push(event);
    });
  });
  afterEach(async () => {
    await aws.close();
    await new Promise((resolve) => moto.close(resolve));
  });

  const put = (path: string, headers: Record<string, string> = {}) =>
    fetch(`${aws.endpoint}${path}`, {
      method: "PUT",
      body: "12345",
      headers: {
        Authorization: `AWS4 Credential=${aws.administrator.accessKeyId}/d/eu-west-1/s3/aws4_request`,
        ...headers,
      },
    });

  test("sends Object Created in AWS's form", async () => {
    await put("/on/folder/key.zip");
    expect(events).toEqual([
      {
        source: "aws.s3",
        "detail-type": "Object Created",
        resources: ["arn:aws:s3:::on"],
        detail: {
          version: "0",
          bucket: { name: "on" },
          object: {
            key: "folder/key.zip",
            size: 5,
            etag: "e1",
            "version-id": "v1",
            sequencer: expect.stringMatching(/^[0-9A-F]{16}$/),
          },
          "request-id": expect.any(String),
          requester: "123456789012",
          "source-ip-address": "127.0.0.1",
          reason: "PutObject",
        },
      },
    ]);
  });

  test("takes the size of the object, not of the chunks that it came in", async () => {
    await put("/on/key", { "x-amz-decoded-content-length": "3" });
    expect(events[0]!.detail.object).toMatchObject({ size: 3 });
  });

  test("says nothing for a bucket without EventBridge, and for a write that was refused", async () => {
    await put("/off/key");
    const answer = await put("/on/key", { "if-none-match": "*" });
    expect(answer.status).toBe(412);
    expect(events).toEqual([]);
  });

  test("lets the writes of one object pass one after the other", async () => {
    await Promise.all([put("/on/key"), put("/on/key"), put("/on/key")]);
    expect(most).toBe(1);
    await Promise.all([put("/on/a"), put("/on/b"), put("/on/c")]);
    expect(most).toBeGreaterThan(1);
  });
});
