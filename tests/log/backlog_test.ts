import { deepStrictEqual as deepEqual, strictEqual as equal, throws } from "node:assert/strict";
import { requestBytes, WaitingBytes } from "../../lib/log/backlog.ts";
import { textEvent } from "../support/test_log.ts";

Deno.test("requestBytes() counts a channel at three bytes a unit, and each event", () => {
  const [one, other] = [textEvent("1234", "€"), textEvent("", "ab")];
  const [none, first, both] = [[], [one], [one, other]].map(requestBytes);
  equal(first! - none!, requestBytes([textEvent("", "")]) - none! + 3 + 4);
  equal(both! - first!, requestBytes([other]) - none!);
});

Deno.test("WaitingBytes.add() counts until it is disposed, and nothing that it refused", () => {
  const waiting = new WaitingBytes(100);
  const first = waiting.add(60);
  throws(() => waiting.add(41), { type: "overloaded" });
  const second = waiting.add(40);
  equal(waiting.size, 100);
  const sizes = [first, second].map((each) => (each[Symbol.dispose](), waiting.size));
  deepEqual(sizes, [40, 0]);
});
