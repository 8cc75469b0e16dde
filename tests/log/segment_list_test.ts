import {
  deepStrictEqual as deepEqual,
  ok,
  rejects,
  strictEqual as equal,
} from "node:assert/strict";
import type { Kv } from "../../lib/kv/mod.ts";
import { segmentKey } from "../../lib/log/keys.ts";
import { packSegments } from "../../lib/log/segment.ts";
import { listEvents } from "../../lib/log/segment_list.ts";

const LAST = 200;

/** A store with segments of two events each, of which some are damaged. */
async function createStore({ unreadable = [], overwritten = [], missing = [] }: {
  unreadable?: number[];
  overwritten?: number[];
  missing?: number[];
}) {
  const kv = await Deno.openKv(":memory:");
  for (let last = 2; last <= LAST; last += 2) {
    const events = [last - 1, last].map((n) => ({
      channel: "tick",
      payload: new TextEncoder().encode(String(n)),
    }));
    const [segment] = packSegments({ token: 1n, time: 1, first: last - 1 }, events);
    if (missing.includes(last)) continue;
    await kv.set(segmentKey("p_a", last), overwritten.includes(last) ? segment!.slice(9) : segment);
  }
  let reads = 0;
  const damaged: Kv = {
    get: kv.get.bind(kv),
    getMany: kv.getMany.bind(kv),
    atomic: kv.atomic.bind(kv),
    close: kv.close.bind(kv),
    // A read of several rows fails if one of them is on a damaged page.
    list: ((selector: Deno.KvListSelector, options: Deno.KvListOptions = {}) => {
      const size = options.limit ?? options.batchSize ?? 100;
      return (async function* () {
        let rows: Deno.KvEntry<unknown>[] = [];
        for await (const entry of kv.list(selector)) {
          rows.push(entry);
          if (rows.length < size) continue;
          yield* check(rows);
          rows = [];
          if (options.limit) return;
        }
        yield* check(rows);
      })();
    }) as unknown as Kv["list"],
  };
  function check(rows: Deno.KvEntry<unknown>[]) {
    reads++;
    if (rows.some(({ key }) => unreadable.includes(key.at(-1) as number))) {
      throw new TypeError("database disk image is malformed");
    }
    return rows;
  }
  return {
    get reads() {
      return reads;
    },
    list: (after: number, maxBytes = Infinity) =>
      listEvents(damaged, "p_a", {
        after,
        last: LAST,
        maxBytes,
        batchSize: 16,
        isLate: () => false,
      }),
    [Symbol.dispose]: () => kv.close(),
  };
}

/** Reads all events, list by list, and returns the runs of sequences. */
async function readRuns(store: { list: (after: number) => Promise<{ sequence: number }[]> }) {
  const runs: [number, number][] = [];
  for (let after = 0; after < LAST;) {
    const events = await store.list(after);
    if (events.length === 0) break;
    const [first, last] = [events[0]!.sequence, events.at(-1)!.sequence];
    if (runs.at(-1)?.[1] === first - 1) runs.at(-1)![1] = last;
    else runs.push([first, last]);
    after = last;
  }
  return runs;
}

const places = [
  ["in the middle", [50, 52, 54], [[1, 48], [55, 200]]],
  ["at the beginning", [2, 4], [[5, 200]]],
  ["at the end", [198, 200], [[1, 196]]],
  ["in two places", [20, 150], [[1, 18], [21, 148], [151, 200]]],
  ["everywhere", Array.from({ length: 100 }, (_, i) => 2 * i + 2), []],
] as const;

for (const kind of ["unreadable", "overwritten", "missing"] as const) {
  for (const [where, segments, runs] of places) {
    Deno.test(`listEvents() reads around segments that are ${kind} ${where}`, async () => {
      using store = await createStore({ [kind]: segments });
      deepEqual(await readRuns(store), runs);
    });
  }
}

Deno.test("listEvents() finds the end of a long damage by few reads", async () => {
  using store = await createStore({ unreadable: Array.from({ length: 90 }, (_, i) => 2 * i + 2) });
  const [first] = await store.list(0);
  equal(first!.sequence, 181);
  ok(store.reads < 30, `${store.reads} reads`);
});

Deno.test("listEvents() throws an error that is not about damage", async () => {
  using kv = await Deno.openKv(":memory:");
  const cause = new TypeError("connection reset");
  const broken = { list: () => Promise.reject(cause) } as unknown as Kv;
  const options = { after: 0, last: 1, maxBytes: 1, batchSize: 1, isLate: () => false };
  const list = { [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(cause) }) };
  await rejects(
    listEvents({ ...broken, list: () => list } as unknown as Kv, "p_a", options),
    cause,
  );
  deepEqual(await listEvents(kv, "p_a", options), []);
});
