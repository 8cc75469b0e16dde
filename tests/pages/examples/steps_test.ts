import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { testInChromium } from "../../support/browser/chromium.ts";
import { sharedChromium } from "../../support/browser/shared_chromium.ts";
import { accessibilityViolations, openWatchedPage } from "../../support/browser/watched_page.ts";
import { TempFolder } from "../../support/programs/temp_folder.ts";
import { ServedService } from "../../support/servers/served_service.ts";
import { eventually } from "../../support/wait.ts";
import { ADDRESS, copyExample, readExample } from "./example_files.ts";

/** The example on a service, with what it shows. */
async function openSteps(stack: AsyncDisposableStack) {
  const service = stack.use(await ServedService.start({ RUNNEL_RETRY_MS: "10" }));
  const folder = stack.use(new TempFolder());
  const { page, complaints } = await openWatchedPage(sharedChromium());
  stack.defer(() => page.close());
  await page.goto(`file://${await copyExample(folder, "steps.html", service.url)}`);
  return {
    service,
    page,
    complaints,
    publish: (step: string, state: string, error?: string) =>
      service.publish("p_order", "steps", { step, state, error }),
    async end() {
      const response = await fetch(`${service.url}/pipelines/p_order/end`, { method: "POST" });
      await response.body?.cancel();
    },
    async shows(finished: number, words: string, steps: string[]) {
      const names = ["Check the stock", "Take the payment", "Ship the parcel"];
      const expected = [finished, words, ...steps.map((step, i) => `${names[i]}: ${step}`)];
      let shown: unknown[] = [];
      await eventually(`the page shows ${expected}`, async () => {
        shown = await page.evaluate<unknown[]>(
          `[bar.value, state.textContent,
            ...[...document.querySelectorAll("li")].map(({ textContent }) => textContent)]`,
        );
        return shown.join() === expected.join();
      }).catch(() => {});
      deepEqual(shown, expected);
    },
  };
}

testInChromium("steps.html shows each step of a run, and stops at its end", async () => {
  await using stack = new AsyncDisposableStack();
  const { service, page, complaints, publish, end, shows } = await openSteps(stack);
  await shows(0, "Running.", ["waiting", "waiting", "waiting"]);
  equal(await page.evaluate("bar.max"), 3);
  await publish("check", "started");
  await shows(0, "Running.", ["started", "waiting", "waiting"]);
  await publish("check", "finished");
  await shows(1, "Running.", ["finished", "waiting", "waiting"]);
  await publish("pay", "started");
  await page.reload();
  await shows(1, "Running.", ["finished", "started", "waiting"]);
  deepEqual(await accessibilityViolations(page), []);
  deepEqual(complaints, []);

  await service.cut(async () => {
    await shows(1, "Reconnecting.", ["finished", "started", "waiting"]);
    await publish("pay", "finished");
  });
  await shows(2, "Running.", ["finished", "finished", "waiting"]);
  await publish("ship", "started");
  await publish("ship", "finished");
  await end();
  await shows(3, "Finished.", ["finished", "finished", "finished"]);
  const requests: string[] = [];
  page.on("request", (request) => requests.push(request.url()));
  await page.reload();
  await shows(3, "Finished.", ["finished", "finished", "finished"]);
  // One stream, and none after the end.
  equal(requests.filter((url) => url.includes("/sse")).length, 1);
  equal(service.stats.subscribers, 0);
  deepEqual(await accessibilityViolations(page), []);
});

testInChromium("steps.html shows a step that failed", async () => {
  await using stack = new AsyncDisposableStack();
  const { service, complaints, publish, end, shows } = await openSteps(stack);
  await publish("check", "started");
  await publish("check", "finished");
  await publish("pay", "started");
  await publish("pay", "failed", "the card <b>expired</b>");
  await end();
  await shows(1, "Ended before all steps had finished.", [
    "finished",
    "failed: the card <b>expired</b>",
    "waiting",
  ]);
  equal(service.stats.subscribers, 0);
  deepEqual(complaints, []);
});

Deno.test("steps.html is fed by the loop of the examples' README", async () => {
  await using service = await ServedService.start();
  const [, loop] = /^```sh\n(for step .*?)^```/ms.exec(await readExample("README.md"))!;
  const { success } = await new Deno.Command("bash", {
    args: ["-ec", loop!.replaceAll(ADDRESS, service.url).replace("sleep 1", "true")],
    stdout: "null",
    stderr: "null",
  }).output();
  equal(success, true);
  const { events, end } = await (await fetch(`${service.url}/pipelines/p_order/events`)).json();
  deepEqual(
    events.map(({ channel, payload }: { channel: string; payload: unknown }) => [channel, payload]),
    ["check", "pay", "ship"].flatMap((step) => [
      ["steps", { step, state: "started" }],
      ["steps", { step, state: "finished" }],
    ]),
  );
  equal(end.events, 6);
});
