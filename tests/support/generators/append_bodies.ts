/**
 * Hostile bodies of streaming appends, with the events that may be stored of them.
 *
 * @module
 */

import { createParser } from "eventsource-parser";
import type { HostileJson } from "./hostile_json.ts";
import { type ExpectedEvent, expectedEvents, expectedPayload } from "./json_text.ts";
import type { SeededRandom } from "./random.ts";
import { encodeUtf8 } from "./text.ts";

/** A body with its media type. */
export interface AppendBody {
  type: string;
  bytes: Uint8Array;
  /** Events of the body, up to the first that is invalid in itself. */
  events: ExpectedEvent[];
  /** Whether that is all of the body. */
  isWhole: boolean;
}

/** Types of events that real sources send, and others. */
const TYPES = ["", "", "token", "error", "open", "runnel.live", "message", "é", "\u{feff}x", " x"];

/** Texts that are data, beside JSON. */
const TEXTS = ["1.0", "[DONE]", "{", '"', "", " ", "é€😀", "\0", "\u2028", "\u{feff}", "null"];

/** Lines that are no part of an event. */
const OTHERS = [": comment", ":", "id: 7", "retry: 10", "x: y", "data", "event", "\u{feff}data: 1"];

/** Returns a body of one of the media types. */
export function appendBody(random: SeededRandom, json: HostileJson): AppendBody {
  return random.chance(0.6) ? ndjson(random, json) : eventStream(random, json);
}

function ndjson(random: SeededRandom, json: HostileJson): AppendBody {
  const line = (payload: string) => {
    const members = [`"channel":${json.channel()}`, `"payload":${payload}`];
    if (random.chance(0.03)) members.push(`"x":${json.value(2)}`);
    return `{${random.shuffled(members).join(",")}}`;
  };
  const lines = Array.from({ length: random.pick([1, 2, 5, 40, 300]) }, () => line(json.value()));
  if (random.chance(0.1)) lines.splice(random.integer(0, lines.length), 0, line(json.bomb()));
  const separator = random.pick(["\n", "\r\n", "\n\n", "\n \t\n"]);
  let bytes: Uint8Array = encodeUtf8(lines.join(separator) + random.pick(["", "\n"]));
  if (random.chance(0.2)) bytes = json.mutate(bytes);
  return { type: "application/x-ndjson", bytes, ...readNdjson(bytes) };
}

function readNdjson(bytes: Uint8Array): Pick<AppendBody, "events" | "isWhole"> {
  const events: ExpectedEvent[] = [];
  for (let at = 0, isFirst = true; at < bytes.length; isFirst = false) {
    const end = bytes.indexOf(10, at);
    const line = bytes.subarray(at, end < 0 ? bytes.length : end);
    at = end < 0 ? bytes.length : end + 1;
    let text;
    try {
      text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: !isFirst }).decode(line);
    } catch {
      return { events, isWhole: false };
    }
    if (/^[ \t\r]*$/.test(text)) continue;
    const [event] = expectedEvents(text, true) ?? [];
    if (!event) return { events, isWhole: false };
    events.push(event);
  }
  return { events, isWhole: true };
}

function eventStream(random: SeededRandom, json: HostileJson): AppendBody {
  const blocks = Array.from({ length: random.pick([1, 3, 30, 200]) }, () => {
    const type = random.pick(TYPES);
    const data = random.chance(0.5)
      ? json.value()
      : Array.from({ length: random.integer(1, 3) }, () => random.pick(TEXTS)).join("\n");
    return [
      ...random.chance(0.2) ? [random.pick(OTHERS)] : [],
      ...type === "" ? [] : [`event:${random.pick(["", " "])}${type}`],
      ...data.split(/\r\n|\r|\n/).map((line) => `data:${random.pick(["", " "])}${line}`),
      "",
    ];
  });
  const end = random.pick(["\n", "\r\n", "\r"]);
  const text = blocks.flat().map((line) => line + end).join("").toWellFormed();
  return {
    type: "text/event-stream",
    bytes: encodeUtf8(text),
    events: readEventStream(text),
    isWhole: true,
  };
}

/** Reads the events with an independent parser. */
function readEventStream(text: string): ExpectedEvent[] {
  const events: ExpectedEvent[] = [];
  const parser = createParser({
    onEvent({ event: type = "message", data }) {
      if (type.startsWith("runnel.")) return;
      const channel = type === "error" || type === "open" ? `stream.${type}` : type;
      const payload = /^[{["]/.test(data) ? expectedPayload(data) : null;
      events.push({ channel, payload: payload ?? JSON.stringify(data) });
    },
  });
  parser.feed(text);
  return events;
}
