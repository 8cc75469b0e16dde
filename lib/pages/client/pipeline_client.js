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

/**
 * The history of a pipeline.
 *
 * @typedef {object} History
 * @property {PastEvent[]} events Its events, oldest first.
 * @property {{ id: string, events: number } | null} end The end of the run, if it has ended.
 * @property {string} lastEventId Position at which it ends, and from which a stream goes on; empty
 *   if the token does not cover reading it.
 */

/** Client of one pipeline. */
export class PipelineClient {
  /** Pipeline ID. */
  pipeline;
  #askToken;
  /** In memory only, so it is lost with the page. */
  #token = "";
  /** The token that does not cover reading, so that it is tried once. */
  #refusedForReading = "";

  /**
   * @param {string} pipeline Pipeline ID.
   * @param {(why: string) => Promise<string>} askToken Asks the user for a token; rejects if the
   *   user enters none.
   */
  constructor(pipeline, askToken) {
    this.pipeline = pipeline;
    this.#askToken = askToken;
  }

  /** Path of the pipeline's page, which all its other paths begin with. @returns {string} */
  get path() {
    return `/pipelines/${this.pipeline}`;
  }

  /** The token; empty without one. @returns {string} */
  get token() {
    return this.#token;
  }

  /**
   * Whether the token is known not to cover reading: an operator's own token gets tickets.
   *
   * @returns {boolean}
   */
  get needsTicket() {
    return this.#token !== "" && this.#token === this.#refusedForReading;
  }

  /**
   * Reads the history.
   *
   * @returns {Promise<History>} Nothing if the token does not cover reading: then the stream, which
   *   a ticket opens, begins with the history.
   */
  async history() {
    const response = this.needsTicket ? null : await this.#read("");
    if (!response) return { events: [], end: null, lastEventId: "" };
    const { events = "", end = "null", lastEventId = '""' } = Object.fromEntries(
      splitJson(await response.text()),
    );
    return {
      events: splitJson(events).map(([, event]) => readEvent(event)),
      end: JSON.parse(end),
      lastEventId: JSON.parse(lastEventId),
    };
  }

  /**
   * Asks the user for another token, unless the service accepts the one that there is.
   *
   * @returns {Promise<string>} The token. See {@linkcode PipelineClient.needsTicket}.
   */
  async renewToken() {
    const response = await this.#read("?history=0");
    await response?.body?.cancel();
    return this.#token;
  }

  /**
   * Requests a ticket.
   *
   * @returns {Promise<string>} The path that it opens.
   * @throws {Refusal} If the error is not transient.
   */
  async requestTicket() {
    const response = await this.#fetch(`${this.path}/tickets`, { method: "POST" });
    if (!response.ok) throw await failure(response);
    const { url } = await response.json();
    // Behind a proxy the service may have another origin; the page keeps to its own.
    const { pathname, search } = new URL(url, location.href);
    return pathname + search;
  }

  /**
   * Publishes an event.
   *
   * @param {string} channel
   * @param {string} payload JSON text, which is sent unchanged.
   * @returns {Promise<string>} The event's ID.
   */
  async send(channel, payload) {
    const event = `{"pipeline":${JSON.stringify(this.pipeline)},` +
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

  /**
   * Requests the history.
   *
   * @param {string} query
   * @returns {Promise<Response | null>} `null` if the token does not cover it.
   */
  async #read(query) {
    const response = await this.#fetch(`${this.path}/events${query}`, {}, [403]);
    if (response.status === 403) {
      await response.body?.cancel();
      this.#refusedForReading = this.#token;
      return null;
    }
    if (!response.ok) throw await failure(response);
    return response;
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
