/** Tries the activity page in Chromium, with a feed of hostile data: `node --require ./tsx.cjs rehearsal/page/browser-test.ts`. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, BrowserContext, Locator, Page } from "playwright-core";
import { STAGES } from "../aws/local-aws";
import { startBrowser } from "./browser";
import { Feed } from "./feed";
import { PageServer, type PageServerOptions } from "./server";
import type { DeadLetter, Traffic } from "./state";

const MOST_BYTES = 150_000;

/** Would leave a mark as markup, in an attribute, as a script's string, or by its direction. */
const HOSTILE = [
  "<img src=x onerror=window.marked=1>",
  '"><svg onload=window.marked=1>',
  "</script><script>window.marked=1</script>",
  "javascript:window.marked=1",
  "'+window.marked=1+'",
  "\u202etxt.exe\u2066",
];
const MAIN = "refs/heads/main";
const LIVE = "1a".repeat(20);
const NEXT = "2b".repeat(20);

/** A page that is open, and what it is fed with. */
interface Scene {
  readonly browser: Browser;
  readonly context: BrowserContext;
  readonly page: Page;
  readonly feed: Feed;
  readonly server: PageServer;
  readonly options: PageServerOptions;
  readonly replayed: { queue: string; id: string }[];
  /** What the browser complained of. */
  readonly complaints: string[];
  /** Every address that was asked for, and the bytes of the answers. */
  readonly asked: string[];
  bytes: number;
}

