/**
 * Bytes that an attacker may send over a connection: requests of all shapes, and
 * invalid ones.
 *
 * @module
 */

import { appendBody } from "./append_bodies.ts";
import { HostileJson } from "./hostile_json.ts";
import { type ExpectedEvent, expectedEvents, expectedPayload } from "./json_text.ts";
import type { SeededRandom } from "./random.ts";
import { encodeUtf8 } from "./text.ts";

/** Bytes for a connection, and the outcomes that are allowed. */
export interface Attack {
  kind: string;
  /** Parts to send, in order. */
  parts: Uint8Array[];
  /** Pause between two parts, in milliseconds. */
  pauseMs: number;
  /** Whether the client disconnects before the service can respond. */
  isCut: boolean;
  isHead: boolean;
  /** Events that the attack may store. */
  events: ExpectedEvent[];
  /** Whether a 202 is for all of the events, in their order; otherwise for some of them. */
  isExact: boolean;
}

/** Target of the attacks. */
export interface Target {
  host: string;
  pipeline: string;
  /** Header lines with valid credentials. */
  credentials: string;
}

const LAST = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

const AWKWARD_VALUES = [
  "",
  " ",
  "x".repeat(300),
  "x".repeat(9000),
  "é€😀",
  "a\tb",
  "%0d%0aX-Injected:%201",
  "\\r\\nX-Injected: 1",
  "__proto__",
  "null",
  "*",
  "Bearer",
  "Bearer ",
  `Bearer ${"a".repeat(5000)}`,
  "Bearer a.b.c",
  "Bearer eyJhbGciOiJub25lIn0.eyJydW5uZWwiOnsicHVibGlzaCI6WyIqIl19fQ.",
  "Bearer eyJhbGciOiJIUzI1NiJ9.eyJydW5uZWwiOnsicHVibGlzaCI6WyIqIl19fQ.AAAA",
  `Bearer eyJhbGciOiJIUzI1NiJ9.${"e".repeat(8000)}.AAAA`,
  "Basic YTpi",
  "127.0.0.1",
  "203.0.113.9:80, [2001:db8::1]:443",
  "::ffff:127.0.0.1%eth0",
  "[::1]:99999",
  "for=203.0.113.9",
  "AAAAAAAAAAA-0",
  "AAAAAAAAAAA-999999999999999",
  "AAAAAAAAAAA-1e9",
  "-1",
  "http://evil.example",
  "https://evil.example\u0000",
  ",".repeat(3000),
  "=; ".repeat(500),
  "runnel_token=x; runnel_token=y",
];

/** Texts that end a header early, or should. */
const BREAKS = ["\r\nX-Injected: 1", "\nX-Injected: 1", "\rX-Injected: 1", "\0", "\x7f", "\x01"];

const NAMES = [
  "Last-Event-ID",
  "Idempotency-Key",
  "Origin",
  "Authorization",
  "Cookie",
  "Accept",
  "Content-Type",
  "Content-Encoding",
  "X-Forwarded-For",
  "X-Forwarded-Proto",
  "Sec-Fetch-Site",
  "Expect",
  "Range",
  "If-None-Match",
  "Upgrade",
  "Access-Control-Request-Method",
  "Access-Control-Request-Headers",
  "__proto__",
];

const HOSTS = [
  "localhost",
  "127.0.0.1:1",
  "[::1]",
  "[::1",
  "evil.example",
  "a b",
  "",
  "localhost:99999",
  "localhost:x",
  "localhost@evil.example",
  "user:pw@localhost",
  "localhost/x",
  "localhost?x",
  "localhost#x",
  "%",
  "xn--",
  "1.2.3.4.5",
  "é",
  "\\",
  "localhost, evil.example",
];

