/**
 * Streaming appends over real connections: by raw HTTP/1.1, so that a test can break off
 * wherever it likes, and by `fetch`.
 *
 * @module
 */

import { encodeUtf8 } from "../generators/text.ts";
import { connectLocally, readRaw } from "../servers/local_server.ts";

/** Returns the path of the appends of a pipeline. */
export const appendPath = (pipeline = "p_a"): string => `/pipelines/${pipeline}/events`;

/** Returns a line of NDJSON with an event. */
export function line(payload: unknown, rest: object = {}): string {
  return `${JSON.stringify({ channel: "events", payload, ...rest })}\n`;
}

/** Returns lines with the numbers from one to another. */
export function lines(first: number, last: number): string {
  let text = "";
  for (let number = first; number <= last; number++) text += line(number);
  return text;
}

/** Answer to an append. */
export interface AppendAnswer {
  status: number;
  accepted: number;
  lastEventId: string | null;
  ended?: boolean;
  /** Type of the problem, without its prefix. */
  type?: string;
}

/** An append over a connection of its own, in chunks. */
export class RawAppend implements Disposable {
  readonly #connection: Deno.Conn;

  private constructor(connection: Deno.Conn) {
    this.#connection = connection;
  }

  /** Sends the head of a request. */
  static async open(
    port: number,
    { headers = {}, caCerts }: { headers?: Record<string, string>; caCerts?: string[] } = {},
  ): Promise<RawAppend> {
    const append = new RawAppend(await connectLocally(port, caCerts));
    const fields = Object.entries({
      "Host": "localhost",
      "Content-Type": "application/x-ndjson",
      "Transfer-Encoding": "chunked",
      ...headers,
    });
    const text = fields.map(([name, value]) => `${name}: ${value}\r\n`).join("");
    await append.send(`POST ${appendPath()} HTTP/1.1\r\n${text}\r\n`);
    return append;
  }

  /** Sends a text unchanged. */
  async send(text: string): Promise<void> {
    const bytes = encodeUtf8(text);
    for (let sent = 0; sent < bytes.length;) {
      sent += await this.#connection.write(bytes.subarray(sent));
    }
  }

  /** Sends a part of the body. */
  async write(text: string): Promise<void> {
    await this.send(`${encodeUtf8(text).length.toString(16)}\r\n${text}\r\n`);
  }

  /** Ends the body. */
  async end(): Promise<void> {
    await this.send("0\r\n\r\n");
  }

  /** Closes the sending side of the connection. */
  async closeWrite(): Promise<void> {
    await (this.#connection as Deno.TcpConn).closeWrite();
  }

  /** Reads until a text has come, or the service closes the connection. */
  async read(enough?: (text: string) => boolean): Promise<string> {
    return await readRaw(this.#connection, enough);
  }

  /** Reads the answer; if `untilClosed`, up to the end of the connection. */
  async answer({ untilClosed = false } = {}): Promise<AppendAnswer> {
    return parseAnswer(await this.read(untilClosed ? undefined : (text) => text.includes("}")));
  }

  /** Closes the connection: by RST if something was not read. */
  [Symbol.dispose](): void {
    try {
      this.#connection.close();
    } catch (error) {
      // A read that took too long has closed it.
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
  }
}

function parseAnswer(text: string): AppendAnswer {
  const status = Number(/^HTTP\/1\.1 (\d+) /.exec(text)?.[1]);
  if (Number.isNaN(status)) throw new Error(`No answer: ${text}`);
  return describeAnswer(status, JSON.parse(text.slice(text.indexOf("{"), text.indexOf("}") + 1)));
}

function describeAnswer(status: number, body: Record<string, unknown>): AppendAnswer {
  const { accepted, lastEventId, ended, type } = body;
  return {
    status,
    accepted: accepted as number,
    lastEventId: lastEventId as string | null,
    ...ended !== undefined && { ended: ended as boolean },
    ...type !== undefined && { type: String(type).replace("urn:runnel:problem:", "") },
  };
}

/** Options for {@linkcode openAppend}. */
export interface OpenAppendOptions {
  headers?: Record<string, string>;
  client?: Deno.HttpClient;
  pipeline?: string;
  /** Parameters, with a question mark. */
  query?: string;
}

/** An append by `fetch`, whose body a test writes. */
export interface OpenAppend {
  write: (text: string) => Promise<void>;
  close: () => Promise<void>;
  answer: Promise<AppendAnswer>;
}

/** Opens an append by `fetch`. */
export function openAppend(
  { url }: { url: string },
  options: OpenAppendOptions = {},
): OpenAppend {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  const answer = append({ url }, readable, options);
  answer.catch(() => {});
  return {
    write: (text) => writer.write(encodeUtf8(text)),
    close: () => writer.close(),
    answer,
  };
}

/** Appends a whole body by `fetch`. */
export async function append(
  { url }: { url: string },
  body: string | ReadableStream<Uint8Array>,
  { headers = {}, client, pipeline, query = "" }: OpenAppendOptions = {},
): Promise<AppendAnswer> {
  const response = await fetch(url + appendPath(pipeline) + query, {
    method: "POST",
    headers: { "Content-Type": "application/x-ndjson", ...headers },
    body,
    ...client && { client },
  });
  return describeAnswer(response.status, await response.json());
}

/** Reads how much of an append stands. */
export async function readStanding(
  { url }: { url: string },
  key: string,
  pipeline = "p_a",
): Promise<AppendAnswer> {
  const headers = { "Idempotency-Key": key };
  const response = await fetch(`${url}/pipelines/${pipeline}/append`, { headers });
  return describeAnswer(response.status, await response.json());
}
