import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { launchChromium, testInChromium } from "../../support/browser/chromium.ts";
import { accessibilityViolations, openWatchedPage } from "../../support/browser/watched_page.ts";
import { TempFolder } from "../../support/programs/temp_folder.ts";
import { ServedService } from "../../support/servers/served_service.ts";
import { eventually } from "../../support/wait.ts";
import { ADDRESS, copyExample, readExample } from "./example_files.ts";

testInChromium("progress.html shows progress events, and finishes", async () => {
  await using service = await ServedService.start({ RUNNEL_RETRY_MS: "10" });
  await using folder = new TempFolder();
  await using stack = new AsyncDisposableStack();
  const browser = stack.adopt(await launchChromium(), (browser) => browser.close());
  const { page, complaints } = await openWatchedPage(browser);
  const publish = (done: number) => service.publish("p_job", "progress", { done, total: 4 });
  const shows = async (expected: unknown[]) => {
    const read = "[bar.position, numbers.textContent, state.textContent]";
    let shown: unknown[] = [];
    await eventually(`the page shows ${expected}`, async () => {
      shown = await page.evaluate<unknown[]>(read);
      return shown.join() === expected.join();
    }).catch(() => {});
    deepEqual(shown, expected);
  };

  await page.goto(`file://${await copyExample(folder, "progress.html", service.url)}`);
  // The bar is indeterminate before the first event.
  await shows([-1, "", "Connected."]);
  await publish(1);
  await shows([0.25, "1 of 4", "Connected."]);
  deepEqual(await accessibilityViolations(page), []);
  deepEqual(complaints, []);

  await service.cut(async () => {
    await shows([0.25, "1 of 4", "Reconnecting."]);
    await publish(2);
  });
  await shows([0.5, "2 of 4", "Connected."]);
  await page.reload();
  await shows([0.5, "2 of 4", "Connected."]);
  await publish(3);
  await publish(4);
  await shows([1, "4 of 4", "Finished."]);
  await eventually("the stream is closed", () => service.stats.subscribers === 0);

  await page.reload();
  await shows([1, "4 of 4", "Finished."]);
  equal(await page.evaluate("source.readyState"), 2);
});

Deno.test("progress.html is fed by the loop of the examples' README", async () => {
  await using service = await ServedService.start();
  const [, loop] = /^```sh\n(for .*?)^```/ms.exec(await readExample("README.md"))!;
  const { success } = await new Deno.Command("bash", {
    args: ["-ec", loop!.replaceAll(ADDRESS, service.url).replace("sleep 1", "true")],
    stdout: "null",
    stderr: "null",
  }).output();
  equal(success, true);
  const { events } = await (await fetch(`${service.url}/pipelines/p_job/events`)).json();
  deepEqual(
    events.map(({ channel, payload }: { channel: string; payload: unknown }) => [channel, payload]),
    Array.from({ length: 11 }, (_, done) => ["progress", { done, total: 10 }]),
  );
});