const PIECES = [
  "..",
  ".",
  "%2e%2e",
  "%",
  "%zz",
  "%00",
  "%0d%0aX-Injected:%201",
  "%ff",
  "%ed%a0%80",
  "%2f",
  "%252f",
  "p_",
  "p_a",
  "p_" + "a".repeat(62),
  "p_" + "a".repeat(63),
  "__proto__",
  "constructor",
  "é",
  "😀",
  " ",
  "\\",
  ";",
  ":pipeline",
  "*",
  "sse",
  "events",
  "tickets",
  "ingest",
  "pipelines",
  "healthz",
  "a".repeat(5000),
  "x//y",
  "",
];

const METHODS = [
  ..."GET HEAD POST PUT PATCH DELETE OPTIONS TRACE CONNECT PRI get Post QUERY PROPFIND".split(" "),
  "X".repeat(300),
  "G\0T",
  "GET GET",
  "",
  "é",
];

const TYPES = [
  "application/json",
  "application/json; charset=utf-8",
  "application/x-ndjson",
  "application/json; charset=utf-16",
  "application/ld+json",
  "text/plain",
  "application/x-www-form-urlencoded",
  "multipart/form-data; boundary=x",
  "application/json\t",
  "",
];

/** Generates attacks from random choices. */
export class Attacks {
  readonly #random: SeededRandom;
  readonly #json: HostileJson;
  #marks = 0;

  constructor(random: SeededRandom) {
    this.#random = random;
    this.#json = new HostileJson(random);
  }

  /** Returns the next attack. */
  next(target: Target): Attack {
    const kind = this.#random.integer(0, 99);
    if (kind < 33) return this.#body(target);
    if (kind < 40) return this.#append(target);
    if (kind < 55) return this.#reading(target);
    if (kind < 70) return this.#framing(target);
    if (kind < 80) return this.#malformed(target);
    if (kind < 92) return this.#mutated(target);
    if (kind < 97) return this.#cut(target);
    return this.#slow(target);
  }

