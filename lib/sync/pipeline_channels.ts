/**
 * Broadcast channels, one for each pipeline, between the isolates of a process:
 * the only place where `BroadcastChannel` is used. A message is a hint that
 * carries bytes: it may be lost, late, doubled or out of order, and the receiver
 * tells by its sequences.
 *
 * @module
 */

import type { Runtime } from "../base/mod.ts";
import type { Change } from "../log/mod.ts";

/** Maximum number of channels that are kept open only to post on. */
const MAX_SEND_ONLY_CHANNELS = 1000;

/** Constructor of `BroadcastChannel`, or of its substitute in a test. */
export type ChannelConstructor = new (name: string) => Pick<
  BroadcastChannel,
  "postMessage" | "close" | "onmessage"
>;

interface OpenChannel {
  channel: InstanceType<ChannelConstructor>;
  hasListener: boolean;
}

/** The pipeline channels of an isolate. */
export class PipelineChannels implements Disposable {
  readonly #Channel: ChannelConstructor;
  readonly #runtime: Pick<Runtime, "report">;
  readonly #open = new Map<string, OpenChannel>();
  /**
   * An isolate that closed its last channel cannot rely on the next one, which
   * is deaf or throws: this one stays open for as long as there may be others.
   */
  readonly #anchor: InstanceType<ChannelConstructor>;
  #failures = 0;
  #closed = false;

  /**
   * Opens the anchor.
   *
   * @param Channel The runtime's `BroadcastChannel`.
   * @param runtime Reporter of posts that failed, of which publishers are not told.
   */
  constructor(Channel: ChannelConstructor, runtime: Pick<Runtime, "report">) {
    this.#Channel = Channel;
    this.#runtime = runtime;
    this.#anchor = new Channel("runnel");
  }

  /**
   * Creates channels if the runtime has them: Deno 2.5 has no
   * `BroadcastChannel` without a flag.
   *
   * @param runtime Reporter of posts that failed, of which publishers are not told.
   */
  static detect(runtime: Pick<Runtime, "report">): PipelineChannels | null {
    return "BroadcastChannel" in globalThis
      ? new PipelineChannels(BroadcastChannel, runtime)
      : null;
  }

  /** Number of open channels, of those with a listener, and of calls that failed. */
  get stats(): { open: number; listening: number; failures: number } {
    const listening = this.#open.values().filter((open) => open.hasListener);
    return { open: this.#open.size, listening: [...listening].length, failures: this.#failures };
  }

  /**
   * Listens to a pipeline's channel until the result is disposed.
   *
   * @param pipeline The pipeline's ID.
   * @param onChange Called with what other isolates post.
   */
  subscribe(pipeline: string, onChange: (change: Change) => void): Disposable {
    let open: OpenChannel | undefined;
    this.#attempt(pipeline, () => {
      open = this.#channel(pipeline);
      open.hasListener = true;
      open.channel.onmessage = ({ data }) => onChange(data);
    });
    return {
      [Symbol.dispose]: () => {
        if (open && this.#open.get(pipeline) === open) this.#close(pipeline, open);
      },
    };
  }

  /**
   * Posts to the other isolates.
   *
   * @param change The change of a pipeline's log.
   */
  post(change: Change): void {
    // A commit that comes after the end would open a channel that nobody closes.
    if (this.#closed) return;
    const { pipeline } = change;
    this.#attempt(pipeline, () => this.#channel(pipeline).channel.postMessage(change));
  }

  #channel(pipeline: string): OpenChannel {
    let open = this.#open.get(pipeline);
    if (!open) {
      this.#closeOneSendOnly();
      open = { channel: new this.#Channel(`runnel ${pipeline}`), hasListener: false };
      this.#open.set(pipeline, open);
    }
    return open;
  }

  #closeOneSendOnly(): void {
    if (this.#open.size < MAX_SEND_ONLY_CHANNELS) return;
    const sendOnly = this.#open.entries().find(([, open]) => !open.hasListener);
    if (sendOnly) this.#close(...sendOnly);
  }

  #close(pipeline: string, { channel }: OpenChannel): void {
    this.#open.delete(pipeline);
    channel.onmessage = null;
    this.#attempt(pipeline, () => channel.close());
  }

  #attempt(pipeline: string, run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#failures++;
      this.#runtime.report("Cannot reach other isolates about a pipeline", error, {
        fields: { pipeline },
      });
    }
  }

  /** Closes all channels. */
  [Symbol.dispose](): void {
    this.#closed = true;
    for (const [pipeline, open] of this.#open) this.#close(pipeline, open);
    this.#attempt("all pipelines", () => this.#anchor.close());
  }
}
