import { deepStrictEqual as deepEqual, rejects, strictEqual as equal } from "node:assert/strict";
import { testInChromium } from "../../support/browser/chromium.ts";
import { sharedChromium } from "../../support/browser/shared_chromium.ts";
import { accessibilityViolations, openWatchedPage } from "../../support/browser/watched_page.ts";
import { OpenAppend } from "../../support/clients/open_append.ts";
import { DataFolder, Program } from "../../support/programs/program.ts";
import { TempFolder } from "../../support/programs/temp_folder.ts";
import { ServedService } from "../../support/servers/served_service.ts";
import { eventually } from "../../support/wait.ts";
import { ADDRESS, copyExample, readExample } from "./example_files.ts";

const WORDS = ["Do ", "or ", "do ", "not.\n", "There ", "is ", "<b>no</b> ", "try."];
const WRITING = "The answer is being written.";
const HEADERS = { "Content-Type": "text/event-stream", "Idempotency-Key": "answer" };

/** A chunk of a language model. */
function chunk(content: string): string {
  return `data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`;
}

testInChromium(
  "answer.html shows each word before the next one, also after a reload and a restart",
  async () => {
    await using data = new DataFolder();
    await using folder = new TempFolder();
    await using stack = new AsyncDisposableStack();
    const settings = { RUNNEL_KV: data.kv, RUNNEL_RETRY_MS: "10" };
    const first = stack.use(await Program.start(settings));
    const { page, complaints } = await openWatchedPage(sharedChromium());
    stack.defer(() => page.close());
    const requests: string[] = [];
    page.on("request", (request) => requests.push(request.url()));
    const shows = async (words: number, said: string) => {
      const expected = [WORDS.slice(0, words).join(""), said];
      let shown: string[] = [];
      await eventually(`the page shows ${expected}`, async () => {
        shown = await page.evaluate<string[]>("[answer.textContent, state.textContent]");
        return shown.join() === expected.join();
      }).catch(() => {});
      deepEqual(shown, expected);
    };

    const path = `file://${await copyExample(folder, "answer.html", first.url)}`;
    await page.goto(path);
    await shows(0, WRITING);
    const broken = new OpenAppend(first, "p_answer", HEADERS);
    for (let words = 1; words <= 3; words++) {
      await broken.write(chunk(WORDS[words - 1]!));
      await shows(words, WRITING);
    }
    deepEqual(await accessibilityViolations(page), []);
    await page.reload();
    await shows(3, WRITING);
    await broken.write(chunk(WORDS[3]!));
    await shows(4, WRITING);
    deepEqual(complaints, []);

    first.kill("SIGKILL");
    await rejects(broken.response);
    await shows(4, "Reconnecting.");
    await first.exit();
    const second = stack.use(
      await Program.start({ ...settings, PORT: new URL(first.url).port }),
    );
    // The source sends the answer from its beginning.
    const whole = new OpenAppend(second, "p_answer", HEADERS);
    await whole.write(WORDS.slice(0, 5).map(chunk).join(""));
    await shows(5, WRITING);
    for (let words = 6; words <= WORDS.length; words++) {
      await whole.write(chunk(WORDS[words - 1]!));
      await shows(words, WRITING);
    }
    await whole.write("data: [DONE]\n\n");
    equal((await (await whole.end()).json()).accepted, WORDS.length + 1);

    const end = await fetch(`${second.url}/pipelines/p_answer/end`, { method: "POST" });
    await end.body?.cancel();
    await shows(WORDS.length, "The answer is complete.");
    equal(await page.getAttribute("#answer", "aria-busy"), "false");
    deepEqual(await accessibilityViolations(page), []);
    requests.length = 0;
    await page.reload();
    await shows(WORDS.length, "The answer is complete.");
    const others = requests.filter((url) => !url.includes("/assets/client/"));
    deepEqual(others, [path, `${second.url}/pipelines/p_answer/sse?history=all`]);
  },
);

testInChromium("answer.html begins anew with its pipeline", async () => {
  await using service = await ServedService.start({ RUNNEL_RETRY_MS: "10" });
  await using folder = new TempFolder();
  await using stack = new AsyncDisposableStack();
  const { page, complaints } = await openWatchedPage(sharedChromium());
  stack.defer(() => page.close());
  const shows = (text: string) =>
    eventually(text, async () => await page.innerText("#answer") === text);
  const publish = (content: string) =>
    service.publish("p_answer", "message", { choices: [{ delta: { content } }] });

  await publish("Wrong.");
  await page.goto(`file://${await copyExample(folder, "answer.html", service.url)}`);
  await shows("Wrong.");
  const deletion = await fetch(`${service.url}/pipelines/p_answer`, { method: "DELETE" });
  await deletion.body?.cancel();
  await publish("Right.");
  await shows("Right.");
  deepEqual(complaints, []);
});

Deno.test("answer.html is fed by the commands of the examples' README", async () => {
  await using service = await ServedService.start();
  const [, commands] = /^```sh\n(for word .*?)^```/ms.exec(await readExample("README.md"))!;
  const { success } = await new Deno.Command("bash", {
    args: ["-ec", commands!.replaceAll(ADDRESS, service.url).replace("sleep 0.5", "true")],
    stdout: "null",
    stderr: "null",
  }).output();
  equal(success, true);
  const response = await fetch(`${service.url}/pipelines/p_answer/events`);
  const { events, end } = await response.json();
  const words = events.map(({ payload }: { payload: { choices: [{ delta: unknown }] } }) =>
    payload.choices[0].delta
  );
  deepEqual(words.at(-1), { content: "written. " });
  equal(end.events, words.length);
});
