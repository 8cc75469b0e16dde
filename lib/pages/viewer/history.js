// @ts-check
/**
 * The history, and the publish times that only the history contains.
 *
 * @module
 */

import { byId } from "../shared/elements.js";
import { refreshTime } from "../shared/event_rows.js";

/** @typedef {import("../client/pipeline_client.js").PipelineClient} PipelineClient */
/** @typedef {import("../shared/entry.js").EventEntry} EventEntry */

/**
 * Reads the history, as often as the user tries again.
 *
 * @param {PipelineClient} client
 * @param {(state: import("./connection_panel.js").State) => void} showState
 */
export async function readHistory(client, showState) {
  while (true) {
    try {
      return await client.history();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      showState({ name: "refused", reason });
      await new Promise((resolve) =>
        byId("retry").addEventListener("click", resolve, { once: true })
      );
      showState({ name: "connecting" });
    }
  }
}

/**
 * Gives streamed events the publish times of the history.
 *
 * @param {EventEntry[]} events
 * @param {PipelineClient} client
 * @param {HTMLElement} rows
 */
export async function showPublishTimes(events, client, rows) {
  if (events.length === 0) return;
  const history = await client.history().catch(() => null);
  const times = new Map(history?.events.map(({ id, time }) => [id, Date.parse(time)]));
  for (const event of events) {
    const time = times.get(event.id);
    if (time === undefined) continue;
    event.time = time;
    event.isPublishTime = true;
  }
  for (const row of rows.querySelectorAll("li")) {
    if (times.has(row.dataset["id"] ?? "")) refreshTime(row);
  }
}
