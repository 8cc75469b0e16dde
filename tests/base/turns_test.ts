import { deepStrictEqual as deepEqual } from "node:assert/strict";
import { Turns } from "../../lib/base/turns.ts";

/** A clock whose turns the test takes. */
class ManualTurns {
  readonly #due: (() => void)[] = [];

  nextTurn(run: () => void): Disposable {
    this.#due.push(run);
    return { [Symbol.dispose]() {} };
  }

  /** Takes one turn, and all that follows from it at once. Returns whether one was due. */
  async take(): Promise<boolean> {
    const run = this.#due.shift();
    run?.();
    await new Promise((resolve) => setTimeout(resolve, 0));
    return run !== undefined;
  }
}

Deno.test("Turns.next() lets a number of works into each turn, in their order", async () => {
  const clock = new ManualTurns();
  const turns = new Turns(clock, 2);
  const done: number[] = [];
  const add = (work: number) => void turns.next().then(() => done.push(work));
  for (const work of [1, 2, 3]) add(work);
  deepEqual(done, []);
  await clock.take();
  deepEqual(done, [1, 2]);
  add(4);
  add(5);
  await clock.take();
  deepEqual(done, [1, 2, 3, 4]);
  await clock.take();
  deepEqual(done, [1, 2, 3, 4, 5]);
  deepEqual(await clock.take(), false);
  add(6);
  await clock.take();
  deepEqual(done.at(-1), 6);
});
