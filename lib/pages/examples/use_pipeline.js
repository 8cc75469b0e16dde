// @ts-check
// A React hook that follows a pipeline. Copy it into your project:
//
//   const { state, events } = usePipeline("http://localhost:8000/pipelines/p_demo/sse", ["orders"]);

import { useEffect, useState } from "react";

/**
 * Follows the newest events of a pipeline.
 *
 * @param {string} url URL of the event stream.
 * @param {string[]} channels Channels to receive. Gaps are events of the channel "runnel.gap".
 * @param {number} keep Maximum number of events.
 */
export function usePipeline(url, channels = ["events"], keep = 100) {
  const [state, setState] = useState(/** @type {StreamState} */ ("connecting"));
  const [events, setEvents] = useState(/** @type {PipelineEvent[]} */ ([]));
  // An array is another one at each rendering, even if it has the same channels.
  const names = JSON.stringify([...channels, "runnel.gap"]);

  useEffect(() => {
    const source = new EventSource(url);
    for (const channel of JSON.parse(names)) {
      source.addEventListener(channel, ({ lastEventId: id, data }) => {
        const event = { id, channel, payload: JSON.parse(data) };
        setEvents((events) => [...events, event].slice(-keep));
      });
    }
    source.addEventListener("runnel.live", () => setState("live"));
    source.addEventListener("runnel.end", () => {
      setState("ended");
      source.close();
    });
    source.addEventListener("error", () => {
      setState(source.readyState === EventSource.CLOSED ? "refused" : "connecting");
    });
    return () => {
      source.close();
      setState("connecting");
      setEvents([]);
    };
  }, [url, names, keep]);

  return { state, events };
}

/** @typedef {"connecting" | "live" | "ended" | "refused"} StreamState */

/** @typedef {{ id: string, channel: string, payload: any }} PipelineEvent */
