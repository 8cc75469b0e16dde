import { deepStrictEqual as deepEqual, ok } from "node:assert/strict";
import { SubscribeError } from "../../lib/client/mod.ts";
import {
  block,
  Collected,
  live,
  type ScriptedRequest,
  startScripted,
} from "../support/clients/scripted_service.ts";
import { SeededRandom } from "../support/generators/random.ts";
import { seeds } from "../support/model/repetitions.ts";
import { flush } from "../support/wait.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Number of runs, each with its own seed. */
const RUNS = 4;

/** Number of times that something happens in a run. */
const STEPS = 40;

/** A service that fails at random, between itself and the client. */
class Chaos {
  readonly #random: SeededRandom;
  readonly #open = new Set<{ request: ScriptedRequest; sent: number; left: number }>();
  /** Number of events that were published. */
  published = 0;
  isOver = false;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  /** Publishes an event, and sends it to all that are connected. */
  publish(): void {
    this.published++;
    for (const connection of this.#open) this.#sendNew(connection);
  }

  /** Answers a request, or not. */
  answer(request: ScriptedRequest): void {
    const kind = this.isOver ? 9 : this.#random.integer(0, 9);
    if (kind === 0) return request.fail();
    if (kind === 1) return request.answer(new Response("Later", { status: 503 }));
    if (kind === 2) {
      return request.answer(new Response("<p>", { headers: { "Content-Type": "text/html" } }));
    }
    // It is never answered.
    if (kind === 3) return;
    const sent = Number(request.lastEventId?.split("-")[1] ?? 0);
    ok(sent <= this.published, `${request.lastEventId}`);
    // Cut, stalled or complete, after some bytes.
    const left = kind < 8 ? this.#random.integer(0, 400) : Infinity;
    const connection = { request, sent, left };
    const isPoll = request.url.searchParams.has("wait");
    this.#sendNew(connection, "retry: 500\n", live(`e-${this.published}`), isPoll);
    if (!isPoll && connection.left > 0) this.#open.add(connection);
  }

  #sendNew(
    connection: { request: ScriptedRequest; sent: number; left: number },
    before = "",
    after = "",
    isLast = false,
  ): void {
    const { request } = connection;
    if (request.signal.aborted) return void this.#open.delete(connection);
    let text = before;
    while (connection.sent < this.published) {
      const number = ++connection.sent;
      text += block("numbers", number, `e-${number}`);
    }
    const bytes = encoder.encode(text + after);
    const part = decoder.decode(bytes.subarray(0, connection.left));
    connection.left -= bytes.length;
    request.send(part);
    if (connection.left <= 0) {
      this.#open.delete(connection);
      const kind = this.#random.integer(0, 2);
      if (kind === 0) request.end();
      // Else it stalls, or is cut once what came before was taken.
      if (kind === 1) void flush().then(() => request.signal.aborted || request.fail());
    } else if (isLast) request.end();
  }
}

Deno.test("subscribe() yields each event once and in order, whatever fails in between", async () => {
  for (const seed of seeds(RUNS)) {
    const random = new SeededRandom(seed);
    const chaos = new Chaos(random);
    const { clock, service, subscription } = startScripted({ random: () => random.next() });
    const collected = new Collected(subscription);
    const isComplete = () =>
      collected.payloads.length >= chaos.published && subscription.state.name === "live";
    for (let step = 0; step < STEPS || !isComplete() && step < 20 * STEPS; step++) {
      chaos.isOver = step >= STEPS;
      if (!chaos.isOver && random.integer(0, 1) === 0) chaos.publish();
      await flush();
      while (service.untaken > 0) chaos.answer(await service.next());
      await flush();
      clock.advance(random.integer(0, 8000));
    }
    const expected = Array.from({ length: chaos.published }, (_, index) => index + 1);
    deepEqual(collected.payloads, expected, `seed ${seed}`);
    ok(!(collected.error instanceof SubscribeError));
    subscription.close();
    await flush();
    deepEqual([clock.liveTimers, `seed ${seed}`], [0, `seed ${seed}`]);
  }
});
