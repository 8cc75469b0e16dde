import { deepStrictEqual as deepEqual, strictEqual as equal, throws } from "node:assert/strict";
import { Backlog, requestBytes } from "../../lib/log/backlog.ts";
import { textEvent } from "../support/log.ts";

Deno.test("requestBytes() counts each event, and a channel with three bytes a code unit", () => {
  const [one, other] = [textEvent("1234", "€"), textEvent("", "ab")];
  const [none, first, both] = [[], [one], [one, other]].map(requestBytes);
  equal(first! - none!, requestBytes([textEvent("", "")]) - none! + 3 + 4);
  equal(both! - first!, requestBytes([other]) - none!);
});

Deno.test("requestBytes() returns 528 for a request of one small event", () => {
  equal(requestBytes([textEvent("1234567", "a")]), 528);
});

Deno.test("Backlog.add() counts a request until it is disposed, but not a refused one", () => {
  const backlog = new Backlog(100);
  const first = backlog.add(60);
  throws(() => backlog.add(41), { type: "overloaded" });
  const second = backlog.add(40);
  equal(backlog.bytes, 100);
  const sizes = [first, second].map((each) => (each[Symbol.dispose](), backlog.bytes));
  deepEqual(sizes, [40, 0]);
});

Deno.test("Backlog.add() releases a request once, however often it is disposed", () => {
  const backlog = new Backlog(100);
  const [first] = [backlog.add(60), backlog.add(40)];
  for (let i = 0; i < 3; i++) first[Symbol.dispose]();
  equal(backlog.bytes, 40);
  throws(() => backlog.add(61), { type: "overloaded" });
});
