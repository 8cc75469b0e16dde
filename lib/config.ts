/**
 * The settings: from environment variables to a validated object. Every
 * default and limit stands here, with its unit.
 *
 * @module
 */

import { RunnelError } from "./errors.ts";

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
  /** How many subscribers are taken. */
  readonly maxSubscribers: number;
  /** How many bytes of events may wait for the log. */
  readonly maxWaitingBytes: number;
  /** How many bytes of events are kept in memory for subscribers. */
  readonly maxTailBytes: number;
  /** The origins whose pages may use this service: `*` for any. */
  readonly allowOrigins: "*" | readonly string[];
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
  "RUNNEL_MAX_WAITING_BYTES",
  "RUNNEL_MAX_TAIL_BYTES",
  "RUNNEL_ALLOW_ORIGINS",
  "DENO_DEPLOYMENT_ID",
] as const;

/**
 * Settings of the design that are yet to come. Who sets one relies on it, so it
 * is refused rather than passed over.
 */
export const FUTURE_SETTING_NAMES = [
  "RUNNEL_PUBLISH_TOKENS",
  "RUNNEL_TOKEN_SECRET",
  "RUNNEL_JWKS_URL",
  "RUNNEL_SUBSCRIBE",
] as const;

/** The name of a setting. */
export type SettingName =
  | typeof SETTING_NAMES[number]
  | typeof FUTURE_SETTING_NAMES[number];

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
  for (const name of FUTURE_SETTING_NAMES) {
    if (!settings[name]) continue;
    throw new RunnelError(
      "invalid-setting",
      `Cannot start: ${name} is set, but this version does not have it yet. Unset it`,
    );
  }
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
  return Object.freeze<Config>({
    port: integer("PORT", 8000, 0, 65_535),
    host: settings.HOST || (onDeploy ? "0.0.0.0" : "127.0.0.1"),
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
    maxWaitingBytes: integer("RUNNEL_MAX_WAITING_BYTES", 16 * MiB, MiB, 1024 * MiB),
    maxTailBytes: integer("RUNNEL_MAX_TAIL_BYTES", 256 * MiB, MiB, 16_384 * MiB),
    allowOrigins: origins(settings.RUNNEL_ALLOW_ORIGINS || "*"),
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
