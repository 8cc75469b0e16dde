import { deepStrictEqual as deepEqual, rejects, strictEqual as equal } from "node:assert/strict";
import { Semaphore } from "../../lib/base/semaphore.ts";
import { flush } from "../support/wait.ts";

/** Creates work that notes its beginning and ends when the test ends it. */
function createWork(begun: string[], name: string) {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const work = () => {
    begun.push(name);
    return promise;
  };
  return { work, end: () => resolve(name), fail: () => reject(new Error(name)) };
}

Deno.test("Semaphore.run() runs as many works as it has permits, the others in order", async () => {
  const begun: string[] = [];
  const semaphore = new Semaphore(2);
  const works = ["a", "b", "c", "d"].map((name) => createWork(begun, name));
  const runs = works.map(({ work }) => semaphore.run(work));
  await flush();
  deepEqual(begun, ["a", "b"]);
  works[1]!.end();
  equal(await runs[1], "b");
  await flush();
  deepEqual(begun, ["a", "b", "c"]);
  for (const { end } of works) end();
  deepEqual(await Promise.all(runs), ["a", "b", "c", "d"]);
  deepEqual(begun, ["a", "b", "c", "d"]);
});

Deno.test("Semaphore.run() hands its permit on when the work fails", async () => {
  const begun: string[] = [];
  const semaphore = new Semaphore(1);
  const [first, second] = [createWork(begun, "a"), createWork(begun, "b")];
  const runs = [semaphore.run(first.work), semaphore.run(second.work)];
  first.fail();
  await rejects(runs[0]!, /a/);
  second.end();
  equal(await runs[1], "b");
});

Deno.test("Semaphore.run() refuses work beyond those that may wait", async () => {
  const begun: string[] = [];
  const semaphore = new Semaphore(1, 1);
  const works = ["a", "b", "c"].map((name) => createWork(begun, name));
  const runs = works.map(({ work }) => semaphore.run(work));
  await rejects(runs[2]!, { type: "overloaded" });
  for (const { end } of works) end();
  deepEqual(await Promise.all(runs.slice(0, 2)), ["a", "b"]);
  deepEqual(begun, ["a", "b"]);
});
