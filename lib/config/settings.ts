/**
 * The table of settings. From it follow the configuration, its type, the names
 * of the environment variables, and the reference in this folder's README.
 *
 * Each entry states its type, because the public API does not infer types.
 *
 * @module
 */

import { LOG_FORMATS, LOG_LEVELS, type LogFormat, type LogLevel } from "../base/mod.ts";
import { MAX_BODY_BYTES, MAX_EVENTS, MAX_PAYLOAD_BYTES } from "../protocol/mod.ts";
import { choice, type Integer, integer, type Setting, setting } from "./setting.ts";

const MiB = 1024 * 1024;

const history: Integer<"RUNNEL_HISTORY"> = integer("RUNNEL_HISTORY", {
  default: 100,
  min: 0,
  max: 400,
  unit: "events",
  doc: "Number of events that a new subscriber receives first.",
});

/** The settings of an instance except those for access, in the order of their reference. */
export const SETTINGS = {
  port: integer("PORT", {
    default: 8000,
    min: 0,
    max: 65_535,
    doc: "Port to listen on. 0 chooses a free one.",
  }) as Integer<"PORT">,
  host: setting("HOST", {
    default: "127.0.0.1",
    deployDefault: "0.0.0.0",
    accepts: "an address of this machine",
    doc: "Address to listen on. One that other machines can reach requires a secret.",
  }, (text) => text) as Setting<"HOST", string>,
  tlsCert: setting("RUNNEL_TLS_CERT", {
    default: null,
    accepts: "a file's path",
    doc: "Certificate chain in PEM. With it, `PORT` answers HTTPS, over HTTP/2 and HTTP/1.1. " +
      "It is read again when it changes.",
  }, (text) => text) as Setting<"RUNNEL_TLS_CERT", string | null>,
  tlsKey: setting("RUNNEL_TLS_KEY", {
    default: null,
    accepts: "a file's path",
    doc: "Private key of the certificate in PEM, without a passphrase.",
  }, (text) => text) as Setting<"RUNNEL_TLS_KEY", string | null>,
  httpRedirectPort: setting("RUNNEL_HTTP_REDIRECT_PORT", {
    default: null,
    accepts: "1 to 65,535",
    expected: "a whole number from 1 to 65535",
    doc: "Port for plain HTTP that redirects GET and HEAD to HTTPS. Requires a certificate.",
  }, parsePort) as Setting<"RUNNEL_HTTP_REDIRECT_PORT", number | null>,
  kv: setting("RUNNEL_KV", {
    default: ".data/runnel.sqlite",
    // The store of the platform.
    deployDefault: undefined,
    accepts: "a file's path, `:memory:` or an http or https URL",
    doc: "Location of the log. A file belongs to one process. A URL names a KV Connect server.",
  }, parseStore) as Setting<"RUNNEL_KV", string | undefined>,
  isolates: integer("RUNNEL_ISOLATES", {
    default: 1,
    min: 1,
    max: 64,
    unit: "isolates",
    doc: "Number of isolates that serve: about one per core. " +
      "More than one requires a file or a URL as `RUNNEL_KV`.",
  }) as Integer<"RUNNEL_ISOLATES">,
  history,
  retention: integer("RUNNEL_RETENTION", {
    default: 1000,
    min: history,
    max: 1_000_000,
    unit: "events",
    doc: "Minimum number of events that the log keeps for subscribers that reconnect.",
  }) as Integer<"RUNNEL_RETENTION">,
  pipelineDays: integer("RUNNEL_PIPELINE_DAYS", {
    default: 30,
    min: 0,
    max: 3650,
    unit: "days",
    doc: "Days after which a pipeline without new events and without subscribers is deleted. " +
      "0 for never.",
  }) as Integer<"RUNNEL_PIPELINE_DAYS">,
  maxIdempotencyKeys: integer("RUNNEL_MAX_IDEMPOTENCY_KEYS", {
    default: 1_000_000,
    min: 1,
    max: 1_000_000_000,
    unit: "keys",
    doc:
      "Maximum number of idempotency keys of a pipeline within 24 hours, of about 300 bytes each. " +
      "Beyond it, a publish with another key gets 429.",
  }) as Integer<"RUNNEL_MAX_IDEMPOTENCY_KEYS">,
  keepAliveMs: integer("RUNNEL_KEEPALIVE_MS", {
    default: 15_000,
    // Deno Deploy may stop an instance 5 seconds after its last byte.
    deployDefault: 4000,
    min: 100,
    max: 600_000,
    unit: "ms",
    doc: "Interval between the keep-alives of a stream.",
  }) as Integer<"RUNNEL_KEEPALIVE_MS">,
  retryMs: integer("RUNNEL_RETRY_MS", {
    default: 2000,
    min: 0,
    max: 600_000,
    unit: "ms",
    doc: "Minimum delay before a client reconnects. Each is told 1 to 2 times this.",
  }) as Integer<"RUNNEL_RETRY_MS">,
  kvTimeoutMs: integer("RUNNEL_KV_TIMEOUT_MS", {
    default: 3000,
    min: 100,
    max: 60_000,
    unit: "ms",
    doc: "Time limit for an answer of the log.",
  }) as Integer<"RUNNEL_KV_TIMEOUT_MS">,
  maxStreamAgeMs: integer("RUNNEL_MAX_STREAM_AGE_MS", {
    default: 3_600_000,
    min: 1000,
    max: 86_400_000,
    unit: "ms",
    doc: "Maximum lifetime of a stream, ±20 %. Its client then reconnects.",
  }) as Integer<"RUNNEL_MAX_STREAM_AGE_MS">,
  maxSubscribers: integer("RUNNEL_MAX_SUBSCRIBERS", {
    default: 10_000,
    min: 1,
    max: 1_000_000,
    unit: "subscribers",
    doc: "Maximum number of subscribers per isolate. " +
      "A connection that stays open after its stream ended counts too.",
  }) as Integer<"RUNNEL_MAX_SUBSCRIBERS">,
  maxPipelineSubscribers: integer("RUNNEL_MAX_PIPELINE_SUBSCRIBERS", {
    default: 10_000,
    min: 1,
    max: 1_000_000,
    unit: "subscribers",
    doc: "Maximum number of them per pipeline.",
  }) as Integer<"RUNNEL_MAX_PIPELINE_SUBSCRIBERS">,
  maxAddressSubscribers: integer("RUNNEL_MAX_ADDRESS_SUBSCRIBERS", {
    default: 1000,
    min: 1,
    max: 1_000_000,
    unit: "subscribers",
    doc: "Maximum number of them per client address. This machine's own is not limited.",
  }) as Integer<"RUNNEL_MAX_ADDRESS_SUBSCRIBERS">,
  maxHistories: integer("RUNNEL_MAX_HISTORIES", {
    default: 256,
    min: 1,
    max: 1_000_000,
    unit: "responses",
    doc: "Maximum number of histories that an isolate sends at once, as JSON. " +
      "One that its client does not read counts until its connection closes.",
  }) as Integer<"RUNNEL_MAX_HISTORIES">,
  maxAddressHistories: integer("RUNNEL_MAX_ADDRESS_HISTORIES", {
    default: 16,
    min: 1,
    max: 1_000_000,
    unit: "responses",
    doc: "Maximum number of them per client address. This machine's own is not limited.",
  }) as Integer<"RUNNEL_MAX_ADDRESS_HISTORIES">,
  maxAppends: integer("RUNNEL_MAX_APPENDS", {
    default: 1000,
    min: 1,
    max: 100_000,
    unit: "requests",
    doc: "Maximum number of streaming appends that an isolate has open at once. Beyond it, a " +
      "request gets 503.",
  }) as Integer<"RUNNEL_MAX_APPENDS">,
  maxClientAppends: integer("RUNNEL_MAX_CLIENT_APPENDS", {
    default: 100,
    min: 1,
    max: 100_000,
    unit: "requests",
    doc: "Maximum number of them for each token, or for each client address without one. This " +
      "machine's own address is not limited.",
  }) as Integer<"RUNNEL_MAX_CLIENT_APPENDS">,
  appendIdleMs: integer("RUNNEL_APPEND_IDLE_MS", {
    default: 300_000,
    min: 100,
    max: 86_400_000,
    unit: "ms",
    doc: "Longest pause in the body of a streaming append. Beyond it, the request gets 408.",
  }) as Integer<"RUNNEL_APPEND_IDLE_MS">,
  maxPipelines: integer("RUNNEL_MAX_PIPELINES", {
    default: 10_000,
    min: 1,
    max: 1_000_000,
    unit: "pipelines",
    doc: "Maximum number of pipelines with subscribers per isolate.",
  }) as Integer<"RUNNEL_MAX_PIPELINES">,
  publishRate: integer("RUNNEL_PUBLISH_RATE", {
    default: 1000,
    min: 1,
    max: 1_000_000,
    unit: "requests/s",
    doc: "Maximum rate of requests for events or tickets per isolate, for each token, " +
      "or for each client address without one; and of invalid tokens for each address. " +
      "Beyond it, a request gets 429. The events of a streaming append count as requests do, and " +
      "wait instead. " +
      "This machine's own address is not limited.",
  }) as Integer<"RUNNEL_PUBLISH_RATE">,
  maxBodyBytes: integer("RUNNEL_MAX_BODY_BYTES", {
    default: MAX_BODY_BYTES,
    min: 1024,
    max: MAX_BODY_BYTES,
    unit: "bytes",
    doc: "Maximum size of a request body.",
  }) as Integer<"RUNNEL_MAX_BODY_BYTES">,
  bodyTimeoutMs: integer("RUNNEL_BODY_TIMEOUT_MS", {
    default: 10_000,
    min: 100,
    max: 600_000,
    unit: "ms",
    doc: "Time limit for receiving a request body. Beyond it, the request gets 408.",
  }) as Integer<"RUNNEL_BODY_TIMEOUT_MS">,
  maxEvents: integer("RUNNEL_MAX_EVENTS", {
    default: MAX_EVENTS,
    min: 1,
    max: MAX_EVENTS,
    unit: "events",
    doc: "Maximum number of events per request.",
  }) as Integer<"RUNNEL_MAX_EVENTS">,
  maxPayloadBytes: integer("RUNNEL_MAX_PAYLOAD_BYTES", {
    default: MAX_PAYLOAD_BYTES,
    min: 64,
    max: MAX_PAYLOAD_BYTES,
    unit: "bytes",
    doc: "Maximum size of a payload as JSON.",
  }) as Integer<"RUNNEL_MAX_PAYLOAD_BYTES">,
  trustedProxies: integer("RUNNEL_TRUSTED_PROXIES", {
    default: 0,
    min: 0,
    max: 10,
    unit: "proxies",
    doc: "Number of your own proxies in front of the service, which all requests pass. " +
      "Each must append to `X-Forwarded-For`. What the first of them appends is the client's address.",
  }) as Integer<"RUNNEL_TRUSTED_PROXIES">,
  maxWaitingBytes: integer("RUNNEL_MAX_WAITING_BYTES", {
    default: 16 * MiB,
    min: MiB,
    max: 1024 * MiB,
    unit: "bytes",
    doc: "Maximum size of the events that wait for the log or for their outcome, and of the " +
      "bodies that arrive. Beyond it, a publish gets 503.",
  }) as Integer<"RUNNEL_MAX_WAITING_BYTES">,
  maxTailBytes: integer("RUNNEL_MAX_TAIL_BYTES", {
    default: 256 * MiB,
    min: MiB,
    max: 16_384 * MiB,
    unit: "bytes",
    doc: "Maximum size of the events kept in memory for subscribers. The chunks that several " +
      "subscribers share take as much again at most.",
  }) as Integer<"RUNNEL_MAX_TAIL_BYTES">,
  canaryMs: integer("RUNNEL_CANARY_MS", {
    default: 10_000,
    // An instance cannot reach its own address there.
    deployDefault: 0,
    min: 0,
    max: 3_600_000,
    unit: "ms",
    doc: "Interval at which each instance publishes an event to itself, and measures how long it " +
      "takes to arrive on a stream. 0 for never.",
  }) as Integer<"RUNNEL_CANARY_MS">,
  allowOrigins: setting("RUNNEL_ALLOW_ORIGINS", {
    default: "*",
    accepts: "`*` or a list of origins such as `https://example.com,http://localhost:5173`",
    doc: "Origins whose pages may use the service.",
  }, parseOrigins) as Setting<"RUNNEL_ALLOW_ORIGINS", "*" | readonly string[]>,
  log: choice("RUNNEL_LOG", [...LOG_LEVELS, "off"], {
    default: "info",
    doc: "Lowest level of the messages that are written.",
  }) as Setting<"RUNNEL_LOG", LogLevel | "off">,
  logFormat: choice("RUNNEL_LOG_FORMAT", LOG_FORMATS, {
    default: "auto",
    doc: "Format of the messages: `auto` is `text` on a terminal, and `json` elsewhere.",
  }) as Setting<"RUNNEL_LOG_FORMAT", LogFormat>,
  accessLog: choice("RUNNEL_ACCESS_LOG", ["off", "on"], {
    default: "off",
    doc: "Whether each request is written when its response has ended, at the level `info`.",
  }) as Setting<"RUNNEL_ACCESS_LOG", "off" | "on">,
};

function parsePort(text: string): number | null {
  const port = /^\d+$/.test(text) ? Number(text) : NaN;
  return port >= 1 && port <= 65_535 ? port : null;
}

function parseStore(text: string): string | null {
  const scheme = /^(\w+):\/\//.exec(text)?.[1];
  return scheme === undefined || /^https?$/.test(scheme) ? text : null;
}

function parseOrigins(text: string): "*" | readonly string[] | null {
  if (text === "*") return "*";
  const list = text.split(",").map((origin) => origin.trim());
  const areOrigins = list.every((origin) =>
    origin === "null" ||
    URL.canParse(origin) && new URL(origin).origin === origin && !origin.includes("*")
  );
  return areOrigins ? Object.freeze(list) : null;
}
