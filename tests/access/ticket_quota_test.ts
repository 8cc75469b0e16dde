import { strictEqual as equal, throws } from "node:assert/strict";
import { TicketQuota } from "../../lib/access/ticket_quota.ts";
import { FakeClock } from "../support/fakes/clock.ts";

const REFUSED = {
  type: "too-many-requests",
  message: "Cannot issue a ticket: this token would have more than 3, one for each pipeline. " +
    "Use those that it has, wait, or raise RUNNEL_MAX_TICKETS",
};

function createQuota(max = 3, periodMs = 3000) {
  const clock = new FakeClock();
  return { clock, quota: new TicketQuota({ max, periodMs, runtime: { clock } }) };
}

Deno.test("TicketQuota.count() lets each token have its tickets at once, and one more in time", () => {
  const { clock, quota } = createQuota();
  for (const token of ["a", "b"]) {
    for (let i = 0; i < 3; i++) quota.count(token);
    throws(() => quota.count(token), REFUSED);
  }
  clock.advance(999);
  throws(() => quota.count("a"), REFUSED, "a refusal costs nothing");
  clock.advance(1);
  quota.count("a");
  throws(() => quota.count("a"), REFUSED);
});

Deno.test("TicketQuota.count() counts all records of a ticket or none", () => {
  const { clock, quota } = createQuota();
  throws(() => quota.count("a", 4), REFUSED, "more than it may ever have");
  quota.count("a", 2);
  throws(() => quota.count("a", 2), REFUSED);
  quota.count("a");
  clock.advance(2000);
  throws(() => quota.count("a", 3), REFUSED);
  quota.count("a", 2);
  throws(() => quota.count("a"), REFUSED);
});

Deno.test("TicketQuota.count() allows twice the maximum in a period at most", () => {
  const { clock, quota } = createQuota(10, 1000);
  let issued = 0;
  for (let ms = 0; ms < 1000; ms++) {
    try {
      while (true) {
        quota.count("a");
        issued++;
      }
    } catch {
      clock.advance(1);
    }
  }
  equal(issued, 19);
});

Deno.test("TicketQuota.count() allows exactly the maximum, whatever the period divides to", () => {
  for (const [max, periodMs] of [[7, 43_500_000], [100_000, 43_500_000], [1, 3]] as const) {
    const { quota } = createQuota(max, periodMs);
    for (let i = 0; i < max; i++) quota.count("a");
    throws(() => quota.count("a"));
  }
});

Deno.test("TicketQuota forgets tokens whose quota is restored", () => {
  const { clock, quota } = createQuota(1000, 1000);
  // Each visitor of a page has a token of its own.
  for (let i = 0; i < 100_000; i++) {
    quota.count(`${i}`);
    clock.advance(1);
  }
  equal(quota.size < 600, true, `${quota.size}`);
  // One that uses much stays, however many others come.
  for (let i = 0; i < 1000; i++) quota.count("busy");
  for (let i = 0; i < 900; i++) {
    quota.count(`later ${i}`);
    if (i % 2) clock.advance(1);
  }
  for (let i = 0; i < 450; i++) quota.count("busy");
  throws(() => quota.count("busy"));
});