const CHECKS: Record<string, (scene: Scene) => Promise<void>> = {
  "shows hostile names, messages and log lines as text": async ({ page, feed }) => {
    for (const [index, text] of HOSTILE.entries()) {
      const after = index.toString(16).padStart(40, "e");
      const ref = `refs/heads/${text}`;
      const id = feed.pushed({ ref, after, at: Date.now() });
      feed.described(id, { author: text, message: text });
      feed.activity({
        stage: "building",
        state: "started",
        commit: after,
        ref,
        detail: text,
        at: Date.now(),
      });
      feed.logLine({ commit: after, ref, at: Date.now() }, text);
      feed.produced(after, { [text]: text });
      feed.activity({
        stage: "filtered",
        state: "skipped",
        commit: after,
        ref,
        detail: text,
        at: Date.now(),
      });
    }
    feed.deadLetters(HOSTILE.map((text, index) => letter(String(index), text)));
    const hostile = page.locator("#pushes .branch", { hasText: "<img src=x" });
    await hostile.waitFor();
    assert.equal(await hostile.textContent(), HOSTILE[0]);
    await page.locator("#pushes .branch", { hasText: "\ufffdtxt.exe\ufffd" }).waitFor();
    assert.equal(await page.locator("#pushes .log", { hasText: "<svg onload" }).count(), 1);
    assert.equal(await page.locator("img, iframe, object, embed, form, a:not(.skip)").count(), 0);
    assert.equal(await page.locator("script").count(), 1);
    assert.equal(await page.locator("svg").count(), 2);
    assert.equal(await page.evaluate("window.marked"), undefined);
  },

  "gives markup no way in even if the page tried": async ({ page, complaints }) => {
    const refused = "try { document.body.innerHTML = '<b>x</b>'; 'done' } catch (error) { error.name }";
    assert.equal(await page.evaluate(refused), "TypeError");
    // The browser's word about it, which is meant.
    complaints.length = 0;
  },

  "follows a push to live, stage by stage": async ({ page, feed }) => {
    playRelease(feed, LIVE, "Version 1");
    const row = rowOf(page, LIVE);
    await hasOutcome(row, "live");
    const names = await row.locator(".stages .stage").allTextContents();
    assert.deepEqual(names, [...STAGES]);
    assert.equal(await row.locator('.stages [data-state="succeeded"] > .sign').count(), STAGES.length);
    playRelease(feed, NEXT, "Version 2");
    await hasOutcome(row, "replaced");
    assert.match((await page.locator("#news").textContent()) ?? "", /2b2b2b2b2b: live|1a1a1a1a1a: replaced/);
    assert.match((await page.locator("#pushes > li").first().textContent()) ?? "", /Version 2/);
  },

  "opens a push with the keyboard alone": async ({ page }) => {
    await page.locator("body").press("Tab");
    assert.equal(await page.evaluate("document.activeElement.className"), "skip");
    await page.keyboard.press("Enter");
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate("document.activeElement.tagName"), "SUMMARY");
    const details = page.locator("#pushes > li > details").first();
    assert.equal(await details.getAttribute("open"), null);
    await page.keyboard.press("Enter");
    assert.equal(await details.getAttribute("open"), "");
    const log = details.locator(".log");
    assert.equal(await log.isVisible(), true);
    assert.match((await log.textContent()) ?? "", /outcome: published 2b2b2b2b2b/);
    assert.match(
      (await details.locator(".products").textContent()) ?? "",
      /2b2b2b2b2b.*sha256:.*taskdef\.json/s,
    );
  },

  "adds to the log as it is written, and keeps to its end": async ({ page, feed }) => {
    for (let line = 0; line < 100; line += 1) {
      feed.logLine({ commit: NEXT, ref: MAIN, at: Date.now() }, `line ${line}`);
    }
    const log = rowOf(page, NEXT).locator(".log");
    await log.getByText("line 99").waitFor();
    const isAtEnd = `(() => {
      const log = document.querySelector("#pushes details[open] .log");
      return log.scrollTop > 0 && log.scrollHeight - log.scrollTop - log.clientHeight < 24;
    })()`;
    await eventually(async () => assert.equal(await page.evaluate(isAtEnd), true));
  },

  "shows who gets which share of the traffic": async ({ page, feed }) => {
    feed.trafficNow(traffic(100, 0));
    await page.getByText("blue 100 %").first().waitFor();
    await page.locator('.group[data-colour="blue"] .version', { hasText: "0123456789" }).waitFor();
    feed.trafficNow(traffic(90, 10));
    feed.sample({ at: Date.now(), requests: { blue: 18, green: 2 }, failures: { blue: 0, green: 1 } });
    const production = page.locator(".listener").first();
    await production.getByText("blue 90 %").waitFor();
    assert.match((await production.textContent()) ?? "", /blue 90 percent, green 10 percent/);
    const green = page.locator('.group[data-colour="green"]');
    await eventually(async () => assert.match((await green.textContent()) ?? "", /2 requests\/s 1 failed/));
    assert.match((await green.textContent()) ?? "", /10\.0\.0\.3 healthy/);
  },

  "replays a dead letter, and says so": async ({ page, replayed }) => {
    const item = page.locator("#letters > li").filter({ hasText: HOSTILE[0]! });
    await item.getByRole("button", { name: "Replay" }).click();
    await page.locator("#letters-answer", { hasText: "on its way again" }).waitFor();
    assert.deepEqual(replayed, [{ queue: "push-dead-letters", id: "0" }]);
    await eventually(async () => assert.equal(await item.count(), 0));
  },

  "lets no other web page read it or press its buttons": async ({ context, server, replayed }) => {
    const target = server.url;
    const attack = `<iframe src="${target}"></iframe><script>
      const target = ${JSON.stringify(target)};
      const body = JSON.stringify({ queue: "push-dead-letters", id: "1" });
      const tries = [
        fetch(target).then((answer) => answer.text()),
        fetch(target + "replay", { method: "POST", mode: "no-cors", headers: { "Content-Type": "text/plain" }, body }).then(() => { throw 0 }),
        fetch(target + "replay", { method: "POST", headers: { "Content-Type": "application/json", "X-Rehearsal-Token": "x" }, body }),
        new Promise((read, not) => { const events = new EventSource(target + "events"); events.onmessage = read; events.onerror = not; }),
        import(target + "page.js"),
      ];
      Promise.allSettled(tries).then((ends) => { document.title = ends.map(({ status }) => status).join(" "); });
    </script>`;
    const foreign = createServer((_, outgoing) =>
      outgoing.setHeader("Content-Type", "text/html").end(attack),
    );
    foreign.listen(0, "127.0.0.1");
    await once(foreign, "listening");
    const other = await context.newPage();
    try {
      await other.goto(`http://127.0.0.1:${(foreign.address() as AddressInfo).port}/`);
      await eventually(async () => assert.match(await other.title(), /^(rejected ?){5}$/));
      assert.equal(await other.frames()[1]?.locator("#pushes").count(), 0);
      assert.equal(replayed.length, 1);
    } finally {
      await other.close();
      foreign.close();
      foreign.closeAllConnections();
    }
  },

  "has its history after a reload": async ({ page }) => {
    const texts = () => page.locator("#pushes .what").allTextContents();
    const before = await texts();
    await page.reload();
    await eventually(async () => assert.deepEqual(await texts(), before));
    assert.match((await rowOf(page, NEXT).locator(".log").textContent()) ?? "", /line 99/);
    await page.getByText("blue 90 %").waitFor();
    assert.ok((await page.locator("#not-started > li").count()) >= HOSTILE.length);
  },

  "comes again by itself when the connection is lost": async (scene) => {
    const { page, server, options, feed } = scene;
    await rowOf(page, NEXT).locator("summary").first().click();
    const port = Number(new URL(server.url).port);
    await server.close();
    await page.locator('#connection:not([data-state="live"])').waitFor();
    feed.pushed({ ref: MAIN, after: "3c".repeat(20), at: Date.now() });
    const next = await PageServer.start({ ...options, port });
    try {
      await page.locator('#connection[data-state="live"]').waitFor();
      await rowOf(page, "3c".repeat(20)).waitFor();
      assert.equal(await rowOf(page, NEXT).locator("details").first().getAttribute("open"), "");
      assert.equal((await rowOf(page, NEXT).locator(".log").textContent())?.match(/line 99/g)?.length, 1);
    } finally {
      await next.close();
    }
    scene.complaints.length = 0;
  },
};