  #attack(kind: string, text: string | Uint8Array, more: Partial<Attack> = {}): Attack {
    return {
      kind,
      parts: [typeof text === "string" ? encodeUtf8(text) : text],
      pauseMs: 0,
      isCut: false,
      isHead: false,
      events: [],
      isExact: false,
      ...more,
    };
  }

  /** Complete request with an arbitrary body. */
  #body(target: Target): Attack {
    const random = this.#random;
    const isRaw = random.chance(0.3);
    const isNdjson = random.chance(0.4);
    const channel = random.pick([
      "events",
      "a%20b",
      "%C3%A9",
      "runnel.x",
      "error",
      "%0A",
      "%FF",
      "%",
    ]);
    const path = isRaw ? `/ingest/${target.pipeline}/${channel}` : "/ingest";
    const type = isRaw
      ? random.pick(TYPES)
      : random.chance(0.95)
      ? isNdjson ? "application/x-ndjson" : "application/json"
      : random.pick(TYPES);
    const text = isRaw
      ? random.chance(0.2) ? this.#json.bomb() : this.#json.value()
      : this.#json.body(target.pipeline, isNdjson);
    let bytes: Uint8Array = encodeUtf8(text);
    if (random.chance(0.1)) bytes = Uint8Array.from([0xef, 0xbb, 0xbf, ...bytes]);
    if (random.chance(0.4)) bytes = this.#json.mutate(bytes);
    const events = isRaw ? expectedRaw(bytes, type, channel) : expected(bytes, /ndjson/.test(type));
    let lines = target.credentials;
    if (type !== "") lines += `Content-Type: ${type}\r\n`;
    if (random.chance(0.1)) {
      lines += `Idempotency-Key: k${random.integer(0, 1e9)}-${this.#marks++}\r\n`;
    }
    if (random.chance(0.05)) lines += `Idempotency-Key: ${random.pick(AWKWARD_VALUES)}\r\n`;
    if (random.chance(0.05)) {
      lines += `${random.pick(NAMES.filter((name) => !name.startsWith("Content")))}: ${
        random.pick(AWKWARD_VALUES)
      }\r\n`;
    }
    if (random.chance(0.03)) {
      lines += `Content-Encoding: ${random.pick(["gzip", "br", "identity", "x"])}\r\n`;
    }
    return this.#framed("body", { target, path, lines, bytes }, { events, isExact: true });
  }

  /** Streaming append, whole or broken off. */
  #append(target: Target): Attack {
    const random = this.#random;
    const { type, bytes, events, isWhole } = appendBody(random, this.#json);
    let lines = `${target.credentials}Content-Type: ${type}\r\n`;
    if (random.chance(0.3)) {
      lines += `Idempotency-Key: a${random.integer(0, 1e9)}-${this.#marks++}\r\n`;
    }
    const path = `/pipelines/${target.pipeline}/events`;
    const more = { events, isExact: isWhole };
    const attack = this.#framed("append", { target, path, lines, bytes }, more);
    if (random.chance(0.8)) return attack;
    const parts = [attack.parts[0]!.subarray(0, random.integer(1, attack.parts[0]!.length))];
    return { ...attack, parts, isCut: random.chance(0.8), isExact: false };
  }

  /** Complete request, with its length or in chunks. */
  #framed(
    kind: string,
    { target, path, lines, bytes }: {
      target: Target;
      path: string;
      lines: string;
      bytes: Uint8Array;
    },
    more: Partial<Attack>,
  ): Attack {
    const random = this.#random;
    const head = (framing: string) =>
      encodeUtf8(`POST ${path} HTTP/1.1\r\nHost: ${target.host}\r\n${lines}${framing}\r\n\r\n`);
    if (random.chance(0.6)) {
      const whole = concat(head(`Content-Length: ${bytes.length}`), bytes);
      return this.#attack(kind, whole, more);
    }
    const size = random.pick([1, 7, 1000, 65_536]);
    const chunks: Uint8Array[] = [head("Transfer-Encoding: chunked")];
    const small = Math.max(size, Math.ceil(bytes.length / 5000));
    for (let at = 0; at < bytes.length; at += small) {
      const chunk = bytes.subarray(at, at + small);
      chunks.push(encodeUtf8(`${chunk.length.toString(16)}\r\n`), chunk, encodeUtf8("\r\n"));
    }
    return this.#attack(`${kind} in chunks`, concat(...chunks, encodeUtf8("0\r\n\r\n")), more);
  }

  /** Complete request without a body, or with the body of a ticket request. */
  #reading(target: Target): Attack {
    const random = this.#random;
    const id = () => encodeURIComponent(random.pick(AWKWARD_VALUES).replace("\ud800", ""));
    const query = Array.from(
      { length: random.pick([0, 1, 2, 3, 25]) },
      () =>
        `${
          random.pick([
            "after",
            "channel",
            "history",
            "lastEventId",
            "limit",
            "since",
            "pipeline",
            "ticket",
            "wait",
            "__proto__",
            "%",
            "",
          ])
        }=${
          random.pick([
            id(),
            id(),
            "1",
            "100",
            "101",
            "-1",
            "1e1",
            "events",
            "AAAAAAAAAAA-1",
            "PT1H",
            "2026-01-02T03:04:05Z",
            "%0d%0aX-Injected:1",
            "%",
          ])
        }`,
    ).join("&");
    const path = random.chance(0.7)
      ? random.pick([
        `/pipelines/${target.pipeline}/sse`,
        `/pipelines/${target.pipeline}/events`,
        `/pipelines/${target.pipeline}/tickets`,
        "/pipelines/p_none/sse",
        `/sse?pipeline=${target.pipeline}&pipeline=p_none`,
        "/sse",
        "/tickets",
        "/openapi.json",
        "/",
        "/healthz",
      ])
      : `/${Array.from({ length: random.integer(1, 6) }, () => random.pick(PIECES)).join("/")}`;
    const method = random.pick(["GET", "GET", "GET", "HEAD", "OPTIONS", random.pick(METHODS)]);
    // A request that clears the pipeline would leave nothing to compare.
    if (method === "DELETE" && path.includes(target.pipeline)) return this.#reading(target);
    const isTicket = path.endsWith("/tickets");
    const body = isTicket
      ? random.pick([
        "",
        "{}",
        '{"channels":["a"]}',
        '{"pipelines":["p_a","p_b"],"channels":["a"]}',
        JSON.stringify({ pipelines: Array(random.pick([1, 2, 11, 1000])).fill("p_a") }),
        JSON.stringify({ pipelines: ["p_none", random.pick(AWKWARD_VALUES)] }),
        JSON.stringify({ lastEventId: random.pick(AWKWARD_VALUES) }),
        JSON.stringify({ lastEventId: "x".repeat(random.pick([320, 321, 100_000])) }),
        '{"__proto__":1}',
        this.#json.bomb(),
        "[",
        "\0",
      ])
      : "";
    let lines = random.chance(0.8) ? target.credentials : "";
    for (let count = random.integer(0, 3); count > 0; count--) {
      const value = random.pick(AWKWARD_VALUES) + (random.chance(0.1) ? random.pick(BREAKS) : "");
      lines += `${random.pick(NAMES)}: ${value}\r\n`;
    }
    if (isTicket) lines += `Content-Length: ${encodeUtf8(body).length}\r\n`;
    const host = random.chance(0.7) ? target.host : random.pick(HOSTS);
    const absolute = random.chance(0.05)
      ? random.pick(["http://evil.example", "http://localhost", "//", "http://", "file://"])
      : "";
    const ticketMethod = random.pick(["POST", "POST", "POST", "DELETE"]);
    const text = `${isTicket ? ticketMethod : method} ${absolute}${
      query ? `${path}${path.includes("?") ? "&" : "?"}${query}` : path
    } HTTP/1.1\r\nHost: ${host}\r\n${lines}\r\n${body}`;
    return this.#attack("reading", text, { isHead: method === "HEAD" && !isTicket });
  }

  /** Requests with ambiguous ends (request smuggling). */
  #framing(target: Target): Attack {
    const random = this.#random;
    const events: ExpectedEvent[] = [];
    const publish = () => {
      const payload = JSON.stringify(`mark ${random.integer(0, 1e9)} ${this.#marks++}`);
      events.push({ channel: "events", payload });
      return `{"pipeline":"${target.pipeline}","channel":"events","payload":${payload}}`;
    };
    const head = (lines: string) =>
      `POST /ingest HTTP/1.1\r\nHost: ${target.host}\r\n${target.credentials}` +
      `Content-Type: application/json\r\n${lines}\r\n`;
    const whole = () => {
      const body = publish();
      return head(`Content-Length: ${body.length}\r\n`) + body;
    };
    const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;
    const body = publish();
    const length = body.length;
    const hidden = whole();
    const text = random.pick([
      () => `${head(`Content-Length: ${length}\r\nContent-Length: ${length}\r\n`)}${body}`,
      () => `${head(`Content-Length: ${length}\r\nContent-Length: 5\r\n`)}${body}`,
      () => `${head(`Content-Length: ${length}, ${length}\r\n`)}${body}`,
      () =>
        `${
          head(
            `Content-Length: ${
              random.pick([
                "-1",
                "+5",
                "0x10",
                "1e2",
                "",
                " ",
                "9".repeat(30),
                "5 5",
                "18446744073709551616",
                "٣",
              ])
            }\r\n`,
          )
        }${body}`,
      () => `${head(`Content-Length: 0\r\n`)}${hidden}`,
      () => `${head(`Content-Length: 4\r\nTransfer-Encoding: chunked\r\n`)}${chunk(body)}0\r\n\r\n`,
      () =>
        `${head(`Content-Length: ${length}\r\nTransfer-Encoding: chunked\r\n`)}0\r\n\r\n${hidden}`,
      () => `${head(`Transfer-Encoding: chunked, identity\r\n`)}${chunk(body)}0\r\n\r\n`,
      () => `${head(`Transfer-Encoding: identity\r\n`)}${body}`,
      () => `${head(`Transfer-Encoding: gzip, chunked\r\n`)}${chunk(body)}0\r\n\r\n`,
      () =>
        `${
          head(
            `Transfer-Encoding: ${
              random.pick(["xchunked", "chunked\t", "\x0bchunked", "chunk", "CHUNKED", '"chunked"'])
            }\r\n`,
          )
        }${chunk(body)}0\r\n\r\n`,
      () => `${head(`Transfer-Encoding : chunked\r\n`)}${chunk(body)}0\r\n\r\n`,
      () => `${head(`Transfer-Encoding:\r\n chunked\r\n`)}${chunk(body)}0\r\n\r\n`,
      () =>
        `${head(`Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n`)}${chunk(body)}0\r\n\r\n`,
      () => {
        const size = random.pick([
          "-1",
          "0x5",
          "ffffffffffffffffff",
          "g",
          "",
          " 5",
          "5;a=b",
          "5\n",
          "05",
        ]);
        return `${head(`Transfer-Encoding: chunked\r\n`)}${size}\r\n${body}\r\n0\r\n\r\n${hidden}`;
      },
      () =>
        `${head(`Transfer-Encoding: chunked\r\n`)}${chunk(body).replace("\r\n", "\n")}0\r\n\r\n`,
      () =>
        `${head(`Transfer-Encoding: chunked\r\n`)}${
          chunk(body)
        }0\r\nX-Injected: 1\r\n\r\n${hidden}`,
      () => {
        const extension = "x".repeat(random.pick([10, 20_000]));
        return `${head(`Transfer-Encoding: chunked\r\n`)}${
          length.toString(16)
        };${extension}\r\n${body}\r\n0\r\n\r\n`;
      },
      () =>
        `${head(`Transfer-Encoding: chunked\r\n`)}${chunk(body)}0\r\n${
          "T: x\r\n".repeat(5000)
        }\r\n`,
      () => Array.from({ length: random.integer(2, 60) }, whole).join(""),
      () =>
        `GET /healthz HTTP/1.1\r\nHost: ${target.host}\r\nContent-Length: ${hidden.length}\r\n\r\n${hidden}`,
      () => `\r\n\r\n${hidden}`,
      () => hidden.replaceAll("\r\n", "\n"),
      () =>
        hidden.replace(
          "HTTP/1.1",
          random.pick(["HTTP/1.0", "HTTP/2.0", "HTTP/0.9", "HTTP/1.10", "http/1.1", ""]),
        ),
      () => hidden.replace("Host:", "Host: localhost\r\nHost:"),
      () => hidden.replace("\r\nHost:", "\r\n Host:"),
      () => `${head(`Expect: 100-continue\r\nContent-Length: ${length}\r\n`)}${body}`,
      () =>
        `${
          head(
            `Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\nContent-Length: ${length}\r\n`,
          )
        }${body}`,
      () => `${head(`Connection: close\r\nContent-Length: ${length}\r\n`)}${body}${hidden}`,
    ])();
    return this.#attack("framing", text + LAST, { events });
  }

  /** Bytes that are not a request. */
  #malformed(target: Target): Attack {
    const random = this.#random;
    const noise = (length: number) => Uint8Array.from({ length }, () => random.integer(0, 255));
    const lines = `Host: ${target.host}\r\n`;
    const text = random.pick<() => string | Uint8Array>([
      () => noise(random.pick([1, 100, 20_000])),
      () => concat(noise(50), encodeUtf8("\r\n\r\n")),
      () => `${random.pick(METHODS)} ${random.pick(PIECES)} HTTP/1.1\r\n${lines}\r\n`,
      () =>
        `GET ${
          random.pick(["", "*", "x", "http://", "?", "#", "/\0", "/ /", "//x"])
        } HTTP/1.1\r\n${lines}\r\n`,
      () => `GET /healthz\r\n${lines}\r\n`,
      () => `GET /healthz HTTP/1.1\r\n\r\n`,
      () => `GET /${"a".repeat(random.pick([8000, 70_000, 1_000_000]))} HTTP/1.1\r\n${lines}\r\n`,
      () =>
        `GET / HTTP/1.1\r\n${lines}X: ${
          "a".repeat(random.pick([8000, 70_000, 2_000_000]))
        }\r\n\r\n`,
      () =>
        `GET / HTTP/1.1\r\n${lines}${"X: y\r\n".repeat(random.pick([99, 101, 3000, 100_000]))}\r\n`,
      () =>
        `GET / HTTP/1.1\r\n${lines}${
          random.pick(["X", ": y", "X y", "X\0: y", "é: y", " X: y", "X :y"])
        }\r\n\r\n`,
      () => `GET / HTTP/1.1\r\n${lines}X: ${random.pick(["\0", "\x7f", "\r", "\x01\x02"])}\r\n\r\n`,
      () => `GET / HTTP/1.1\r\n${lines}`,
      () => "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
      () => concat(encodeUtf8("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), noise(300)),
      () =>
        concat(
          encodeUtf8("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
          Uint8Array.of(0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 4, 8, 0, 0, 0, 0, 255, 255, 255, 255),
        ),
      () => Uint8Array.of(0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3),
      () => "\r\n".repeat(random.pick([1, 1000])),
      () =>
        `GET /pipelines/${target.pipeline}/sse HTTP/1.1\r\n${lines}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
    ])();
    return this.#attack("malformed", text);
  }

  /** Valid request with some bytes changed. */
  #mutated(target: Target): Attack {
    const random = this.#random;
    const payload = JSON.stringify(`mutated ${random.integer(0, 1e9)} ${this.#marks++}`);
    const body = `{"pipeline":"${target.pipeline}","channel":"events","payload":${payload}}`;
    const isRaw = random.chance(0.3);
    const path = isRaw ? `/ingest/${target.pipeline}/events` : "/ingest";
    const head = encodeUtf8(
      `POST ${path} HTTP/1.1\r\nHost: ${target.host}\r\n${target.credentials}` +
        `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`,
    );
    // The pipeline stays, so that the stored events are found.
    const bytes = concat(this.#json.mutate(head), encodeUtf8(body));
    return this.#attack("mutated", bytes, {
      events: [{ channel: "*", payload: new TextDecoder().decode(bytes) }],
    });
  }

  /** Valid request whose client disconnects. */
  #cut(target: Target): Attack {
    const random = this.#random;
    const { parts, events } = this.#body(target);
    const at = random.chance(0.3) ? parts[0]!.length : random.integer(1, parts[0]!.length);
    return this.#attack("cut", parts[0]!.subarray(0, at), { isCut: true, events });
  }

  /** Valid request whose end is sent slowly, byte by byte. */
  #slow(target: Target): Attack {
    const random = this.#random;
    const { parts: [bytes], events } = this.#body(target);
    const start = Math.max(0, bytes!.length - random.integer(5, 60));
    const tail = [...bytes!.subarray(start)].map((byte) => Uint8Array.of(byte));
    return this.#attack("slow", bytes!, {
      parts: [bytes!.subarray(0, start), ...tail],
      pauseMs: random.pick([1, 10, 60]),
      events,
      isExact: true,
    });
  }
}

function expected(bytes: Uint8Array, isNdjson: boolean): ExpectedEvent[] {
  const text = decode(bytes, false);
  return text === null ? [] : expectedEvents(text, isNdjson) ?? [];
}

function expectedRaw(bytes: Uint8Array, type: string, channel: string): ExpectedEvent[] {
  const isJson = /^application\/(json|.*\+json)$/.test(type.split(";")[0]!.trim());
  const text = decode(bytes, !isJson);
  if (text === null) return [];
  const payload = isJson ? expectedPayload(text) : JSON.stringify(text);
  if (payload === null) return [];
  try {
    return [{ channel: decodeURIComponent(channel), payload }];
  } catch {
    return [];
  }
}

function decode(bytes: Uint8Array, ignoreBOM: boolean): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM }).decode(bytes);
  } catch {
    return null;
  }
}

function concat(...parts: Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
