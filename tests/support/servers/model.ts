/**
 * A stand-in for the API of a language model: it streams an answer as a test writes it.
 *
 * @module
 */

import { type LocalServer, serveLocally } from "./local_server.ts";

/** The stand-in, which answers one question. */
export class Model implements AsyncDisposable {
  /** The question, once it was asked. */
  readonly question: Promise<unknown>;
  readonly #server: LocalServer;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;

  constructor() {
    const { promise, resolve } = Promise.withResolvers<unknown>();
    this.question = promise;
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array<ArrayBuffer>>();
    this.#writer = writable.getWriter();
    this.#server = serveLocally(async (request) => {
      resolve(await request.json());
      return new Response(readable, { headers: { "Content-Type": "text/event-stream" } });
    });
  }

  /** Address of the API. */
  get url(): string {
    return this.#server.url;
  }

  /** Sends a piece of the answer. */
  async write(content: string): Promise<void> {
    await this.#send(JSON.stringify({ choices: [{ index: 0, delta: { content } }] }));
  }

  /** Ends the answer. */
  async end(): Promise<void> {
    await this.#send("[DONE]");
    await this.#writer.close();
  }

  async #send(data: string): Promise<void> {
    await this.#writer.write(new TextEncoder().encode(`data: ${data}\n\n`));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
  }
}
