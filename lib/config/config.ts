/**
 * The settings: from environment variables to a validated object. Every
 * default and limit stands here, with its unit.
 *
 * @module
 */

import { isLoopback, RunnelError } from "../base/mod.ts";
import { MAX_BODY_BYTES, MAX_EVENTS, MAX_PAYLOAD_BYTES } from "../protocol/mod.ts";
import { ACCESS_SETTING_NAMES, type AccessConfig, readAccessConfig } from "./access_config.ts";

/** All settings of an instance. */
export interface Config {
  /** The port to listen on; 0 for any that is free. */
  readonly port: number;
  /** The address to listen on. */
  readonly host: string;
  /**
   * Where the log is: a file's path, `:memory:`, or the URL of a KV Connect
   * server; `undefined` for the platform's own store on Deno Deploy.
   */
  readonly kv: string | undefined;
  /** How many isolates of the process serve. */
  readonly isolates: number;
  /** How many events a fresh subscriber gets. */
  readonly history: number;
  /** How many events the log keeps at least. */
  readonly retention: number;
  /** The time between two keep-alives of a stream, in milliseconds. */
  readonly keepAliveMs: number;
  /** The least reconnection time that subscribers are told, in milliseconds. */
  readonly retryMs: number;
  /** How long the log may take to answer, in milliseconds. */
  readonly kvTimeoutMs: number;
  /** After how long a stream ends by itself, give or take a fifth, in milliseconds. */
  readonly maxStreamAgeMs: number;
  /** How many subscribers an isolate takes. */
  readonly maxSubscribers: number;
  /** How many of them may be one pipeline's. */
  readonly maxPipelineSubscribers: number;
  /** How many of them may come from one address. */
  readonly maxAddressSubscribers: number;
  /** How many pipelines may have subscribers in an isolate. */
  readonly maxPipelines: number;
  /** How many requests a token or an address may publish with in a second, in an isolate. */
  readonly publishRate: number;
  /** How many bytes a request's body may have. */
  readonly maxBodyBytes: number;
  /** How long a body may take to come, in milliseconds. */
  readonly bodyTimeoutMs: number;
  /** How many events a request may have. */
  readonly maxEvents: number;
  /** How many bytes of JSON a payload may have. */
  readonly maxPayloadBytes: number;
  /** How many proxies of ours are in front, whose word of a client's address is taken. */
  readonly trustedProxies: number;
  /** How many bytes of events may wait for the log. */
  readonly maxWaitingBytes: number;
  /** How many bytes of events are kept in memory for subscribers. */
  readonly maxTailBytes: number;
  /** The origins whose pages may use this service: `*` for any. */
  readonly allowOrigins: "*" | readonly string[];
  /** Who may publish and who may listen. */
  readonly access: AccessConfig;
}

/** The names of all settings, as environment variables. */
export const SETTING_NAMES = [
  "PORT",
  "HOST",
  "RUNNEL_KV",
  "RUNNEL_ISOLATES",
  "RUNNEL_HISTORY",
  "RUNNEL_RETENTION",
  "RUNNEL_KEEPALIVE_MS",
  "RUNNEL_RETRY_MS",
  "RUNNEL_KV_TIMEOUT_MS",
  "RUNNEL_MAX_STREAM_AGE_MS",
  "RUNNEL_MAX_SUBSCRIBERS",
  "RUNNEL_MAX_PIPELINE_SUBSCRIBERS",
  "RUNNEL_MAX_ADDRESS_SUBSCRIBERS",
  "RUNNEL_MAX_PIPELINES",
  "RUNNEL_PUBLISH_RATE",
  "RUNNEL_MAX_BODY_BYTES",
  "RUNNEL_BODY_TIMEOUT_MS",
  "RUNNEL_MAX_EVENTS",
  "RUNNEL_MAX_PAYLOAD_BYTES",
  "RUNNEL_TRUSTED_PROXIES",
  "RUNNEL_MAX_WAITING_BYTES",
  "RUNNEL_MAX_TAIL_BYTES",
  "RUNNEL_ALLOW_ORIGINS",
  ...ACCESS_SETTING_NAMES,
  "DENO_DEPLOYMENT_ID",
] as const;

/** The name of a setting. */
export type SettingName = typeof SETTING_NAMES[number];

/** Settings as they are found: text, or nothing for the default. */
export type Settings = Partial<Record<SettingName, string | undefined>>;

const MiB = 1024 * 1024;

/**
 * Validates settings and fills in what is not set.
 *
 * @param settings What is set. An empty text counts as not set.
 * @returns All settings, frozen.
 * @throws {RunnelError} `invalid-setting`, naming the setting, what it got and
 *   what it takes.
 *
 * @example
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 *
 * const config = readConfig({ PORT: "8080" });
 * equal(config.port, 8080);
 * equal(config.keepAliveMs, 15_000);
 * ```
 */
