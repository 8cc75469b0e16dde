import { deepStrictEqual as deepEqual, rejects, strictEqual as equal } from "node:assert/strict";
import type { Receipt } from "../../lib/log/commit.ts";
import { InFlightPublishes } from "../../lib/hub/in_flight.ts";
import { FakeClock } from "../support/fakes/clock.ts";
import { flush } from "../support/wait.ts";

const receipt: Receipt = { epoch: "AAECAwQFBgc", first: 1, count: 1, replayed: false };

Deno.test("InFlightPublishes.end() waits for the last of them, its publisher first", async () => {
  const [clock, publishes] = [new FakeClock(), new InFlightPublishes()];
  const log = [Promise.withResolvers<Receipt>(), Promise.withResolvers<Receipt>()];
  const order: string[] = [];
  for (const { promise } of log) {
    publishes.add(promise).then(() => order.push("answered"), () => order.push("refused"));
  }
  const ended = publishes.end(clock, 100).then(() => order.push("ended"));
  log[0]!.reject(new Error("refused"));
  await flush();
  deepEqual([order, publishes.size], [["refused"], 1]);
  log[1]!.resolve(receipt);
  await ended;
  deepEqual(order, ["refused", "answered", "ended"]);
  equal(clock.liveTimers, 0);
});

Deno.test("InFlightPublishes.end() refuses those that take longer, and forgets them", async () => {
  const [clock, publishes] = [new FakeClock(), new InFlightPublishes()];
  const log = Promise.withResolvers<Receipt>();
  const refused = rejects(publishes.add(log.promise), { type: "outcome-unknown" });
  const ended = publishes.end(clock, 100);
  clock.advance(100);
  await Promise.all([ended, refused]);
  equal(publishes.size, 0);
  log.resolve(receipt);
  await flush();
  equal(publishes.size, 0);
});
