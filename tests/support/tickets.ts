/**
 * Tickets on a log and a store of a test, with a clock that the test controls.
 *
 * @module
 */

import { Tickets, type TicketScope } from "../../lib/access/tickets.ts";
import { createTestLog, type TestLog } from "./log.ts";

/** Time to redeem a ticket, in milliseconds. */
export const TICKET_MS = 300_000;

/** Maximum length of a session, in milliseconds. */
export const SESSION_MS = 3_600_000;

/** Interval between checks for sessions that ended elsewhere, in milliseconds. */
export const CHECK_MS = 15_000;

/** Period after the first use in which it may be repeated, in milliseconds. */
export const REPEAT_MS = 10_000;

/** Scope of a ticket for all channels of one pipeline, without an end. */
export const SCOPE: TicketScope = {
  pipelines: ["p_a"],
  channels: [],
  endsAt: Infinity,
  credential: "token:a",
};

/** Tickets with the parts that a test inspects. */
export interface TestTickets extends AsyncDisposable {
  tickets: Tickets;
  test: TestLog;
  /** Reports to the operator. */
  reports: string[];
  /** Credentials that are not valid. */
  invalid: Set<string>;
}

/**
 * Creates tickets for a test.
 *
 * @param options Log of other tickets, as another process has it; they close it.
 */
export async function createTickets(options: { test?: TestLog } = {}): Promise<TestTickets> {
  const test = options.test ?? await createTestLog();
  const reports: string[] = [];
  const invalid = new Set<string>();
  const tickets = new Tickets({
    log: test.log,
    store: test.tickets,
    credentials: { isValid: (credential) => Promise.resolve(!invalid.has(credential)) },
    runtime: { clock: test.clock, report: (message) => reports.push(message) },
    ticketMs: TICKET_MS,
    sessionMs: SESSION_MS,
    checkMs: CHECK_MS,
  });
  return {
    tickets,
    test,
    reports,
    invalid,
    async [Symbol.asyncDispose]() {
      tickets[Symbol.dispose]();
      if (!options.test) await test.log.close();
    },
  };
}

/** Returns the error of a ticket that does not open a pipeline. */
export function refused(pipeline: string): { type: string; message: string } {
  return {
    type: "forbidden",
    message: `Cannot subscribe to "${pipeline}": the ticket is invalid, used or expired. ` +
      "Request a new one",
  };
}

/** Replaces the log of a pipeline by another one with as many events, as a deletion does. */
export async function replaceLog(
  { kv }: TestLog,
  epoch: string,
  pipeline = "p_a",
): Promise<void> {
  for await (const { key, value } of kv.list<object>({ prefix: [] })) {
    if (key[0] === "ticket" || !key.includes(pipeline) || !value || !("epoch" in value)) continue;
    await kv.atomic().set(key, { ...value, epoch }).commit();
  }
}
