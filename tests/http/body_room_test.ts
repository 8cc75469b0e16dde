import { strictEqual as equal, throws } from "node:assert/strict";
import { BodyRoom } from "../../lib/http/body_room.ts";

Deno.test("BodyRoom.reserve() holds room until it is disposed, once", () => {
  const room = new BodyRoom(100);
  const held = room.reserve(null, 60, false);
  equal(room.bytes, 60);
  throws(() => room.reserve(null, 41, false), { type: "overloaded" });
  equal(room.bytes, 60);
  for (let i = 0; i < 2; i++) held[Symbol.dispose]();
  equal(room.bytes, 0);
});

Deno.test("BodyRoom.reserve() lets one address take a quarter", () => {
  const room = new BodyRoom(100);
  using _first = room.reserve("192.0.2.1", 25, false);
  throws(() => room.reserve("192.0.2.1", 1, false), { type: "too-many-requests" });
  equal(room.bytes, 25);
  using _other = room.reserve("192.0.2.2", 25, false);
  using _local = room.reserve(null, 50, false);
  throws(() => room.reserve("192.0.2.3", 1, false), { type: "overloaded" });
  throws(() => room.reserve("192.0.2.3", 26, false), { type: "too-many-requests" });
});

Deno.test("BodyRoom.reserve() holds nothing for an address that finds no room", () => {
  const room = new BodyRoom(100);
  {
    using _local = room.reserve(null, 90, false);
    for (let i = 0; i < 10; i++) {
      throws(() => room.reserve("192.0.2.1", 20, false), { type: "overloaded" });
    }
  }
  room.reserve("192.0.2.1", 25, false);
});

Deno.test("BodyRoom.reserve() leaves a quarter to the beginnings of bodies", () => {
  const room = new BodyRoom(100);
  using first = new DisposableStack();
  first.use(room.reserve(null, 10, false));
  first.use(room.reserve(null, 75, true));
  throws(() => room.reserve(null, 1, true), { type: "overloaded" });
  equal(room.bytes, 85);
  first.use(room.reserve(null, 15, false));
  throws(() => room.reserve(null, 1, false), { type: "overloaded" });
  first.dispose();
  equal(room.bytes, 0);
  room.reserve(null, 75, true);
});
