// @ts-check
/**
 * Requests to the service that the page was loaded from, with a token if one is required.
 *
 * @module
 */

import { splitJson } from "../shared/json.js";
import { Refusal } from "../shared/refusal.js";

/**
 * An event of the history.
 *
 * @typedef {object} PastEvent
 * @property {string} id
 * @property {string} channel
 * @property {string} time When it was published, as ISO 8601.
 * @property {string} payload JSON text.
 */

/** Client of one pipeline. */
export class PipelineClient {
  #pipeline;
  #askToken;
  /** In memory only, so it is lost with the page. */
  #token = "";
  /** The token that does not cover reading the history, so that it is asked for once. */
  #refusedForHistory = "";
  #needsTicket = false;
  /** @type {string | null} */
  #ticketPath = null;

  /**
   * @param {string} pipeline Pipeline ID.
   * @param {(why: string) => Promise<string>} askToken Asks the user for a token; rejects if the
   *   user enters none.
   */
  constructor(pipeline, askToken) {
    this.#pipeline = pipeline;
    this.#askToken = askToken;
  }

  /** Path of the pipeline's page, which all its other paths begin with. @returns {string} */
  get path() {
    return `/pipelines/${this.#pipeline}`;
  }

  /**
   * Reads the history, oldest event first.
   *
   * @returns {Promise<PastEvent[]>} Nothing if the token does not cover reading: an operator's own
   *   token gets tickets, and their streams begin with the history.
   */
  async history() {
    if (this.#token !== "" && this.#token === this.#refusedForHistory) return [];
    const response = await this.#fetch(`${this.path}/events`, {}, [403]);
    if (response.status === 403) {
      await response.body?.cancel();
      this.#refusedForHistory = this.#token;
      return [];
    }
    if (!response.ok) throw await failure(response);
    const { events = "" } = Object.fromEntries(splitJson(await response.text()));
    return splitJson(events).map(([, event]) => readEvent(event));
  }

  /**
   * Opens the event stream.
   *
   * @param {string} lastEventId ID of the event to start after; "" to start with the history.
   * @returns {Promise<Response>} The stream, or 204 if that event is the end of the run.
   * @throws {Refusal} If the error is not transient.
   */
  async openStream(lastEventId) {
    const headers = new Headers({ Accept: "text/event-stream" });
    if (lastEventId !== "") headers.set("Last-Event-ID", lastEventId);
    const open = (/** @type {string} */ path) => fetch(path, { headers, cache: "no-store" });
    let response = await (this.#needsTicket ? this.#openByTicket(open) : open(`${this.path}/sse`));
    if (response.status === 401 && !this.#needsTicket) {
      this.#needsTicket = true;
      response = await this.#openByTicket(open);
    }
    if (!response.ok) throw await failure(response);
    if (response.status === 204) return response;
    if (!response.headers.get("Content-Type")?.startsWith("text/event-stream")) {
      throw new Error("The answer is not an event stream");
    }
    return response;
  }

  /** Lets the next stream be opened with another ticket. */
  dropTicket() {
    this.#ticketPath = null;
  }

  /**
   * Publishes an event.
   *
   * @param {string} channel
   * @param {string} payload JSON text, which is sent unchanged.
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

  /** Deletes the history, for everyone. */
  async deleteHistory() {
    const response = await this.#fetch(`${this.path}/events`, { method: "DELETE" });
    if (!response.ok) throw await failure(response);
  }

  /** @param {(path: string) => Promise<Response>} open */
  async #openByTicket(open) {
    if (this.#ticketPath !== null) {
      const response = await open(this.#ticketPath);
      if (response.status !== 401 && response.status !== 403) return response;
      // The session of the old ticket has ended.
    }
    this.#ticketPath = await this.#getTicket();
    return await open(this.#ticketPath);
  }

  async #getTicket() {
    const response = await this.#fetch(`${this.path}/tickets`, { method: "POST" });
    if (!response.ok) throw await failure(response);
    const { url } = await response.json();
    // Behind a proxy the service may have another origin; the page keeps to its own.
    const { pathname, search } = new URL(url, location.href);
    return pathname + search;
  }

  /**
   * Sends a request with the token. While the service refuses it, asks for another one.
   *
   * @param {string} path
   * @param {RequestInit} init
   * @param {number[]} expected Statuses that are not for another token to change.
   */
  async #fetch(path, init = {}, expected = []) {
    while (true) {
      const token = this.#token;
      const headers = new Headers(init.headers);
      if (token !== "") headers.set("Authorization", `Bearer ${token}`);
      const response = await fetch(path, { ...init, headers, cache: "no-store" });
      const isRefused = response.status === 401 || response.status === 403;
      if (!isRefused || token !== "" && expected.includes(response.status)) return response;
      const { message } = await failure(response);
      // Another request may have got a token in the meantime.
      if (token === this.#token) {
        const why = token === "" ? "This service asks for a token." : message;
        this.#token = await this.#askToken(why).catch((error) => {
          // The token is valid and does not cover this: that is the answer if there is no other.
          throw token !== "" && response.status === 403 ? new Refusal(message) : error;
        });
      }
    }
  }
}

/**
 * @param {string} text JSON text of an event, whose payload stays text.
 * @returns {PastEvent}
 */
function readEvent(text) {
  const { id = "", channel = "", time = "", payload = "" } = Object.fromEntries(splitJson(text));
  return { id: JSON.parse(id), channel: JSON.parse(channel), time: JSON.parse(time), payload };
}

/** @param {Response} response */
async function failure(response) {
  const { status } = response;
  const problem = await response.json().catch(() => ({}));
  const detail = problem.detail ?? `The service answered ${status}`;
  const isTransient = status >= 500 || status === 429;
  return isTransient ? new Error(detail) : new Refusal(detail);
}
