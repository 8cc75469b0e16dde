/**
 * Requests that cost as much as they can: the worst of each kind that is known.
 *
 * @module
 */

import { mint, PUBLISH_TOKEN, sign } from "../clients/tokens.ts";
import type { SeededRandom } from "./random.ts";
import { slowAppends } from "./slow_appends.ts";
import {
  collide,
  event,
  fill,
  JSON_TYPE,
  MAX_BODY,
  NDJSON_TYPE,
  slowBodies,
} from "./slow_bodies.ts";

const KiB = 1024;

/** Maximum size of a token, in bytes. */
const MAX_TOKEN = 8 * KiB;

/** A request over HTTP/1.1. */
export interface SlowRequest {
  kind: string;
  method: string;
  path: string;
  headers: Record<string, string>;
  body: string;
  /** Text after which the response is not read any further. */
  until?: string;
  /** Number of requests that are sent at once. In the path, `{n}` is the number of each. @default {1} */
  atOnce?: number;
}

/** Pipeline with a long history, to which the requests that read go. */
export const FULL_PIPELINE = "p_full";

/** Pipelines of which each event has a channel of its own, and the number of their events. */
export const MANY_CHANNELS: readonly string[] = Array.from({ length: 10 }, (_, i) => `p_many_${i}`);
export const MANY_EVENTS = 10_000;

/** Text of the marker of the last of them. */
const LAST_LIVE = `${MANY_CHANNELS.at(-1)}","replayed"`;

/** Number of requests for filtered streams that are sent at once. */
const AT_ONCE = 30;

/** Requests for streams, histories, tickets and pages. */
function reads(random: SeededRandom): SlowRequest[] {
  const get = (kind: string, path: string, until?: string, headers = {}): SlowRequest => ({
    kind,
    method: "GET",
    path,
    headers,
    body: "",
    ...until !== undefined && { until },
  });
  const sse = `/pipelines/${FULL_PIPELINE}/sse`;
  const channels = (count: number) =>
    Array.from({ length: count }, (_, index) => `channel=c${index}`).join("&");
  const pipelines = (count: number) =>
    Array.from({ length: count }, (_, index) => `pipeline=p_slow_${index}`).join("&");
  const joined = `/sse?pipeline=${FULL_PIPELINE}&${pipelines(9)}`;
  // Of the oldest events, and different for each request.
  const rare = Array.from({ length: 20 }, (_, index) => `channel={n}${index}`).join("&");
  const filtered = `/sse?pipeline=${MANY_CHANNELS.join("&pipeline=")}&${rare}`;
  const ticket = (
    kind: string,
    body: string,
    path = "/pipelines/p_slow/tickets",
  ): SlowRequest => ({
    kind,
    method: "POST",
    path,
    headers: { "Content-Type": JSON_TYPE },
    body,
  });
  return [
    get("a history", `/pipelines/${FULL_PIPELINE}/events?history=400`),
    get("a history of a channel", `/pipelines/${FULL_PIPELINE}/events?history=400&channel=odd`),
    get("a history of 20 channels", `/pipelines/${FULL_PIPELINE}/events?${channels(20)}`),
    get("a history of a day", `/pipelines/${FULL_PIPELINE}/events?since=P1D`),
    get(
      "a history of 20 channels since a date",
      `/pipelines/${FULL_PIPELINE}/events?since=2026-01-02T03:04:05.678Z&${channels(20)}`,
    ),
    get("a page", `/pipelines/${FULL_PIPELINE}/events?after=0`),
    get("a page of 20 channels", `/pipelines/${FULL_PIPELINE}/events?after=0&${channels(20)}`),
    get("a page as lines", `/pipelines/${FULL_PIPELINE}/events?after=0`, undefined, {
      Accept: "application/x-ndjson".padStart(60_000, "*/*,"),
    }),
    get("a long poll", "/pipelines/p_slow/events?after=AAAAAAAAAAA-1&wait=60"),
    get("a page after a long ID", `/pipelines/p_slow/events?after=${"9".repeat(60_000)}`),
    get("a history since a long date", `/pipelines/p_slow/events?since=P${"1".repeat(60_000)}D`),
    get("a stream of a day", `${sse}?since=P1D`, "runnel.live"),
    get("a stream with its history", `${sse}?history=400`, "runnel.live"),
    get("a stream of 20 channels", `${sse}?history=400&${channels(20)}`, "runnel.live"),
    get("a stream of 4,000 channels", `${sse}?${channels(4000)}`, "}"),
    get("a stream of one long channel", `${sse}?channel=${"c".repeat(60_000)}`, "}"),
    get("a stream after a long ID", sse, "runnel.live", { "Last-Event-ID": "9".repeat(60_000) }),
    get("a stream by a long ticket", `${sse}?ticket=${"t".repeat(60_000)}`, "runnel.live"),
    get("escapes in a query", `${sse}?${"%20=%20&".repeat(8000)}`, "runnel.live"),
    get("escapes in a path", `/pipelines/${"%2e".repeat(20_000)}/sse`),
    get("a long path", `/${"a/".repeat(30_000)}`),
    get("the start page", "/", undefined, { Accept: "text/html".padStart(60_000, "*/*,") }),
    get("the OpenAPI document", "/openapi.json"),
    get("what stands of an append", "/pipelines/p_appended/append", undefined, {
      "Idempotency-Key": "k".repeat(255),
    }),
    get("a whole history as a stream", `${sse}?history=all`, "runnel.live"),
    get("a joined stream with its histories", `${joined}&history=all`, "runnel.live"),
    get("a joined stream of 20 channels", `${joined}&history=400&${channels(20)}`, "runnel.live"),
    get("a joined stream of 20 among 100,000 channels", filtered, LAST_LIVE),
    {
      ...get(`${AT_ONCE} joined streams of 20 among 100,000 channels`, filtered, "runnel.live"),
      atOnce: AT_ONCE,
    },
    get("a joined stream after an ID of 4,000 parts", joined, "runnel.live", {
      "Last-Event-ID": "AAAAAAAAAAA-1.".repeat(4000),
    }),
    get(
      "a joined stream by a long ticket",
      `${joined}&ticket=s.${"t".repeat(60_000)}`,
      "runnel.live",
    ),
    get("a joined stream of 3,000 pipelines", `/sse?${pipelines(3000)}`, "}"),
    get("the diagnosis", "/pipelines/diagnose/sse?every=20&bytes=16384"),
    ticket("a ticket of many channels", fill('{"channels":[', (i) => `"c${i}"`, "]}")),
    ticket(
      "a ticket of ten pipelines",
      `{"pipelines":[${Array.from({ length: 10 }, (_, index) => `"p_slow_${index}"`)}],` +
        `"lastEventId":"${"AAAAAAAAAAA-1.".repeat(20)}"}`,
      "/tickets",
    ),
    ticket(
      "a ticket of many pipelines",
      fill('{"pipelines":[', (i) => `"p_${i}"`, "]}", { max: 20 * KiB }),
      "/tickets",
    ),
    ticket("a ticket of unknown keys", fill("{", (i) => `"k${i}":1`, "}", { max: 16 * KiB })),
    ...[10, 12, 14].map((bits) =>
      ticket(
        `a ticket of colliding strings, 2^${bits}`,
        fill('{"channels":[', collide(random, bits), "]}", { max: 16 * KiB }),
      )
    ),
  ];
}