/** The page in each shape: nothing sticks out of it, and it can be looked at. */
const SHAPES = {
  "light-wide": { width: 1280, height: 900, colorScheme: "light" },
  "dark-wide": { width: 1280, height: 900, colorScheme: "dark" },
  "light-narrow": { width: 360, height: 740, colorScheme: "light" },
} as const;

async function checkShape(scene: Scene, name: keyof typeof SHAPES, folder: string): Promise<void> {
  const { page } = scene;
  const { width, height, colorScheme } = SHAPES[name];
  await page.setViewportSize({ width, height });
  await page.emulateMedia({ colorScheme });
  await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true, animations: "disabled" });
  assert.equal(await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), true);
  const paper = String(await page.evaluate("getComputedStyle(document.body).backgroundColor"));
  const [red = 0] = paper.match(/\d+/g)?.map(Number) ?? [];
  assert.equal(red > 128, colorScheme === "light", `background is ${paper}`);
}

async function main(): Promise<number> {
  const given = process.argv[2];
  const folder = given ?? mkdtempSync(join(tmpdir(), "activity-page-"));
  const browser = await startBrowser();
  let failed = 0;
  let passed = 0;
  const check = async (name: string, work: () => Promise<void>) => {
    try {
      await work();
      passed += 1;
      console.log(`+ ${name}`);
    } catch (error) {
      failed += 1;
      console.log(`! ${name}\n${(error as Error).stack}`);
    }
  };
  const scene = await openPage(browser);
  try {
    const { [COMES_AGAIN]: comesAgain, ...checks } = CHECKS;
    for (const [name, work] of Object.entries(checks)) await check(name, () => work(scene));
    for (const name of Object.keys(SHAPES) as (keyof typeof SHAPES)[]) {
      await check(`has the shape ${name}`, () => checkShape(scene, name, folder));
    }
    await check("asks nobody else, takes little, and makes the browser complain of nothing", async () => {
      const { asked, complaints, bytes, server } = scene;
      assert.deepEqual(
        asked.filter((url) => !url.startsWith(server.url) && !url.startsWith("data:")),
        [],
      );
      assert.deepEqual(complaints, []);
      assert.ok(bytes > 20_000 && bytes < MOST_BYTES, `the page takes ${bytes} bytes`);
    });
    // The last: it ends the server.
    await check(COMES_AGAIN, () => comesAgain!(scene));
  } finally {
    await browser.close();
    if (given === undefined) rmSync(folder, { recursive: true });
  }
  console.log(`\n${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

const COMES_AGAIN = "comes again by itself when the connection is lost";

async function openPage(browser: Browser): Promise<Scene> {
  const replayed: { queue: string; id: string }[] = [];
  const feed: Feed = new Feed((event) => server.publish(event));
  const options: PageServerOptions = {
    snapshot: () => feed.snapshot(),
    replay: async (gone) => {
      replayed.push(gone);
      feed.deadLetters(feed.snapshot().letters.filter(({ id }) => id !== gone.id));
    },
  };
  const server = await PageServer.start(options);
  const context = await browser.newContext();
  const page = await context.newPage();
  page.setDefaultTimeout(10_000);
  const scene: Scene = {
    ...{ browser, context, page, feed, server, options, replayed },
    complaints: [],
    asked: [],
    bytes: 0,
  };
  page.on("console", (message) => scene.complaints.push(message.text()));
  page.on("pageerror", (error) => scene.complaints.push(error.message));
  page.on("request", (request) => scene.asked.push(request.url()));
  const loaded = new Set<string>();
  page.on("response", async (response) => {
    if (response.url().endsWith("/events") || loaded.has(response.url())) return;
    loaded.add(response.url());
    const { length } = await response.body();
    scene.bytes += length;
  });
  await page.goto(server.url);
  await page.locator('#connection[data-state="live"]').waitFor();
  return scene;
}

function playRelease(feed: Feed, commit: string, message: string): void {
  const digest = `sha256:${"d".repeat(64)}`;
  const at = Date.now();
  const id = feed.pushed({ ref: MAIN, after: commit, at });
  feed.described(id, { author: "Rehearsal", message });
  const tell = (stage: (typeof STAGES)[number], state: "started" | "succeeded", detail: string) =>
    feed.activity({ stage, state, commit, detail, at: Date.now() });
  tell("received", "succeeded", "push of refs/heads/main taken, answered 200");
  tell("filtered", "succeeded", "taken by rule example-start-build");
  tell("queued", "started", "state machine example-start-build has it");
  tell("building", "started", "build 1 of example-image-build");
  const tag = commit.slice(0, 10);
  for (const line of [
    `[image] building ${tag} from docker/Dockerfile`,
    `[image] pushed ${tag}: ${digest}`,
    "[render] rendered imageDetail.json, taskdef.json and appspec.yaml",
    `outcome: published ${tag}`,
  ]) {
    feed.logLine({ commit, ref: MAIN, at: Date.now() }, line);
  }
  feed.produced(commit, { "taskdef.json": '{\n  "family": "example"\n}' });
  tell("building", "succeeded", `published ${tag}`);
  tell("pipeline", "succeeded", "went through all stages");
  tell("test listener", "succeeded", "the test listener leads to the new version");
  tell("live", "succeeded", "production leads to the new version");
  tell("old version gone", "succeeded", "the old version's tasks have ended");
}

function letter(id: string, text: string): DeadLetter {
  const queue = "push-dead-letters";
  return { queue, id, about: text, error: text, at: Date.now(), replays: "starts the build again" };
}

function traffic(blue: number, green: number): Traffic {
  const healthy = (id: string) => ({ id, state: "healthy", reason: "" });
  return {
    listeners: [
      { name: "production", port: 80, shares: { blue, green } },
      { name: "test listener", port: 8080, shares: { blue: 0, green: 100 } },
    ],
    groups: [
      { colour: "blue", version: "0123456789", targets: [healthy("10.0.0.1"), healthy("10.0.0.2")] },
      {
        colour: "green",
        version: "",
        targets: [healthy("10.0.0.3"), { id: "10.0.0.4", state: "initial", reason: "" }],
      },
    ],
  };
}

function rowOf(page: Page, commit: string): Locator {
  return page
    .locator("#pushes > li")
    .filter({ has: page.locator(".commit", { hasText: commit.slice(0, 10) }) });
}

async function hasOutcome(row: Locator, outcome: string): Promise<void> {
  await eventually(async () => assert.equal(await row.getAttribute("data-outcome"), outcome));
}

/** Looks again for five seconds. */
async function eventually(look: () => Promise<void>): Promise<void> {
  const end = Date.now() + 5000;
  for (;;) {
    try {
      await look();
      return;
    } catch (error) {
      if (Date.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

main().then(
  (status) => process.exit(status),
  (error: Error) => {
    console.error(error.message);
    process.exit(2);
  },
);
