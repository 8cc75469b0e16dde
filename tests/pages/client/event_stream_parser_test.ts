import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import { encodeComment, encodeEvent, encodeRetry } from "../../../lib/protocol/event_stream.ts";
import { EventStreamParser } from "../../../lib/pages/client/event_stream_parser.js";

Deno.test("EventStreamParser.push() parses what encodeEvent() wrote, in pieces of any size", () => {
  const text = fc.string({ unit: "binary" }).map((text) => text.replace(/[\r\n\0]/g, ""));
  const written = fc.record({
    id: text,
    type: text.filter((text) => text !== ""),
    data: fc.string(),
  });
  fc.assert(
    fc.property(
      fc.array(written, { maxLength: 5 }),
      fc.infiniteStream(fc.nat(9)),
      (events, cuts) => {
        const decoder = new TextDecoder();
        const whole = events.map((event) => decoder.decode(encodeEvent(event))).join("");
        const parser = new EventStreamParser();
        const read = [];
        for (let rest = whole; rest !== "";) {
          const length = 1 + cuts.next().value!;
          read.push(...parser.push(rest.slice(0, length)));
          rest = rest.slice(length);
        }
        deepEqual(
          read,
          events.map((event) => ({ ...event, data: event.data.replace(/\r\n?/g, "\n") })),
        );
      },
    ),
  );
});

Deno.test("EventStreamParser.push() accepts every line end, cut anywhere", () => {
  for (const end of ["\n", "\r", "\r\n"]) {
    const text = ["id: 1", "data: a", "data:b", "", "data: c", "", ""].join(end);
    for (let cut = 0; cut < text.length; cut++) {
      const parser = new EventStreamParser();
      deepEqual([...parser.push(text.slice(0, cut)), ...parser.push(text.slice(cut))], [
        { id: "1", type: "message", data: "a\nb" },
        { id: "1", type: "message", data: "c" },
      ]);
    }
  }
});

Deno.test("EventStreamParser.lastEventId follows a block without data", () => {
  const decoder = new TextDecoder();
  const parser = new EventStreamParser("a-1");
  equal(parser.lastEventId, "a-1");
  deepEqual(parser.push(decoder.decode(encodeComment("keepalive", "a-2")).slice(0, -1)), []);
  equal(parser.lastEventId, "a-1");
  deepEqual(parser.push("\n"), []);
  equal(parser.lastEventId, "a-2");
});

Deno.test("EventStreamParser.retryMs is the reconnection time of the stream", () => {
  const parser = new EventStreamParser();
  equal(parser.retryMs, null);
  parser.push(new TextDecoder().decode(encodeRetry(2837)));
  parser.push("retry: soon\n\n");
  equal(parser.retryMs, 2837);
});

Deno.test("EventStreamParser.push() ignores IDs with U+0000, and unknown fields", () => {
  const parser = new EventStreamParser();
  deepEqual(parser.push("id: a\nid: b\0\nnonsense\nfoo: bar\ndata\n\n"), [
    { id: "a", type: "message", data: "" },
  ]);
});
