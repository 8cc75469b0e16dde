/**
 * An isolate whose broadcast channels lose, delay, duplicate and reorder half of
 * the messages that they receive, at random from `seed` in its address; with
 * `fates=lost` there, they only lose them. When a channel closes, its counts are
 * written to standard error.
 *
 * @module
 */

import "../../../lib/service/isolate.ts";
import { SeededRandom } from "../generators/random.ts";

/** Maximum delay of a message, in milliseconds. */
const MAX_DELAY_MS = 100;

const { searchParams } = new URL(import.meta.url);
const random = new SeededRandom(Number(searchParams.get("seed")));
const FATES = (searchParams.get("fates")?.split(",") ??
  ["lost", "delayed", "doubled", "reordered"]) as ("lost" | "delayed" | "doubled" | "reordered")[];
const RealChannel = BroadcastChannel;

class ChaoticChannel {
  onmessage: ((event: MessageEvent) => void) | null = null;
  readonly #channel: BroadcastChannel;
  readonly #fates = { untouched: 0, lost: 0, delayed: 0, doubled: 0, reordered: 0 };
  /** Messages that follow the next one, to reorder them. */
  readonly #held: MessageEvent[] = [];

  constructor(name: string) {
    this.#channel = new RealChannel(name);
    this.#channel.onmessage = (event) => this.#receive(event);
  }

  postMessage(message: unknown): void {
    this.#channel.postMessage(message);
  }

  #receive(event: MessageEvent): void {
    const fate = random.chance(0.5) ? random.pick(FATES) : "untouched";
    this.#fates[fate]++;
    const deliver = () => this.onmessage?.(event);
    if (fate === "delayed") setTimeout(deliver, random.integer(1, MAX_DELAY_MS));
    if (fate === "reordered") return void this.#held.push(event);
    if (fate === "untouched" || fate === "doubled") deliver();
    if (fate === "doubled") deliver();
    for (const held of this.#held.splice(0).reverse()) this.onmessage?.(held);
  }

  close(): void {
    if (Object.values(this.#fates).some((count) => count > 0)) {
      console.error(`chaos ${JSON.stringify(this.#fates)}`);
    }
    this.#channel.close();
  }
}

Object.assign(globalThis, { BroadcastChannel: ChaoticChannel });
