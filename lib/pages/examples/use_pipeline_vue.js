// @ts-check
// A Vue composable that follows pipelines. Copy it into your project:
//
//   const { state, events } = usePipeline("http://localhost:8000", { pipelines: "p_demo" });

import { subscribe } from "@runnel/client";
import { onScopeDispose, ref, shallowRef } from "vue";

/**
 * Follows the newest events of one or more pipelines, on one stream, as long as the component
 * lives.
 *
 * @param {string} url URL of the service.
 * @param {import("@runnel/client").SubscribeOptions} options What to follow.
 * @param {number} keep Maximum number of events.
 */
export function usePipeline(url, options, keep = 100) {
  const state = ref("connecting");
  const events = shallowRef(/** @type {PipelineEvent[]} */ ([]));
  const add = (/** @type {PipelineEvent} */ event) => {
    events.value = [...events.value, event].slice(-keep);
  };
  const subscription = subscribe(url, {
    ...options,
    onEvent: add,
    // Events are missing here.
    onGap: add,
    onState: ({ name }) => state.value = name,
  });
  onScopeDispose(() => subscription.close());
  return { state, events };
}

/** @typedef {import("@runnel/client").PublishedEvent | import("@runnel/client").GapEvent} PipelineEvent */
