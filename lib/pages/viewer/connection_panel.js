// @ts-check
/**
 * The card that shows the state of the connection.
 *
 * @module
 */

import { SLOT_EXPLANATION } from "../client/stream_slots.js";
import { byId, setText } from "../shared/elements.js";
import { STATE_LABELS } from "../shared/messages.js";

/** @typedef {import("../client/pipeline_stream.js").PipelineStream} PipelineStream */

/**
 * State of the connection, and of a page that waits for a token.
 *
 * @typedef {import("../client/pipeline_stream.js").StreamState | { name: "needs-token" } |
 *   { name: "connecting" } | { name: "refused", reason: string }} State
 */

/** Explanation of the transport, if the network holds streams back. */
const POLL_EXPLANATION = "Something on the way holds streams back, so this page asks again and " +
  "again. The page Diagnose finds out more.";

/** The card. */
export class ConnectionPanel {
  /** @type {State} */
  #state = { name: "connecting" };
  /** When the next attempt is made, in milliseconds since 1970. */
  #retryAt = 0;

  /** Whether the stream is live. */
  get isLive() {
    return this.#state.name === "live";
  }

  /**
   * Shows a new state.
   *
   * @param {State} state
   * @param {PipelineStream | null} stream The stream, once it has been opened.
   */
  showState(state, stream) {
    this.#state = state;
    if (state.name === "waiting") this.#retryAt = Date.now() + state.ms;
    byId("state").dataset["state"] = state.name;
    const isReconnecting = state.name === "connecting" && stream?.lastReceivedAt;
    setText("state-text", isReconnecting ? "Reconnecting" : STATE_LABELS[state.name]);
    byId("retry").hidden = state.name !== "waiting" && state.name !== "refused";
    this.refresh(stream);
  }

  /**
   * Shows what changes without a new state.
   *
   * @param {PipelineStream | null} stream
   */
  refresh(stream) {
    setText("state-more", this.#explanation());
    setText("reconnects", String(stream?.reconnects ?? 0));
    setText("last-received", describeAge(stream?.lastReceivedAt));
    setText("last-id", stream?.lastEventId || "none yet");
  }

  /** Whether the run has ended. */
  get hasEnded() {
    return this.#state.name === "ended";
  }

  /** Returns what becomes of the history before it has been read, and after the end of the run. */
  describeHistory() {
    if (this.#state.name === "needs-token") {
      return "The events appear here after you enter a token.";
    }
    if (this.#state.name === "refused") return "The history was not read.";
    if (this.#state.name === "ended") return "The run has ended, and nothing of it is listed.";
    return "Reading the history.";
  }

  #explanation() {
    if (this.#state.name === "refused") return this.#state.reason;
    if (this.#state.name === "needs-slot") return SLOT_EXPLANATION;
    if (this.#state.name === "ended") return "The run has ended. No events follow.";
    if (this.#state.name === "live" && this.#state.transport === "poll") return POLL_EXPLANATION;
    if (this.#state.name !== "waiting") return "";
    const seconds = Math.max(0, Math.ceil((this.#retryAt - Date.now()) / 1000));
    return `Trying again in ${seconds} s.`;
  }
}

/** @param {number | null | undefined} time */
function describeAge(time) {
  if (!time) return "not yet";
  const seconds = Math.round((Date.now() - time) / 1000);
  if (seconds < 2) return "just now";
  return seconds < 120 ? `${seconds} s ago` : `${Math.floor(seconds / 60)} min ago`;
}