export function readConfig(settings: Settings): Config {
  const integer = (name: SettingName, fallback: number, min: number, max: number): number => {
    const text = settings[name] || String(fallback);
    const value = /^\d+$/.test(text) ? Number(text) : NaN;
    if (value >= min && value <= max) return value;
    throw invalid(name, text, `a whole number from ${min} to ${max}`);
  };
  const onDeploy = Boolean(settings.DENO_DEPLOYMENT_ID);
  const history = integer("RUNNEL_HISTORY", 100, 0, 400);
  const isolates = integer("RUNNEL_ISOLATES", 1, 1, 64);
  if (isolates > 1 && settings.RUNNEL_KV === ":memory:") {
    throw new RunnelError(
      "invalid-setting",
      `Cannot start: RUNNEL_ISOLATES is "${isolates}" while RUNNEL_KV is ":memory:", which ` +
        "is another database in every isolate. Set RUNNEL_KV to a file, or RUNNEL_ISOLATES to 1",
    );
  }
  const host = settings.HOST || (onDeploy ? "0.0.0.0" : "127.0.0.1");
  const access = readAccessConfig(settings, integer);
  // The platform leads strangers to an instance, whatever it listens on.
  if (access.isOpen && (onDeploy || !isLoopback(host))) {
    throw new RunnelError(
      "invalid-setting",
      `Cannot start: HOST is "${host}", where others reach it, and no secret is set. ` +
        "Set RUNNEL_PUBLISH_TOKENS or RUNNEL_TOKEN_SECRET to one" +
        (onDeploy ? "" : ", or HOST to 127.0.0.1"),
    );
  }
  return Object.freeze<Config>({
    port: integer("PORT", 8000, 0, 65_535),
    host,
    kv: store(settings.RUNNEL_KV) ?? (onDeploy ? undefined : ".data/runnel.sqlite"),
    isolates,
    history,
    retention: integer("RUNNEL_RETENTION", 1000, history, 1_000_000),
    // Deno Deploy may stop an instance 5 seconds after its last byte.
    keepAliveMs: integer("RUNNEL_KEEPALIVE_MS", onDeploy ? 4000 : 15_000, 100, 600_000),
    retryMs: integer("RUNNEL_RETRY_MS", 2000, 0, 600_000),
    kvTimeoutMs: integer("RUNNEL_KV_TIMEOUT_MS", 3000, 100, 60_000),
    maxStreamAgeMs: integer("RUNNEL_MAX_STREAM_AGE_MS", 3_600_000, 1000, 86_400_000),
    maxSubscribers: integer("RUNNEL_MAX_SUBSCRIBERS", 10_000, 1, 1_000_000),
    maxPipelineSubscribers: integer("RUNNEL_MAX_PIPELINE_SUBSCRIBERS", 10_000, 1, 1_000_000),
    maxAddressSubscribers: integer("RUNNEL_MAX_ADDRESS_SUBSCRIBERS", 1000, 1, 1_000_000),
    maxPipelines: integer("RUNNEL_MAX_PIPELINES", 10_000, 1, 1_000_000),
    publishRate: integer("RUNNEL_PUBLISH_RATE", 1000, 1, 1_000_000),
    maxBodyBytes: integer("RUNNEL_MAX_BODY_BYTES", MAX_BODY_BYTES, 1024, MAX_BODY_BYTES),
    bodyTimeoutMs: integer("RUNNEL_BODY_TIMEOUT_MS", 10_000, 100, 600_000),
    maxEvents: integer("RUNNEL_MAX_EVENTS", MAX_EVENTS, 1, MAX_EVENTS),
    maxPayloadBytes: integer("RUNNEL_MAX_PAYLOAD_BYTES", MAX_PAYLOAD_BYTES, 64, MAX_PAYLOAD_BYTES),
    trustedProxies: integer("RUNNEL_TRUSTED_PROXIES", 0, 0, 10),
    maxWaitingBytes: integer("RUNNEL_MAX_WAITING_BYTES", 16 * MiB, MiB, 1024 * MiB),
    maxTailBytes: integer("RUNNEL_MAX_TAIL_BYTES", 256 * MiB, MiB, 16_384 * MiB),
    allowOrigins: origins(settings.RUNNEL_ALLOW_ORIGINS || "*"),
    access,
  });
}

function store(text: string | undefined): string | undefined {
  const scheme = /^(\w+):\/\//.exec(text ?? "")?.[1];
  if (scheme === undefined || /^https?$/.test(scheme)) return text || undefined;
  throw invalid("RUNNEL_KV", text!, "a file's path, :memory: or an http or https URL");
}

function origins(text: string): "*" | readonly string[] {
  if (text === "*") return "*";
  const list = text.split(",").map((origin) => origin.trim());
  for (const origin of list) {
    const isOrigin = URL.canParse(origin) && new URL(origin).origin === origin;
    if (origin !== "null" && (!isOrigin || origin.includes("*"))) {
      throw invalid(
        "RUNNEL_ALLOW_ORIGINS",
        text,
        "* or a list of origins such as https://example.com,http://localhost:5173",
      );
    }
  }
  return Object.freeze(list);
}

function invalid(name: SettingName, got: string, expected: string): RunnelError {
  return new RunnelError(
    "invalid-setting",
    `Cannot start: ${name} is ${JSON.stringify(got)}, expected ${expected}`,
  );
}
