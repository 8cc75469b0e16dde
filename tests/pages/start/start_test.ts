import { deepStrictEqual as deepEqual, match, strictEqual as equal } from "node:assert/strict";
import { BrowserPage } from "../../support/browser/browser_page.ts";
import { testInChromium } from "../../support/browser/chromium.ts";
import { mint, PUBLISH_TOKEN, TOKEN_SETTINGS } from "../../support/clients/tokens.ts";
import { runTask } from "../../support/programs/task.ts";
import { TempFolder } from "../../support/programs/temp_folder.ts";
import { startLocalService } from "../../support/servers/local_service.ts";
import { eventually } from "../../support/wait.ts";

testInChromium("The start page shows a first event, and links the live page", async () => {
  await using service = await startLocalService();
  await using tab = await BrowserPage.open();
  await tab.page.goto(service.url);
  const pipeline = await tab.text("#pipeline");
  match(pipeline, /^p_\w{10}$/);
  await tab.page.click("text=Send a first event");
  await tab.page.waitForSelector(".arrivals .row");
  match(await tab.text("#sent"), /^Accepted as [\w-]{11}-1\.$/);
  match(await tab.text(".arrivals"), /^events .* \{ "name": "Luke Skywalker" \}$/);
  await tab.page.reload();
  equal(await tab.text("#pipeline"), pipeline);
  await tab.page.click("text=Open its live page");
  await tab.page.waitForSelector(".rows .row");
  equal(tab.page.url(), `${service.url}/pipelines/${pipeline}`);
  await tab.page.goto(service.url);
  await tab.page.click("text=Make a new ID");
  match((await tab.text("#snippets")).replaceAll(await tab.text("#pipeline"), ""), /^[^_]*$/);
  deepEqual(tab.errors, []);
});

testInChromium("The start page's snippets work as copied", async () => {
  await using service = await startLocalService();
  await using tab = await BrowserPage.open();
  await using folder = new TempFolder();
  await tab.page.goto(service.url);
  const copied = async (name: string): Promise<string> => {
    await tab.page.click(`[data-snippet=${name}] button`);
    await tab.page.waitForSelector(`[data-snippet=${name}] button:has-text("Copied")`);
    return await tab.clipboard();
  };
  const logged: string[] = [];
  tab.page.on("console", (message) => logged.push(message.text()));
  await tab.page.evaluate(await copied("page"));

  const curl = new Deno.Command("bash", { args: ["-c", await copied("curl")], stderr: "null" });
  const { stdout } = await curl.output();
  match(new TextDecoder().decode(stdout), /"id":"[\w-]{11}-1"/);

  const hello = await copied("workflow");
  const [, ...args] = /deno task (.*)/.exec(hello)![1]!.split(" ");
  await folder.write("hello.js", hello);
  const { code } = await runTask("workflow", { args, folder: folder.path });
  equal(code, 0);

  await eventually("the page receives both events", () => logged.length === 2);
  for (const line of logged) match(line, /^[\w-]{11}-\d \{name: Luke Skywalker\}$/);
  const watch = new Deno.Command("bash", {
    args: ["-c", `${await copied("watch")} --max-time 0.5 --silent`],
  });
  const printed = new TextDecoder().decode((await watch.output()).stdout);
  equal(printed.match(/Luke Skywalker/g)?.length, 2);
  equal((await tab.texts(".arrivals .row")).length, 2);
  deepEqual(tab.errors, []);
});

testInChromium("The start page's commands carry a token, where the service needs one", async () => {
  await using service = await startLocalService(TOKEN_SETTINGS);
  await using tab = await BrowserPage.open();
  await tab.page.goto(service.url);
  const pipeline = await tab.text("#pipeline");
  const curl = await tab.page.locator("[data-snippet=curl] code").innerText();
  const command = new Deno.Command("bash", {
    args: ["-c", curl],
    env: { TOKEN: PUBLISH_TOKEN },
    stderr: "null",
  });
  match(new TextDecoder().decode((await command.output()).stdout), /"id":"[\w-]{11}-1"/);
  const watch = await tab.page.locator("[data-snippet=watch] code").innerText();
  const reader = new Deno.Command("bash", {
    args: ["-c", `${watch} --max-time 0.5 --silent`],
    env: { TOKEN: await mint({ subscribe: [pipeline] }) },
  });
  match(new TextDecoder().decode((await reader.output()).stdout), /Luke Skywalker/);
});

testInChromium(
  "The start page is accessible, in light, dark, and at a phone's width",
  async () => {
    await using service = await startLocalService();
    for (const colorScheme of ["light", "dark"] as const) {
      await using tab = await BrowserPage.open({
        colorScheme,
        viewport: { width: 360, height: 740 },
      });
      await tab.page.goto(service.url);
      await tab.page.click("#send");
      await tab.page.waitForSelector(".arrivals .row");
      deepEqual(await tab.accessibilityViolations(), []);
      equal(await tab.page.evaluate("document.documentElement.scrollWidth"), 360);
      deepEqual(tab.errors, []);
    }
  },
);

testInChromium(
  "The start page shows a run that has ended, and goes on with another ID",
  async () => {
    await using service = await startLocalService();
    await using tab = await BrowserPage.open();
    await tab.page.goto(service.url);
    await tab.page.waitForSelector('#state[data-state="live"]');
    const end = await fetch(`${service.url}/pipelines/${await tab.text("#pipeline")}/end`, {
      method: "POST",
    });
    await end.body?.cancel();
    await tab.page.waitForSelector('#state[data-state="ended"]');
    equal(
      await tab.text("#state"),
      "Ended. The run of this pipeline is over. Make a new ID to go on.",
    );
    await tab.page.click("text=Make a new ID");
    await tab.page.waitForSelector('#state[data-state="live"]');
    deepEqual(tab.errors, []);
  },
);
