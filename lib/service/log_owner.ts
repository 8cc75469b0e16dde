/**
 * The isolate that owns the file of the log, for the isolates that serve.
 *
 * @module
 */

import type { Runtime } from "../base/mod.ts";
import { HeadAnnouncer, type LogListener } from "../log/mod.ts";
import { PipelineChannels } from "../sync/mod.ts";
import { serveStores } from "./remote_log.ts";
import type { Stores } from "./stores.ts";

/** Owner of the log and the tickets, which serves them to the other isolates. */
export class LogOwner {
  readonly #stores: Stores;
  readonly #ports: MessagePort[] = [];
  /** The other isolates, by their ports, which lose nothing. */
  readonly #listeners: LogListener[] = [];
  readonly #channels: PipelineChannels | null;
  readonly #announcer: HeadAnnouncer;

  constructor(stores: Stores, runtime: Runtime) {
    this.#stores = stores;
    this.#channels = PipelineChannels.detect(runtime);
    this.#announcer = new HeadAnnouncer({
      runtime,
      announce: (heads) => {
        for (const { onHeads } of this.#listeners) onHeads(heads);
      },
    });
    stores.log.listen({
      onChange: (change) => {
        if (this.#channels) {
          this.#channels.post(change);
          this.#announcer.add(change);
        } else {
          // A runtime without broadcasts: every port gets every change.
          for (const { onChange } of this.#listeners) onChange(change);
        }
      },
      onHeads() {},
    });
  }

  /** Serves the stores to one more isolate, and returns the port for it. */
  serve(): MessagePort {
    const { port1, port2 } = new MessageChannel();
    this.#ports.push(port1);
    this.#listeners.push(serveStores(port1, this.#stores));
    return port2;
  }

  /** Closes the log, and then the ways to the other isolates. */
  async close(): Promise<void> {
    await this.#stores.log.close();
    this.#announcer[Symbol.dispose]();
    this.#channels?.[Symbol.dispose]();
    for (const port of this.#ports) port.close();
  }
}
