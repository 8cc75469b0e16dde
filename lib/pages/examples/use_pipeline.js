// @ts-check
// A React hook that follows pipelines. Copy it into your project:
//
//   const { state, events } = usePipeline("http://localhost:8000", { pipelines: "p_demo" });

import { subscribe } from "@runnel/client";
import { useEffect, useState } from "react";

/**
 * Follows the newest events of one or more pipelines, on one stream.
 *
 * @param {string} url URL of the service.
 * @param {import("@runnel/client").SubscribeOptions} options What to follow. If its values change,
 *   the hook follows that instead.
 * @param {number} keep Maximum number of events.
 */
export function usePipeline(url, options, keep = 100) {
  const [state, setState] = useState("connecting");
  const [events, setEvents] = useState(/** @type {PipelineEvent[]} */ ([]));
  // An object is another one at each rendering, even if it has the same values.
  const values = JSON.stringify(options);

  useEffect(() => {
    const add = (/** @type {PipelineEvent} */ event) =>
      setEvents((events) => [...events, event].slice(-keep));
    const subscription = subscribe(url, {
      ...options,
      onEvent: add,
      // Events are missing here.
      onGap: add,
      onState: ({ name }) => setState(name),
    });
    return () => {
      subscription.close();
      setState("connecting");
      setEvents([]);
    };
  }, [url, values, keep]);

  return { state, events };
}

/** @typedef {import("@runnel/client").PublishedEvent | import("@runnel/client").GapEvent} PipelineEvent */
