/**
 * Watches the next push of a running rehearsal in Chromium until it is live, and takes pictures on the way:
 * `node --require ./tsx.cjs rehearsal/page/watch-rehearsal.ts URL FOLDER`.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { startBrowser } from "./browser";

/** How long somebody may take to push, and the push to go live. */
const PATIENCE_MILLISECONDS = 240_000;

async function main(url: string, folder: string): Promise<void> {
  const browser = await startBrowser();
  try {
    const page = await browser.newPage({ viewport: { width: 1280, height: 900 }, colorScheme: "light" });
    page.setDefaultTimeout(PATIENCE_MILLISECONDS);
    const complaints: string[] = [];
    page.on("console", (message) => complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("request", (request) => {
      if (!request.url().startsWith(url) && !request.url().startsWith("data:"))
        complaints.push(request.url());
    });
    await page.goto(url);
    await page.locator('#connection[data-state="live"]').waitFor();
    // The first state is there once the traffic is, as the stack is deployed.
    await page.locator("#traffic .listener").first().waitFor();
    const before = await page.locator("#pushes > li").count();
    console.log(`watching; ${before} pushes so far`);
    await page.locator(`#pushes > li:nth-last-child(${before + 1})`).waitFor();
    const push = page.locator(`#pushes > li:nth-last-child(${before + 1})`);
    await push.locator("summary").first().click();

    const passed = (stage: string) =>
      push
        .locator(".stages > li", { has: page.getByText(stage, { exact: true }) })
        .and(page.locator('[data-state="succeeded"]'));
    await passed("artifact").waitFor();
    assert.match((await push.locator(".log").textContent()) ?? "", /outcome: published/);
    await passed("test listener").waitFor();
    const commit = (await push.locator(".commit").first().textContent()) ?? "";
    assert.match(commit, /^[0-9a-f]{10}$/);
    const runs = (listener: string) => {
      const use = page.locator(".use", { hasText: listener });
      return page.locator("#traffic .group", { has: use }).locator(".version", { hasText: commit });
    };
    await runs("test listener").waitFor();
    // The bars take a moment to move.
    await page.waitForTimeout(700);
    await page.screenshot({ path: join(folder, "activity.png") });
    await page.emulateMedia({ colorScheme: "dark" });
    await page.screenshot({ path: join(folder, "activity-dark.png") });
    await push.and(page.locator('[data-outcome="live"]')).waitFor();
    await runs("production").waitFor();
    await passed("old version gone").waitFor();
    await page.setViewportSize({ width: 420, height: 900 });
    await page.screenshot({ path: join(folder, "activity-narrow.png") });
    assert.equal(await page.locator('#pushes > [data-outcome="live"]').count(), 1);
    assert.deepEqual(complaints, []);
    console.log("the push was watched from its arrival to live");
  } finally {
    await browser.close();
  }
}

const [url, folder] = process.argv.slice(2);
if (!url || !folder) throw new Error("an address and a folder are expected");
main(url, folder).then(
  () => process.exit(0),
  (error: Error) => {
    console.error(error.stack);
    process.exit(1);
  },
);
