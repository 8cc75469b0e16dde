// @ts-check
/**
 * Incremental parser of the event stream format.
 *
 * @see {@link https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream}
 * @module
 */

/**
 * An event of a stream.
 *
 * @typedef {object} StreamedEvent
 * @property {string} id Last event ID of the stream as of this event.
 * @property {string} type Event type.
 * @property {string} data Data, its lines joined by LF.
 */

/** Parser of one connection's event stream, which takes it in pieces of any size. */
export class EventStreamParser {
  /** ID to reconnect with: that of the newest block, with or without data. */
  lastEventId = "";
  /** Reconnection time that the stream asked for, in milliseconds. @type {number | null} */
  retryMs = null;
  #rest = "";
  #id = "";
  #type = "";
  /** @type {string[]} */
  #data = [];
  #endedWithCr = false;

  /** @param {string} lastEventId ID that the connection was opened with. */
  constructor(lastEventId = "") {
    this.lastEventId = this.#id = lastEventId;
  }

  /**
   * Parses the next piece of the stream.
   *
   * @param {string} text
   * @returns {StreamedEvent[]} The events that the piece completes.
   *
   * @example
   * ```ts
   * import { deepStrictEqual as deepEqual } from "node:assert/strict";
   *
   * const parser = new EventStreamParser();
   * deepEqual(parser.push("id: a-1\nevent: orders\nda"), []);
   * deepEqual(parser.push("ta: 7\n\n"), [{ id: "a-1", type: "orders", data: "7" }]);
   * ```
   */
  push(text) {
    /** @type {StreamedEvent[]} */
    const events = [];
    if (text === "") return events;
    // A CR at the end of the last piece has ended its line already: this LF belongs to it.
    if (this.#endedWithCr && text[0] === "\n") text = text.slice(1);
    this.#endedWithCr = text.endsWith("\r");
    const lines = (this.#rest + text).split(/\r\n|\r|\n/);
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line === "") this.#dispatch(events);
      else this.#field(line);
    }
    return events;
  }

  /** @param {StreamedEvent[]} events */
  #dispatch(events) {
    this.lastEventId = this.#id;
    if (this.#data.length > 0) {
      const data = this.#data.join("\n");
      events.push({ id: this.#id, type: this.#type || "message", data });
    }
    this.#type = "";
    this.#data = [];
  }

  /** @param {string} line */
  #field(line) {
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (name === "data") this.#data.push(value);
    else if (name === "event") this.#type = value;
    else if (name === "id" && !value.includes("\0")) this.#id = value;
    else if (name === "retry" && /^\d+$/.test(value)) this.retryMs = Number(value);
  }
}
