/**
 * Tabs of a played browser, in which time passes for all of them.
 *
 * @module
 */

import type { SharedSubscribeOptions } from "../../../lib/client/shared_types.ts";
import { PlayedBrowser, type PlayedTab } from "./played_browser.ts";
import { PlayedService, type PlayedStream } from "./played_service.ts";

/** Address of the service. */
export const URL = "http://localhost:8000";

/** Whether a tab has its events from the shared stream. */
export const isShared = ({ subscription }: PlayedTab): boolean => subscription.state.isShared;

/** Tabs, with the numbers of the events that each one received. */
export class Tabs {
  readonly service = new PlayedService();
  readonly browser = new PlayedBrowser(this.service, () => 0);
  readonly received = new Map<PlayedTab, string[]>();
  /** Streams on which nothing arrives. */
  readonly slow = new Set<PlayedStream>();

  /** Changes the messages of the next tabs, and of the worker to them. */
  alter: PlayedTab["alter"] = (message) => message;

  /** Opens a tab, and waits until it is live. */
  async open(options: Partial<SharedSubscribeOptions> = {}): Promise<PlayedTab> {
    const events: string[] = [];
    const tab = this.browser.open(URL, {
      pipelines: "p_a",
      onEvent: ({ data }) => void events.push(JSON.parse(data)),
      onState: () => {},
      ...options,
    });
    tab.alter = this.alter;
    this.received.set(tab, events);
    await this.pass(2000);
    return tab;
  }

  /** Lets time pass. */
  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 50) {
      if (left % 10_000 === 0) this.service.keepAlive();
      for (let i = 0; i < 4; i++) {
        const frozen = [...this.browser.tabs].filter(({ isFrozen }) => isFrozen);
        for (const stream of this.service.openStreams) {
          const isHalted = frozen.some(({ streams }) => streams.has(stream));
          if (!isHalted && !this.slow.has(stream)) stream.deliver(Infinity);
        }
        await new Promise((resolve) => setImmediate(resolve));
        this.browser.receive(Infinity);
        for (const tab of this.browser.tabs) tab.receive(Infinity);
      }
      this.browser.worker?.clock.advance(50);
      for (const tab of this.browser.tabs) if (!tab.isFrozen) tab.clock.advance(50);
    }
  }

  /** Publishes events and lets them arrive. */
  async publish(count: number, pipeline = "p_a"): Promise<void> {
    for (let i = 0; i < count; i++) this.service.publish(pipeline, "orders");
    await this.pass(50);
  }

  /** Closes all tabs. */
  async close(): Promise<void> {
    for (const tab of this.browser.tabs) tab.subscription.close();
    await this.pass(50);
  }
}
