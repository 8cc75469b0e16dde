import { strictEqual as equal, throws } from "node:assert/strict";
import { Places } from "../lib/places.ts";

Deno.test("Places.take() gives a place back once, however often it is left", () => {
  const places = new Places(2);
  const [leave] = [places.take(), places.take()];
  throws(() => places.take(), { type: "overloaded" });
  leave();
  leave();
  equal(places.taken, 1);
  places.take();
  throws(() => places.take(), { type: "overloaded" });
});
