/**
 * Misuses of publishes: bodies that break off or cost much, and credentials and
 * origins that must not be let in.
 *
 * @module
 */

import { strictEqual as equal } from "node:assert/strict";
import { SignJWT, UnsecuredJWT } from "jose";
import { asAppend, MANY_LINES } from "../generators/slow_appends.ts";
import { slowBodies } from "../generators/slow_bodies.ts";
import { CANCEL, Http2Connection, NO_ERROR } from "./http2.ts";
import { BUSY, isClosed, MisuseClient, type MisuseOptions } from "./misuse.ts";

/** Pages of other sites. A page of this machine is trusted. */
const FOREIGN = ["https://evil.example", "null", "http://localhost.evil.example", "file://"];

/**
 * Maximum time for the answer to an append, in milliseconds. It comes when all events are stored:
 * 262,144 of the smallest took 3 s alone, and 10 s beside seven such appends to one pipeline.
 */
const APPEND_MS = 60_000;

/** Misuses of a client that publishes. */
export class WritingMisuses {
  readonly #client: MisuseClient;
  /** Pipeline to which nothing is published that may be stored. */
  readonly #pipeline: string;
  readonly #bodies: ReturnType<typeof slowBodies>;

  constructor(options: MisuseOptions) {
    this.#client = new MisuseClient(options);
    this.#pipeline = `p_refused_${options.name}`;
    this.#bodies = slowBodies(options.random);
  }

  /** The misuses, by kind. */
  get kinds(): Record<string, () => Promise<void>> {
    const { isSecured } = this.#client.options;
    return {
      "bodies that cost much": () => this.#publishCostly(),
      "uploads that do not end": () => this.#leaveUpload(),
      "bodies that break off over HTTP/2": () => this.#breakOff(),
      ...isSecured
        ? { "invalid tokens": () => this.#sendInvalidToken() }
        : { "foreign origins": () => this.#sendForeignOrigin() },
    };
  }

  /** Asserts that nothing of what had to be refused is stored. */
  async check(): Promise<void> {
    const response = await this.#client.ask(`/pipelines/${this.#pipeline}/events`, [200]);
    const { events } = await response.json();
    equal(JSON.stringify(events).slice(0, 1000), "[]", "what was refused is not stored");
  }

  async #publishCostly(): Promise<void> {
    const { random } = this.#client;
    const publish = random.pick(this.#bodies);
    const statuses = [400, 408, 413, 422, ...BUSY];
    if (random.chance(0.6)) {
      const [, body, type = "application/json"] = publish;
      return await this.#send("/ingest", [202, ...statuses], body, type);
    }
    const [, body, type] = random.chance(0.5) ? asAppend(publish) : random.pick(MANY_LINES);
    await this.#send("/pipelines/p_slow/events", [200, ...statuses], body, type, APPEND_MS);
  }

  async #send(
    path: string,
    statuses: readonly number[],
    body: string,
    type: string,
    answerMs?: number,
  ): Promise<void> {
    const headers = { "Content-Type": type };
    const init = { method: "POST", headers, body, ...answerMs !== undefined && { answerMs } };
    await this.#client.status(path, statuses, init);
  }

  async #leaveUpload(): Promise<void> {
    const { random, credentialLines } = this.#client;
    const length = random.pick([100, 60_000, 500_000]);
    const framing = random.pick([`Content-Length: ${length}`, "Transfer-Encoding: chunked"]);
    const part = "x".repeat(random.integer(0, length - 1));
    const chunk = framing.startsWith("T") ? `${length.toString(16)}\r\n${part}` : part;
    const { path, type } = this.#upload();
    await this.#client.leave(
      `POST ${path} HTTP/1.1\r\nHost: localhost\r\n${credentialLines}` +
        `Content-Type: ${type}\r\n${framing}\r\n\r\n${chunk}`,
    );
  }

  async #breakOff(): Promise<void> {
    const { random, port, options } = this.#client;
    const { path, type } = this.#upload();
    const length = random.chance(0.5) ? { "content-length": "100" } : {};
    const credentials = Object.entries(options.credentials)
      .map(([name, value]): [string, string] => [name.toLowerCase(), value]);
    using connection = await Http2Connection.open(port, options.caCerts);
    await connection.post(1, path, {
      ...Object.fromEntries(credentials),
      "content-type": type,
      ...length,
    });
    await connection.data(1, "half a sen");
    await this.#client.pause(20);
    const end = random.integer(0, 3);
    try {
      if (end === 0) await connection.reset(1, CANCEL);
      if (end === 1) await connection.reset(1, NO_ERROR);
      if (end === 2) await connection.goAway(NO_ERROR);
    } catch (error) {
      if (!isClosed(error)) throw error;
    }
  }

  /** Returns a request of which nothing is stored before its end: the line of an append is no event. */
  #upload(): { path: string; type: string } {
    return this.#client.random.pick([
      { path: `/ingest/${this.#pipeline}/events`, type: "text/plain" },
      { path: `/pipelines/${this.#pipeline}/events`, type: "application/x-ndjson" },
      { path: `/pipelines/${this.#pipeline}/events`, type: "text/event-stream" },
    ]);
  }

  async #sendForeignOrigin(): Promise<void> {
    await this.#client.status(`/ingest/${this.#pipeline}/events`, [403, ...BUSY], {
      method: "POST",
      headers: { Origin: this.#client.random.pick(FOREIGN) },
      body: "from a page of another site",
    });
  }

  async #sendInvalidToken(): Promise<void> {
    const { random } = this.#client;
    const claims = { runnel: { publish: ["*"], subscribe: ["*"] } };
    const key = new TextEncoder().encode(
      `another secret of 32 characters: ${random.integer(0, 99)}`,
    );
    const make = random.pick<() => string | Promise<string>>([
      () => new UnsecuredJWT(claims).setExpirationTime("1h").encode(),
      () =>
        new SignJWT(claims).setProtectedHeader({ alg: "HS256" }).setExpirationTime("1h").sign(key),
      () =>
        new SignJWT(claims).setProtectedHeader({ alg: "HS256", kid: "k".repeat(5000) })
          .setExpirationTime("1h").sign(key),
      () => `${btoa(JSON.stringify({ alg: "RS256", kid: random.integer(0, 1e9) }))}.e30.e30`,
      () => `${"[".repeat(random.integer(1, 7000))}.e30.e30`,
      () => btoa(`{${'"a":'.repeat(500)}`),
      () => "a".repeat(random.integer(1, 30_000)),
    ]);
    await this.#client.status(`/ingest/${this.#pipeline}/events`, [
      401,
      ...BUSY,
      ...this.#client.options.caCerts ? [431] : [],
    ], {
      method: "POST",
      headers: { Authorization: `Bearer ${await make()}` },
      body: "by a token that is invalid",
    });
  }
}
