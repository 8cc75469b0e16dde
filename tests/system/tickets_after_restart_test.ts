import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { EventSource } from "eventsource";
import {
  bearerHeader,
  mint,
  PUBLISH_TOKEN,
  SECRET,
  TOKEN_SETTINGS,
} from "../support/clients/tokens.ts";
import { DataFolder, Program } from "../support/programs/program.ts";
import { eventually } from "../support/wait.ts";

/** Publishes numbers with the token of a publisher. */
async function publish(url: string, first: number, count: number): Promise<void> {
  for (let i = first; i < first + count; i++) {
    const response = await fetch(`${url}/ingest/p_a/numbers`, {
      method: "POST",
      headers: { ...bearerHeader(PUBLISH_TOKEN), "Content-Type": "application/json" },
      body: String(i),
    });
    equal(response.status, 202);
    await response.body?.cancel();
  }
}

async function ticketUrl(url: string): Promise<string> {
  const token = await mint({ subscribe: ["p_a"] });
  const response = await fetch(`${url}/pipelines/p_a/tickets`, {
    method: "POST",
    headers: bearerHeader(token),
  });
  equal(response.status, 201);
  return (await response.json()).url;
}

for (const isolates of ["1", "2"]) {
  Deno.test(`An EventSource with a ticket misses no event when ${isolates} isolate(s) restart`, async () => {
    await using folder = new DataFolder();
    const settings = {
      ...TOKEN_SETTINGS,
      RUNNEL_KV: folder.kv,
      RUNNEL_ISOLATES: isolates,
      RUNNEL_RETRY_MS: "20",
    };
    await using stack = new AsyncDisposableStack();
    const before = stack.use(await Program.start(settings));
    const { url } = before;
    const ticket = await ticketUrl(url);
    const got: number[] = [];
    const source = stack.adopt(new EventSource(ticket), (source) => source.close());
    source.addEventListener("numbers", ({ data }) => got.push(Number(data)));
    await publish(url, 0, 5);
    await eventually("it has the first", () => got.length === 5);

    before.kill("SIGTERM");
    equal(await before.exit(), 0);
    const after = stack.use(await Program.start({ ...settings, PORT: new URL(url).port }));
    await publish(url, 5, 5);
    await eventually("it has those after the restart, too", () => got.length >= 10);
    deepEqual(got, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    equal(source.readyState, source.OPEN);

    // A client that copied the URL has no event ID of the stream.
    const copied = await fetch(ticket, { headers: { "Last-Event-ID": "AAECAwQFBgc-5" } });
    equal(copied.status, 403);
    const withPosition = await fetch(`${ticket}&lastEventId=AAECAwQFBgc-5`);
    equal(withPosition.status, 400);
    const refusal = await copied.text() + await withPosition.text();
    await publish(url, 10, 1);
    await eventually("it goes on", () => got.length === 11);
    source.close();

    const secret = new URL(ticket).searchParams.get("ticket")!;
    for (const said of [before.errors, after.errors, before.output, after.output, refusal]) {
      for (const word of [secret, PUBLISH_TOKEN, SECRET, "eyJ"]) ok(!said.includes(word), said);
    }
  });
}
