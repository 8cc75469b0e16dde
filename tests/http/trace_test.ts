import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { createParser } from "../support/packages/eventsource_parser.ts";
import { EVENT, request } from "../support/clients/http.ts";
import { jsonPost, startService, type TestService } from "../support/service.ts";

const TRACE = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
const OTHER = `00-${"c".repeat(32)}-${"d".repeat(16)}-00`;

async function publish(
  { fetch }: TestService,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<void> {
  const response = await fetch(jsonPost("/ingest", body, headers));
  equal(response.status, 202, await response.text());
}

/** Reads the blocks of a stream up to the live marker. */
async function readBlocks({ hub }: TestService, traces: boolean, channels: string[] = []) {
  const reader = (await hub.subscribe("p_a", { traces, channels })).getReader();
  let text = "";
  while (!text.includes("runnel.live")) {
    text += new TextDecoder().decode((await reader.read()).value);
  }
  await reader.cancel();
  const blocks = text.split("\n\n").slice(0, -1).map((block) => block.replace(/^retry: \d+\n/, ""));
  return { text, blocks: blocks.filter((block) => !block.includes("runnel.live")) };
}

/** The names of the fields of a block. */
const fields = (block: string) => block.split("\n").map((line) => line.split(":")[0]);

Deno.test("A publisher's trace is sent to who asks, before the other fields of its events", async () => {
  await using service = await startService();
  await publish(service, [EVENT, { ...EVENT, channel: "others" }], { traceparent: TRACE });
  await publish(service, EVENT);
  await publish(service, EVENT, { traceparent: OTHER });
  await publish(service, EVENT, { traceparent: "not-a-trace" });
  const { blocks } = await readBlocks(service, true);
  deepEqual(blocks.map((block) => /^traceparent: (.*)$/m.exec(block)?.[1]), [
    TRACE,
    TRACE,
    undefined,
    OTHER,
    undefined,
  ]);
  deepEqual(fields(blocks[0]!), ["traceparent", "event", "data", "id"]);
  const { blocks: without } = await readBlocks(service, false);
  deepEqual(without, blocks.map((block) => block.replace(/^traceparent: .*\n/, "")));
  const { blocks: filtered } = await readBlocks(service, true, ["others"]);
  deepEqual(filtered, [blocks[1]]);
});

Deno.test("?trace=1 asks for traces, of the history, of live events and after a reconnect", async () => {
  await using service = await startService();
  await publish(service, EVENT, { traceparent: TRACE });
  const read = async (query: string, live: boolean) => {
    const response = await service.fetch(request(`/pipelines/p_a/sse${query}`));
    equal(response.status, 200);
    const reader = response.body!.getReader();
    let text = "";
    const until = async (end: string) => {
      while (!text.includes(end)) text += new TextDecoder().decode((await reader.read()).value);
    };
    await until("runnel.live");
    if (live) {
      text = "";
      await publish(service, EVENT, { traceparent: OTHER });
      await until("id: ");
    }
    await reader.cancel();
    return /^traceparent: (.*)$/m.exec(text)?.[1];
  };
  equal(await read("?trace=1", false), TRACE);
  equal(await read("?trace=1", true), OTHER);
  equal(await read("?trace=0", false), undefined);
  equal(await read("", true), undefined);
  const refused = await service.fetch(request("/pipelines/p_a/sse?trace=yes"));
  equal(refused.status, 400);
});

Deno.test("A retry in another trace is a duplicate, and its events keep the first one", async () => {
  await using service = await startService();
  const key = { "Idempotency-Key": "k" };
  await publish(service, EVENT, { ...key, traceparent: TRACE });
  await publish(service, EVENT, { ...key, traceparent: OTHER });
  await publish(service, EVENT, key);
  const { blocks } = await readBlocks(service, true);
  deepEqual(blocks.map((block) => /^traceparent: (.*)$/m.exec(block)?.[1]), [TRACE]);
});

Deno.test("A parser of event streams ignores the field of a trace", async () => {
  await using service = await startService();
  await publish(service, EVENT, { traceparent: TRACE });
  const parse = (text: string) => {
    const events: unknown[] = [];
    const errors: unknown[] = [];
    createParser({
      onEvent: (event) => events.push(event),
      onError: ({ type, field }) => errors.push([type, field]),
    }).feed(text);
    return { events, errors };
  };
  const { text } = await readBlocks(service, true);
  const traced = parse(text);
  deepEqual(traced.events, parse((await readBlocks(service, false)).text).events);
  // It tells of the unknown field, and of nothing else.
  deepEqual(traced.errors, [["unknown-field", "traceparent"]]);
});
