/**
 * A pipeline's messages between the isolates of a process, and the only place
 * where `BroadcastChannel` is used. A message is a hint that carries bytes: it
 * may be lost, late, doubled or out of order, and the receiver tells by its
 * sequences.
 *
 * @module
 */

import type { Runtime } from "../base/mod.ts";
import type { Commit } from "../log/mod.ts";

/** Channels that are kept open only to post on. */
const MAX_UNHEARD_CHANNELS = 1000;

/** What isolates tell each other of a pipeline: a commit, or a clear below `oldest`. */
export type PipelineMessage =
  | Omit<Commit, "pipeline">
  | { epoch: string; oldest: number };

/** What is used of `BroadcastChannel`. */
export type ChannelConstructor = new (name: string) => Pick<
  BroadcastChannel,
  "postMessage" | "close" | "onmessage"
>;

interface Open {
  channel: InstanceType<ChannelConstructor>;
  heard: boolean;
}

/** The pipeline channels of an isolate. */
export class PipelineChannels implements Disposable {
  readonly #Channel: ChannelConstructor;
  readonly #runtime: Pick<Runtime, "report">;
  readonly #open = new Map<string, Open>();
  /**
   * An isolate that closed its last channel cannot rely on the next one, which
   * is deaf or throws: this one stays open for as long as there may be others.
   */
  readonly #anchor: InstanceType<ChannelConstructor>;
  #failures = 0;
  #closed = false;

  /**
   * Opens the way to the other isolates.
   *
   * @param Channel The runtime's `BroadcastChannel`.
   * @param runtime Reporter of posts that failed, of which publishers are not told.
   *
   * @example
   * ```ts
   * import { strictEqual as equal } from "node:assert/strict";
   * import { systemRuntime } from "../base/mod.ts";
   *
   * using here = new PipelineChannels(BroadcastChannel, systemRuntime);
   * using there = new PipelineChannels(BroadcastChannel, systemRuntime);
   * const heard = new Promise((resolve) => there.join("p_aBcDeF", resolve));
   * here.post("p_aBcDeF", { epoch: "AAECAwQFBgc", oldest: 7 });
   * equal((await heard as { oldest: number }).oldest, 7);
   * ```
   */
  constructor(Channel: ChannelConstructor, runtime: Pick<Runtime, "report">) {
    this.#Channel = Channel;
    this.#runtime = runtime;
    this.#anchor = new Channel("runnel");
  }

  /**
   * Opens the way to the other isolates, where the runtime has one: Deno 2.5
   * has no `BroadcastChannel` without a flag.
   *
   * @param runtime Reporter of posts that failed, of which publishers are not told.
   *
   * @example
   * ```ts
   * import { systemRuntime } from "../base/mod.ts";
   *
   * using channels = PipelineChannels.detect(systemRuntime);
   * channels?.post("p_aBcDeF", { epoch: "AAECAwQFBgc", oldest: 7 });
   * ```
   */
  static detect(runtime: Pick<Runtime, "report">): PipelineChannels | null {
    return "BroadcastChannel" in globalThis
      ? new PipelineChannels(BroadcastChannel, runtime)
      : null;
  }

  /** How many channels are open, how many of them are listened to, and how many calls failed. */
  get stats(): { open: number; heard: number; failures: number } {
    const heard = this.#open.values().filter((open) => open.heard);
    return { open: this.#open.size, heard: [...heard].length, failures: this.#failures };
  }

  /**
   * Listens to a pipeline until the result is disposed.
   *
   * @param pipeline The pipeline's ID.
   * @param onMessage Hears what other isolates say.
   */
  join(pipeline: string, onMessage: (message: PipelineMessage) => void): Disposable {
    let open: Open | undefined;
    this.#attempt(pipeline, () => {
      open = this.#channel(pipeline);
      open.heard = true;
      open.channel.onmessage = ({ data }) => onMessage(data);
    });
    return {
      [Symbol.dispose]: () => {
        if (open && this.#open.get(pipeline) === open) this.#close(pipeline, open);
      },
    };
  }

  /**
   * Tells the other isolates.
   *
   * @param pipeline The pipeline's ID.
   * @param message What they are told.
   */
  post(pipeline: string, message: PipelineMessage): void {
    // A commit that comes after the end would open a channel that nobody closes.
    if (this.#closed) return;
    this.#attempt(pipeline, () => this.#channel(pipeline).channel.postMessage(message));
  }

  #channel(pipeline: string): Open {
    let open = this.#open.get(pipeline);
    if (!open) {
      this.#closeOneUnheard();
      open = { channel: new this.#Channel(`runnel ${pipeline}`), heard: false };
      this.#open.set(pipeline, open);
    }
    return open;
  }

  #closeOneUnheard(): void {
    if (this.#open.size < MAX_UNHEARD_CHANNELS) return;
    const unheard = this.#open.entries().find(([, open]) => !open.heard);
    if (unheard) this.#close(...unheard);
  }

  #close(pipeline: string, { channel }: Open): void {
    this.#open.delete(pipeline);
    channel.onmessage = null;
    this.#attempt(pipeline, () => channel.close());
  }

  #attempt(pipeline: string, run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#failures++;
      this.#runtime.report(`Cannot reach other isolates about ${pipeline}`, error);
    }
  }

  /** Closes all channels. */
  [Symbol.dispose](): void {
    this.#closed = true;
    for (const [pipeline, open] of this.#open) this.#close(pipeline, open);
    this.#attempt("all pipelines", () => this.#anchor.close());
  }
}
