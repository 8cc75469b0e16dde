import { doesNotThrow, throws } from "node:assert/strict";
import { RateLimiter } from "../../lib/access/rate_limiter.ts";
import { FakeClock } from "../support/fakes/clock.ts";

const MESSAGE = "Cannot do more than 3 requests in a second";

const REFUSAL = {
  type: "too-many-requests",
  message: MESSAGE,
};

Deno.test("RateLimiter.count() rejects requests over the limit of a second", () => {
  const clock = new FakeClock();
  const rate = new RateLimiter(3, { clock }, MESSAGE);
  for (let second = 0; second < 3; second++) {
    for (let i = 0; i < 3; i++) rate.count("a");
    throws(() => rate.count("a"), REFUSAL);
    clock.advance(999);
    throws(() => rate.count("a"), REFUSAL);
    clock.advance(1);
  }
});

Deno.test("RateLimiter.count() counts each client separately", () => {
  const rate = new RateLimiter(1, { clock: new FakeClock() }, MESSAGE);
  rate.count("a");
  doesNotThrow(() => rate.count("b"));
});

Deno.test("RateLimiter.discount() takes back a request of this second, and none of another", () => {
  const clock = new FakeClock();
  const rate = new RateLimiter(3, { clock }, MESSAGE);
  const windows = [1, 2, 3].map(() => rate.count("a"));
  rate.discount("a", windows[0]!);
  doesNotThrow(() => rate.count("a"));
  throws(() => rate.count("a"), REFUSAL);
  clock.advance(1000);
  for (let i = 0; i < 3; i++) rate.count("a");
  rate.discount("a", windows[1]!);
  throws(() => rate.count("a"), REFUSAL);
});

Deno.test("RateLimiter.count() has windows of the same length when the clock is set", () => {
  const clock = new FakeClock();
  const rate = new RateLimiter(1, { clock }, MESSAGE);
  rate.count("a");
  clock.set(clock.now() - 3_600_000);
  throws(() => rate.count("a"), { type: "too-many-requests" });
  clock.advance(1000);
  doesNotThrow(() => rate.count("a"));
  clock.set(clock.now() + 3_600_000);
  throws(() => rate.count("a"), { type: "too-many-requests" });
});
