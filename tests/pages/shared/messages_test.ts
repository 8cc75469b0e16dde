import { strictEqual as equal } from "node:assert/strict";
import { describeGap, describeLive, plural } from "../../../lib/pages/shared/messages.js";

Deno.test("describeGap() says how many events are missing, and why", () => {
  const cases = [
    [{ missed: 1, reason: "damaged" }, "1 event is missing here: the file of the log is damaged."],
    [{ missed: 7, reason: "evicted" }, "7 events are missing here: the log keeps only the newest."],
    [{ missed: 1, reason: "cleared" }, "1 event is missing here: the history was cleared."],
    [
      { missed: null, reason: "unknown" },
      "Events may be missing here: the log does not know the last event ID. Its history follows.",
    ],
  ] as const;
  for (const [data, words] of cases) equal(describeGap(data), words);
});

Deno.test("describeLive() distinguishes the first connection from a reconnection", () => {
  equal(describeLive(0, 0, false), "Live from here.");
  equal(describeLive(9, 0, true), "Live from here. What is below is history.");
  equal(describeLive(0, 2, true), "Reconnected. Nothing was missed.");
  equal(describeLive(1, 2, true), "Reconnected. 1 event was caught up.");
});

Deno.test("plural() adds an s unless the count is one", () => {
  equal(plural(0, "event"), "0 events");
  equal(plural(1, "event"), "1 event");
});
