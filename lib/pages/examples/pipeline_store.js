// @ts-check
// A Svelte store that follows pipelines. Copy it into your project:
//
//   const orders = pipelineStore("http://localhost:8000", { pipelines: "p_demo" });

import { subscribe } from "@runnel/client";
import { readable } from "svelte/store";

/**
 * Follows the newest events of one or more pipelines, on one stream, as long as somebody reads the
 * store.
 *
 * @param {string} url URL of the service.
 * @param {import("@runnel/client").SubscribeOptions} options What to follow.
 * @param {number} keep Maximum number of events.
 */
export function pipelineStore(url, options, keep = 100) {
  /** @type {{ state: string, events: PipelineEvent[] }} */
  const start = { state: "connecting", events: [] };
  return readable(start, (_set, update) => {
    const add = (/** @type {PipelineEvent} */ event) =>
      update(({ state, events }) => ({ state, events: [...events, event].slice(-keep) }));
    const subscription = subscribe(url, {
      ...options,
      onEvent: add,
      // Events are missing here.
      onGap: add,
      onState: ({ name: state }) => update(({ events }) => ({ state, events })),
    });
    return () => {
      subscription.close();
      update(() => start);
    };
  });
}

/** @typedef {import("@runnel/client").PublishedEvent | import("@runnel/client").GapEvent} PipelineEvent */
