import {
  deepStrictEqual as deepEqual,
  notStrictEqual,
  strictEqual as equal,
} from "node:assert/strict";
import { openStream } from "../support/clients/stream_reader.ts";
import { Program } from "../support/programs/program.ts";
import { DenoKv, testWithDenokv } from "../support/stores/denokv.ts";
import { eventually } from "../support/wait.ts";

/** Publishes numbers; repeats each until it is accepted, as publishers do. */
async function publish({ url }: Program, from: number, to: number): Promise<string> {
  let id = "";
  for (let i = from; i <= to; i++) {
    await eventually("it is accepted", async () => {
      const response = await fetch(`${url}/ingest/p_a/tick`, {
        method: "POST",
        body: String(i),
        headers: { "Content-Type": "application/json", "Idempotency-Key": `key-${i}` },
      });
      const body = await response.json();
      id = body.ids?.at(-1) ?? body.id ?? "";
      return response.status === 202;
    });
  }
  return id;
}

for (const who of ["the same process", "another process"] as const) {
  testWithDenokv(
    `Streams learn that the store was rolled back, when ${who} publishes`,
    async () => {
      await using kv = await DenoKv.start();
      const settings = { ...kv.settings, RUNNEL_KV_TIMEOUT_MS: "1000", RUNNEL_RETRY_MS: "50" };
      await using program = await Program.start(settings);
      await publish(program, 1, 10);
      const rollBack = await kv.snapshot();
      await publish(program, 11, 15);
      const stream = await openStream(program, "p_a");
      const before = (await stream.until("runnel.live")).at(-1)!.id!;
      equal(before.split("-").at(-1), "15");
      await rollBack();
      if (who === "the same process") await publish(program, 101, 108);
      else {
        await using other = await Program.start(settings);
        // The first is watched before the rest: a store that catches up at once shows nothing.
        await publish(other, 101, 101);
        const head = await stream.event();
        equal(head!.type, "runnel.gap");
        await publish(other, 102, 108);
      }
      const returning = await openStream(program, "p_a", before);
      const [gap, ...events] = await returning.until("runnel.live");
      await returning.cancel();
      deepEqual([gap!.type, gap!.data], ["runnel.gap", '{"missed":null,"reason":"unknown"}']);
      const numbers = [
        ...Array(10).keys().map((i) => i + 1),
        ...Array(8).keys().map((i) => i + 101),
      ];
      deepEqual(events.slice(0, -1).map(({ data }) => Number(data)), numbers);
      notStrictEqual(events.at(-1)!.id!.slice(0, 11), before.slice(0, 11));

      // The open stream was told as well, and got each event of the new log.
      const seen: number[] = [];
      while (seen.at(-1) !== 108) {
        const event = await stream.event();
        if (event!.type === "tick") seen.push(Number(event!.data));
      }
      await stream.cancel();
      deepEqual([...new Set(seen)].sort((a, b) => a - b), numbers);
    },
  );
}