/** Tokens: valid ones with large claims, and invalid ones. */
async function tokens(random: SeededRandom): Promise<[kind: string, token: string][]> {
  const names = (count: number) => Array.from({ length: count }, (_, index) => `p_${index}*`);
  const encode = (text: string) => btoa(text).replaceAll("=", "");
  const colliding = (max: number) =>
    fill('{"alg":"HS256","x":[', collide(random, 14), "]}", { max });
  const ids = Array.from({ length: 300 }, (_, index) => collide(random, 14)(index).slice(1, -1));
  return [
    ["a token of 500 pipelines", await mint({ publish: names(500) })],
    ["a token of 300 colliding channels", await mint({ publish: ["*"], channels: [...ids, "a"] })],
    ["a token of unknown claims", await sign(Object.fromEntries(ids.map((id) => [id, 1])))],
    ["a token with colliding strings", `${encode(colliding(MAX_TOKEN * 0.7))}.e30.AA`],
    ["a token of 60 KiB with colliding strings", `${encode(colliding(45 * KiB))}.e30.AA`],
    ["a token of dots", ".".repeat(MAX_TOKEN)],
    ["a token of 60 KiB", "t".repeat(60_000)],
  ];
}

/** Returns the requests. The same seed makes the same ones. */
export async function slowRequests(random: SeededRandom): Promise<SlowRequest[]> {
  const authorization = { Authorization: `Bearer ${PUBLISH_TOKEN}` };
  const publish = (kind: string, body: string, headers: Record<string, string>): SlowRequest => ({
    kind,
    method: "POST",
    path: "/ingest",
    headers: { ...authorization, ...headers },
    body,
  });
  const raw = (kind: string, body: string, type: string): SlowRequest => ({
    ...publish(kind, body, { "Content-Type": type }),
    path: "/ingest/p_slow/a",
  });
  const json = { "Content-Type": JSON_TYPE };
  const batch = `[${Array(1000).fill(event(`"${"x".repeat(450)}"`))}]`;
  const appended = `{"channel":"a","payload":"${"x".repeat(450)}"}\n`.repeat(1000);
  return [
    ...slowBodies(random).map(([kind, body, type = JSON_TYPE]) =>
      publish(kind, body, { "Content-Type": type })
    ),
    publish("1,000 events with a key", batch, { ...json, "Idempotency-Key": "k".repeat(255) }),
    publish("a long key", event("1"), { ...json, "Idempotency-Key": "k".repeat(60_000) }),
    publish("a long media type", event("1"), { "Content-Type": `a/b;${" ".repeat(60_000)}` }),
    publish("a long origin", event("1"), { ...json, Origin: `http://${"a.".repeat(30_000)}` }),
    publish("a long cookie", event("1"), { ...json, Cookie: "runnel_token ; ".repeat(4000) }),
    publish("many forwarders", event("1"), { ...json, "X-Forwarded-For": "::1, ".repeat(12_000) }),
    raw("a text of control characters", "\u0001".repeat(MAX_BODY), "text/plain"),
    raw("a text of quotes", '"'.repeat(MAX_BODY), "text/plain"),
    raw("a raw payload of fractions", fill("[", () => "1.5", "]"), JSON_TYPE),
    ...(await tokens(random)).map(([kind, token]) =>
      publish(kind, batch, { ...json, Authorization: `Bearer ${token}` })
    ),
    ...slowAppends(random).map(([kind, body, type]) => ({
      ...publish(kind, body, { "Content-Type": type }),
      path: "/pipelines/p_appended/events",
    })),
    {
      ...publish("an append with a key", appended, {
        "Content-Type": NDJSON_TYPE,
        "Idempotency-Key": "k".repeat(255),
      }),
      path: "/pipelines/p_appended/events",
    },
    { ...publish("the end of a run", "", json), path: "/pipelines/p_ended/end" },
    ...reads(random).map((request) => ({
      ...request,
      headers: { ...authorization, ...request.headers },
    })),
  ];
}
