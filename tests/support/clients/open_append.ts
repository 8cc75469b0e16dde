/**
 * A streaming append whose body is open for as long as a test writes to it.
 *
 * @module
 */

/** An append in progress. */
export class OpenAppend {
  /** Answer of the service. It rejects if the connection breaks. */
  readonly response: Promise<Response>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;

  /** Sends the head of a request to append to a pipeline. */
  constructor({ url }: { url: string }, pipeline: string, headers: Record<string, string>) {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array<ArrayBuffer>>();
    this.#writer = writable.getWriter();
    this.response = fetch(`${url}/pipelines/${pipeline}/events`, {
      method: "POST",
      headers,
      body: readable,
    });
    // A test that expects the break awaits it later.
    this.response.catch(() => {});
  }

  /** Writes a part of the body. */
  async write(text: string): Promise<void> {
    await this.#writer.write(new TextEncoder().encode(text));
  }

  /** Ends the body, and returns the answer. */
  async end(): Promise<Response> {
    await this.#writer.close();
    return await this.response;
  }
}
