/**
 * Bodies of streaming appends that cost as much as they can: the worst of each kind that is
 * known. A body may be larger than those of publishes, since it has no limit.
 *
 * @module
 */

import type { SeededRandom } from "./random.ts";
import { collide, fill, MAX_BODY, NDJSON_TYPE, slowBodies } from "./slow_bodies.ts";

const STREAM_TYPE = "text/event-stream";

/** Size of a body of many events or lines, in bytes. */
const MANY = 2 * 1024 * 1024;

type Body = [kind: string, body: string, type: string];

const many = (text: string) => text.repeat(Math.floor(MANY / text.length));

const stream = (kind: string, body: string): Body => [
  `an event stream of ${kind}`,
  body,
  STREAM_TYPE,
];

/** Bodies of many lines or events, by kind, with their media type. */
export const MANY_LINES: readonly Body[] = [
  ["an append of small events", many('{"channel":"a","payload":1}\n'), NDJSON_TYPE],
  ["an append of blank lines", many("\r\n"), NDJSON_TYPE],
  stream("line ends", many("\r")),
  stream("comments", many(":\n")),
  stream("unknown fields", many("x:y\n")),
  stream("small events", many("data:1\n\n")),
  stream("control events", many("event:runnel.live\ndata:1\n\n")),
  stream("types without data", many("event:a\n\n")),
  stream("text that begins as JSON", many(`data:{${"x".repeat(4000)}\n\n`)),
  stream("one long line", `data:${"x".repeat(MANY)}`),
  stream("one long type", `event:${"x".repeat(MAX_BODY - 20)}\ndata\n\n`),
  stream("one long comment", `:${"x".repeat(MANY)}`),
  stream("control characters", `data:${"\u0001".repeat(MAX_BODY - 20)}\n\n`),
  stream("arrays 250,000 deep", `data:${"[".repeat(250_000)}${"]".repeat(250_000)}\n\n`),
];

/** Returns the body of a publish as that of an append, which has its pipeline in the path. */
export function asAppend([kind, body]: readonly [kind: string, body: string, type?: string]): Body {
  return [`an append of ${kind}`, body.replaceAll('"pipeline":"p_slow",', ""), NDJSON_TYPE];
}

/** Returns bodies of appends, by kind, with their media type. */
export function slowAppends(random: SeededRandom): Body[] {
  const colliding = (bits: number) => fill("data:[", collide(random, bits), "]\n\n");
  return [
    ...slowBodies(random).map(asAppend),
    ...MANY_LINES,
    stream("one event of short lines", fill("", () => "data:", "\n\n", { separator: "\n" })),
    stream("one event of types", fill("", () => "event:a", "\ndata\n\n", { separator: "\n" })),
    stream("fractions", fill("data:[", () => "1.5", "]\n\n")),
    ...[13, 14, 15, 16].map((bits) => stream(`colliding strings, 2^${bits}`, colliding(bits))),
  ];
}
