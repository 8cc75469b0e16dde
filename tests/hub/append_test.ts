import { deepStrictEqual as deepEqual, rejects, strictEqual as equal } from "node:assert/strict";
import { Append, type AppendGroup, type AppendOptions } from "../../lib/hub/append.ts";
import type { Receipt } from "../../lib/log/commit.ts";
import { payloadText, textEvent } from "../support/log.ts";
import { flush } from "../support/wait.ts";

const EPOCH = "AAECAwQFBgc";

/** A group that waits for the test to answer it. */
interface Stored {
  texts: string[];
  end: boolean;
  part: AppendGroup["part"];
  answer: (receipt: Partial<Receipt>) => void;
  fail: (error: Error) => void;
}

function createAppend(options: Partial<AppendOptions> = {}) {
  const stored: Stored[] = [];
  const failures: unknown[] = [];
  let places = 1;
  const append = new Append({
    owner: null,
    standing: null,
    after: 0,
    place: { [Symbol.dispose]: () => void places-- },
    onFailure: (error) => failures.push(error),
    store({ events, end, part }) {
      const { promise, resolve, reject } = Promise.withResolvers<Receipt>();
      stored.push({
        texts: events.map(payloadText),
        end,
        part,
        answer: (receipt) =>
          resolve({ epoch: EPOCH, first: 1, count: events.length, replayed: false, ...receipt }),
        fail: reject,
      });
      return promise;
    },
    ...options,
  });
  const add = (...texts: string[]) => {
    for (const text of texts) append.add(textEvent(text), false);
  };
  return { append, stored, failures, add, places: () => places };
}

Deno.test("Append stores what comes in one turn at once, and the rest after that", async () => {
  const { append, stored, add } = createAppend();
  add("1", "2");
  await flush();
  deepEqual(stored.map(({ texts }) => texts), [["1", "2"]]);
  add("3");
  await flush();
  add("4");
  equal(stored.length, 1, "one group in flight");
  stored[0]!.answer({});
  await flush();
  deepEqual(stored[1]!.texts, ["3", "4"]);
  stored[1]!.answer({ first: 3 });
  await append.finish();
  deepEqual([append.count, append.stored, append.last], [4, 4, { epoch: EPOCH, sequence: 4 }]);
});

Deno.test("Append stops at the first group that fails", async () => {
  const { append, stored, failures, add } = createAppend();
  add("1");
  await flush();
  add("2");
  stored[0]!.answer({});
  await flush();
  add("3");
  const error = new Error("the store failed");
  stored[1]!.fail(error);
  await rejects(append.finish(), error);
  deepEqual(failures, [error]);
  add("4");
  await flush();
  equal(stored.length, 2, "nothing after the failure");
  await rejects(append.finish(), error);
  equal(append.count, 1);
  equal(append.waitingBytes, 0);
});

Deno.test("Append ends the run with the group of its last event", async () => {
  const { append, stored, add } = createAppend();
  add("1");
  await flush();
  append.add(textEvent("2"), true);
  stored[0]!.answer({});
  await flush();
  deepEqual(stored.map(({ end }) => end), [false, true]);
  stored[1]!.answer({ first: 2, end: 3 });
  await append.finish();
  equal(append.end, 3);
});

Deno.test("Append is full at 64 KiB, what each event takes beside its payload included, until a group is stored", async () => {
  for (
    const [text, fits] of [["x".repeat(1000), 52], ["x", 244]] as [string, number][]
  ) {
    const { append, stored, add } = createAppend();
    add("first");
    await flush();
    let count = 0;
    while (!append.isFull) {
      add(text);
      count++;
    }
    equal(count, fits, text.slice(0, 2));
    let hasRoom = false;
    append.room().then(() => hasRoom = true);
    await flush();
    equal(hasRoom, false);
    stored[0]!.answer({});
    await flush();
    equal(hasRoom, true);
    equal(append.waitingBytes, 0);
  }
});

Deno.test("Append waits for room without work, also after all that came before was stored", async () => {
  const { append, stored, add } = createAppend();
  add("first");
  await flush();
  stored[0]!.answer({});
  await append.finish();
  add("second");
  await flush();
  while (!append.isFull) add("x".repeat(1000));
  let hasRoom = false;
  append.room().then(() => hasRoom = true);
  // If it were busy, nothing else would ever run.
  await flush();
  equal(hasRoom, false);
  stored[1]!.answer({});
  await flush();
  equal(hasRoom, true);
});

Deno.test("Append passes over what stands", async () => {
  const last = { epoch: EPOCH, sequence: 2 };
  const { append, stored, add } = createAppend({ owner: "a", standing: { count: 2, last } });
  equal(append.count, 2);
  add("1", "2");
  await append.finish();
  equal(stored.length, 0);
  deepEqual([append.count, append.last], [2, last]);
  add("3");
  await flush();
  deepEqual(stored[0]!.part, { owner: "a", before: 2, isFirst: true });
  stored[0]!.answer({ first: 3 });
  await flush();
  add("4");
  await flush();
  deepEqual(stored[1]!.part, { owner: "a", before: 3, isFirst: false });
});

Deno.test("Append takes a body that begins after a number of events", async () => {
  const standing = { count: 3, last: { epoch: EPOCH, sequence: 3 } };
  const { stored, add } = createAppend({ owner: "a", standing, after: 2 });
  add("3", "4");
  await flush();
  deepEqual(stored[0]!.texts, ["4"]);
});

for (
  const [stands, inFlight, waiting, later, expected] of [
    [2, ["1", "2", "3"], [], ["4"], [["3"], ["4"]]],
    [3, ["1", "2", "3"], [], ["4"], [["4"]]],
    [4, ["1", "2"], ["3"], ["4", "5"], [["5"]]],
    [4, ["1", "2"], ["3", "4", "5"], ["6"], [["5"], ["6"]]],
  ] as [number, string[], string[], string[], string[][]][]
) {
  Deno.test(`Append passes over ${stands} events that another connection has stored, of ${inFlight} and ${waiting}`, async () => {
    const { append, stored, add } = createAppend({ owner: "a" });
    add(...inFlight);
    await flush();
    add(...waiting);
    stored[0]!.answer({ count: 0, first: stands, stands });
    for (let next = 1; next < 4; next++) {
      await flush();
      if (next === 2 || stored.length === 1) add(...later.splice(0));
      await flush();
      stored[next]?.answer({ first: 10 });
    }
    await append.finish();
    deepEqual(stored.slice(1).map(({ texts }) => texts), expected);
  });
}

Deno.test("Append ends if less stands than it has stored, in a pipeline that began anew", async () => {
  const standing = { count: 3, last: { epoch: EPOCH, sequence: 3 } };
  const { append, stored, add } = createAppend({ owner: "a", standing });
  add("1", "2", "3", "4");
  await flush();
  stored[0]!.answer({ count: 0, stands: 1 });
  await rejects(append.finish(), { type: "append-superseded" });
});

Deno.test("Append gives its place free", () => {
  const { append, places } = createAppend();
  append[Symbol.dispose]();
  equal(places(), 0);
});
