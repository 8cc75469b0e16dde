import { strictEqual as equal } from "node:assert/strict";
import { createEventFilter } from "../../../lib/pages/viewer/event_filter.js";

const event = { id: "mSa2Rkz0vHY-7", channel: "orders", payload: '{"name":"Luke (19)"}' };

Deno.test("createEventFilter() keeps all events without channels and text", () => {
  equal(createEventFilter(new Set(), " ")(event), true);
});

Deno.test("createEventFilter() keeps the picked channels", () => {
  equal(createEventFilter(new Set(["orders", "payments"]), "")(event), true);
  equal(createEventFilter(new Set(["payments"]), "")(event), false);
});

Deno.test("createEventFilter() finds text in payload, channel and ID, in any case", () => {
  for (const text of ["luke", "LUKE (19)", "ORD", "vhy-7", " luke "]) {
    equal(createEventFilter(new Set(), text)(event), true, text);
  }
  for (const text of [".*", "leia", "luke  (19)", "["]) {
    equal(createEventFilter(new Set(), text)(event), false, text);
  }
});
