import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { KeepAliveWheel } from "../../lib/stream/keep_alive_wheel.ts";
import type { Subscriber } from "../../lib/stream/subscriber.ts";
import { FakeClock } from "../support/fakes/clock.ts";

const MS = 15_000;

/** A subscriber whose ticks are observed. */
function listener(onTurn: (now: number) => void): Subscriber {
  return { tick: onTurn } as Subscriber;
}

Deno.test("KeepAliveWheel.add() ticks a subscriber every period, first after a whole period", () => {
  const clock = new FakeClock(0);
  const keepAlive = new KeepAliveWheel({ clock }, MS);
  const turns: number[] = [];
  keepAlive.add(listener((now) => turns.push(now)));
  clock.advance(MS - 1);
  deepEqual(turns, []);
  clock.advance(1);
  deepEqual(turns, [MS]);
  clock.advance(2 * MS);
  deepEqual(turns, [MS, 2 * MS, 3 * MS]);
});

Deno.test("KeepAliveWheel.add() ticks a subscriber once a period when it is added at any time", () => {
  const clock = new FakeClock(0);
  const keepAlive = new KeepAliveWheel({ clock }, MS);
  keepAlive.add(listener(() => {}));
  for (let i = 0; i < 40; i++) {
    clock.advance(777);
    const since = clock.now();
    const turns: number[] = [];
    const subscriber = listener((now) => turns.push(now - since));
    keepAlive.add(subscriber);
    clock.advance(MS);
    equal(turns.length, 1);
    keepAlive.delete(subscriber);
  }
});

Deno.test("KeepAliveWheel spreads a herd that is added at once over its slots", () => {
  const clock = new FakeClock(0);
  const keepAlive = new KeepAliveWheel({ clock }, MS);
  const turns = new Map<number, number>();
  for (let i = 0; i < 150; i++) {
    keepAlive.add(listener((now) => turns.set(now, (turns.get(now) ?? 0) + 1)));
  }
  clock.advance(MS);
  deepEqual([...turns.values()], Array.from({ length: 15 }, () => 10));
});

Deno.test("KeepAliveWheel spreads subscribers that are added at different times over its slots", () => {
  const clock = new FakeClock(0);
  const keepAlive = new KeepAliveWheel({ clock }, MS);
  const turns: number[] = [];
  for (let i = 0; i < 15; i++) {
    keepAlive.add(listener((now) => turns.push(now)));
    clock.advance(MS / 15);
  }
  turns.length = 0;
  clock.advance(MS);
  equal(new Set(turns).size, 15);
});

Deno.test("KeepAliveWheel has one timer for all subscribers, and none without any", () => {
  const clock = new FakeClock(0);
  const keepAlive = new KeepAliveWheel({ clock }, MS);
  const subscribers = Array.from({ length: 50 }, () => listener(() => {}));
  for (const subscriber of subscribers) {
    keepAlive.add(subscriber);
    equal(clock.liveTimers, 1);
  }
  equal(keepAlive.size, 50);
  for (const subscriber of subscribers) {
    keepAlive.delete(subscriber);
    keepAlive.delete(subscriber);
  }
  equal(keepAlive.size, 0);
  equal(clock.liveTimers, 0);
  keepAlive.add(subscribers[0]!);
  equal(clock.liveTimers, 1);
});

Deno.test("KeepAliveWheel.delete() skips nobody when subscribers leave at their tick", () => {
  const clock = new FakeClock(0);
  const keepAlive = new KeepAliveWheel({ clock }, MS);
  let turns = 0;
  for (let i = 0; i < 3; i++) {
    const leaving = listener(() => {
      turns++;
      keepAlive.delete(leaving);
    });
    keepAlive.add(leaving);
  }
  clock.advance(10 * MS);
  equal(turns, 3);
  equal(clock.liveTimers, 0);
});
