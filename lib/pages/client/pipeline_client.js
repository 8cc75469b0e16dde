// @ts-check
/**
 * What the pages ask of the service, with a token where one is needed.
 *
 * @module
 */

import { parseJson } from "../shared/json.js";
import { Refusal } from "../shared/refusal.js";

/**
 * An event of the history.
 *
 * @typedef {object} PastEvent
 * @property {string} id
 * @property {string} channel
 * @property {string} time
 * @property {string} payload As JSON text.
 */

/** One pipeline of the service that the page came from. */
export class PipelineClient {
  #pipeline;
  #askToken;
  /** In memory only: it is gone with the page. */
  #token = "";
  #needsTicket = false;
  /** @type {string | null} */
  #ticketPath = null;

  /**
   * @param {string} pipeline The pipeline's ID.
   * @param {(why: string) => Promise<string>} askToken Asks the user for a token; rejects if there
   *   is none.
   */
  constructor(pipeline, askToken) {
    this.#pipeline = pipeline;
    this.#askToken = askToken;
  }

  /** The path that all of the pipeline's is under. @returns {string} */
  get path() {
    return `/pipelines/${this.#pipeline}`;
  }

  /** The history, oldest first. @returns {Promise<PastEvent[]>} */
  async history() {
    const response = await this.#fetch(`${this.path}/events`);
    if (!response.ok) throw await failure(response);
    const { events } = parseJson(await response.text());
    // deno-fmt-ignore
    return events.map((/** @type {{ payload: unknown }} */ event) =>
      ({ ...event, payload: JSON.stringify(event.payload) }));
  }

  /**
   * Opens the event stream.
   *
   * @param {string} lastEventId The event to begin after; "" for the history first.
   * @returns {Promise<Response>} The stream.
   * @throws {Refusal} If trying again would not help.
   */
  async openStream(lastEventId) {
    const headers = new Headers({ Accept: "text/event-stream" });
    if (lastEventId !== "") headers.set("Last-Event-ID", lastEventId);
    const open = (/** @type {string} */ path) => fetch(path, { headers, cache: "no-store" });
    let response;
    if (!this.#needsTicket) {
      response = await open(`${this.path}/sse`);
      if (response.status === 401) this.#needsTicket = true;
    }
    if (this.#needsTicket) {
      response = this.#ticketPath === null ? undefined : await open(this.#ticketPath);
      // The session of the old ticket is over.
      if (!response || response.status === 401 || response.status === 403) {
        this.#ticketPath = await this.#getTicket();
        response = await open(this.#ticketPath);
      }
    }
    if (!response?.ok) throw await failure(/** @type {Response} */ (response));
    if (!response.headers.get("Content-Type")?.startsWith("text/event-stream")) {
      throw new Error("The answer is no event stream");
    }
    return response;
  }

  /**
   * Publishes an event.
   *
   * @param {string} channel The channel.
   * @param {string} payload The payload as JSON text, which is sent as it is.
   * @returns {Promise<string>} The event's ID.
   */
  async send(channel, payload) {
    const event = `{"pipeline":${JSON.stringify(this.#pipeline)},` +
      `"channel":${JSON.stringify(channel)},"payload":${payload}}`;
    const response = await this.#fetch("/ingest", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: event,
    });
    if (!response.ok) throw await failure(response);
    return (await response.json()).events[0].id;
  }

  async #getTicket() {
    const response = await this.#fetch(`${this.path}/tickets`, { method: "POST" });
    if (!response.ok) throw await failure(response);
    const { url } = await response.json();
    // Behind a proxy the service may know itself by another name; the page stays with its own.
    const { pathname, search } = new URL(url, location.href);
    return pathname + search;
  }

  /**
   * @param {string} path
   * @param {RequestInit} init
   */
  async #fetch(path, init = {}) {
    while (true) {
      const token = this.#token;
      const headers = new Headers(init.headers);
      if (token !== "") headers.set("Authorization", `Bearer ${token}`);
      const response = await fetch(path, { ...init, headers, cache: "no-store" });
      if (response.status !== 401 && response.status !== 403) return response;
      const { message } = await failure(response);
      // Another request may have got one meanwhile.
      if (token === this.#token) {
        const why = token === "" ? "This service asks for a token." : message;
        this.#token = await this.#askToken(why);
      }
    }
  }
}

/** @param {Response} response */
async function failure(response) {
  const { status } = response;
  const problem = await response.json().catch(() => ({}));
  const detail = problem.detail ?? `The service answered ${status}`;
  const isPassing = status >= 500 || status === 429;
  return isPassing ? new Error(detail) : new Refusal(detail);
}
