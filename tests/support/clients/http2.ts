/**
 * A client that speaks HTTP/2 by prior knowledge or over TLS, frame by frame, so that a test
 * can break off a request in each way that the protocol has.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc9113}
 * @module
 */

import { encodeUtf8 } from "../generators/text.ts";
import { connectLocally } from "../servers/local_server.ts";

const DATA = 0;
const HEADERS = 1;
const RST_STREAM = 3;
const SETTINGS = 4;
const GOAWAY = 7;

const END_STREAM = 1;
const END_HEADERS = 4;

/** Error codes of RST_STREAM and GOAWAY. */
export const NO_ERROR = 0;
export const INTERNAL_ERROR = 2;
export const CANCEL = 8;

/** A connection over HTTP/2. */
export class Http2Connection implements Disposable {
  readonly #connection: Deno.Conn;
  #isOpen = true;
  #received = new Uint8Array();

  private constructor(connection: Deno.Conn) {
    this.#connection = connection;
  }

  /** Connects to a port of this machine, over TLS if `caCerts` are given. */
  static async open(port: number, caCerts?: string[]): Promise<Http2Connection> {
    const connection = new Http2Connection(await connectLocally(port, caCerts, "h2"));
    await connection.#send(encodeUtf8("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(SETTINGS, 0, 0));
    return connection;
  }

  /** Sends the headers of a POST request, in literals that are not indexed. */
  async post(stream: number, path: string, headers: Record<string, string> = {}): Promise<void> {
    const fields = Object.entries({
      ":method": "POST",
      ":scheme": "http",
      ":authority": "localhost",
      ":path": path,
      ...headers,
    });
    const block = fields.flatMap(([name, value]) => [
      0,
      name.length,
      ...encodeUtf8(name),
      value.length,
      ...encodeUtf8(value),
    ]);
    await this.#send(frame(HEADERS, END_HEADERS, stream, Uint8Array.from(block)));
  }

  /** Sends a part of a body. */
  async data(stream: number, text: string, { isLast = false } = {}): Promise<void> {
    await this.#send(frame(DATA, isLast ? END_STREAM : 0, stream, encodeUtf8(text)));
  }

  /** Resets a stream. */
  async reset(stream: number, code: number): Promise<void> {
    await this.#send(frame(RST_STREAM, 0, stream, numbers(code)));
  }

  /** Announces that the connection is going to be closed. */
  async goAway(code: number): Promise<void> {
    await this.#send(frame(GOAWAY, 0, 0, numbers(0, code)));
  }

  /** Reads the body of the response on a stream, and ignores all other frames. */
  async body(stream: number): Promise<string> {
    let text = "";
    for (;;) {
      const { type, flags, stream: id, payload } = await this.#read();
      if (id !== stream) continue;
      if (type === RST_STREAM) throw new Error("The stream was reset");
      if (type === DATA) text += new TextDecoder().decode(payload);
      if (flags & END_STREAM && (type === DATA || type === HEADERS)) return text;
    }
  }

  async #send(...parts: Uint8Array[]): Promise<void> {
    const bytes = Uint8Array.from(parts.flatMap((part) => [...part]));
    for (let sent = 0; sent < bytes.length;) {
      sent += await this.#connection.write(bytes.subarray(sent));
    }
  }

  async #read() {
    const view = new DataView((await this.#take(9)).buffer);
    const payload = await this.#take(view.getUint32(0) >>> 8);
    return {
      type: view.getUint8(3),
      flags: view.getUint8(4),
      stream: view.getUint32(5) & 0x7fffffff,
      payload,
    };
  }

  async #take(length: number): Promise<Uint8Array<ArrayBuffer>> {
    while (this.#received.length < length) {
      const part = new Uint8Array(16 * 1024);
      const count = await this.#connection.read(part);
      if (count === null) throw new Error("The connection was closed");
      this.#received = Uint8Array.of(...this.#received, ...part.subarray(0, count));
    }
    const taken = this.#received.slice(0, length);
    this.#received = this.#received.slice(length);
    return taken;
  }

  /** Closes the connection. */
  [Symbol.dispose](): void {
    if (this.#isOpen) this.#connection.close();
    this.#isOpen = false;
  }
}

function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Uint8Array = new Uint8Array(),
): Uint8Array {
  const bytes = new Uint8Array(9 + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, payload.length << 8 | type);
  view.setUint8(4, flags);
  view.setUint32(5, stream);
  bytes.set(payload, 9);
  return bytes;
}

function numbers(...values: number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(4 * values.length));
  values.forEach((value, index) => view.setUint32(4 * index, value));
  return new Uint8Array(view.buffer);
}
