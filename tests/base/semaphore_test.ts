import { deepStrictEqual as deepEqual, rejects, strictEqual as equal } from "node:assert/strict";
import { Turns } from "../../lib/base/semaphore.ts";
import { settled } from "../support/fake_clock.ts";

/** Work that begins when it has a place and ends when the test says so. */
function createWork(begun: string[], name: string) {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const work = () => {
    begun.push(name);
    return promise;
  };
  return { work, end: () => resolve(name), fail: () => reject(new Error(name)) };
}

Deno.test("Turns.run() lets so many begin, and the next in order when one ends", async () => {
  const begun: string[] = [];
  const turns = new Turns(2);
  const works = ["a", "b", "c", "d"].map((name) => createWork(begun, name));
  const runs = works.map(({ work }) => turns.run(work));
  await settled();
  deepEqual(begun, ["a", "b"]);
  works[1]!.end();
  equal(await runs[1], "b");
  await settled();
  deepEqual(begun, ["a", "b", "c"]);
  for (const { end } of works) end();
  deepEqual(await Promise.all(runs), ["a", "b", "c", "d"]);
  deepEqual(begun, ["a", "b", "c", "d"]);
});

Deno.test("Turns.run() gives its place on when the work fails", async () => {
  const begun: string[] = [];
  const turns = new Turns(1);
  const [first, second] = [createWork(begun, "a"), createWork(begun, "b")];
  const runs = [turns.run(first.work), turns.run(second.work)];
  first.fail();
  await rejects(runs[0]!, /a/);
  second.end();
  equal(await runs[1], "b");
});

Deno.test("Turns.run() refuses whom it has no room to wait for", async () => {
  const begun: string[] = [];
  const turns = new Turns(1, 1);
  const works = ["a", "b", "c"].map((name) => createWork(begun, name));
  const runs = works.map(({ work }) => turns.run(work));
  await rejects(runs[2]!, { type: "overloaded" });
  for (const { end } of works) end();
  deepEqual(await Promise.all(runs.slice(0, 2)), ["a", "b"]);
  deepEqual(begun, ["a", "b"]);
});
