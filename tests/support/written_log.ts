/**
 * A pipeline's log that was written to, and the ways in which a test appends to
 * it.
 *
 * @module
 */

import { ok, rejects, strictEqual as equal } from "node:assert/strict";
import { settled } from "./fake_clock.ts";
import { holds } from "./faulty_kv.ts";
import { createTestLog, type TestLog, textEvent, TIMEOUT_MS, until } from "./test_log.ts";

/** Nothing was stored. */
export const unavailable = { type: "log-unavailable" };

/** It may have been stored. */
export const unknown = { type: "outcome-unknown" };

/** Requests without and with a key. */
export const keys = [["without a key", undefined], ["with a key", "k"]] as const;

/** A log with one event, "0", whose writer knows the head. */
export async function createWrittenLog(): Promise<TestLog> {
  const test = await createTestLog();
  await test.log.append("p_a", [textEvent("0")]);
  return test;
}

/** Appends a text. */
export function append({ log }: TestLog, text: string, key?: string) {
  return log.append("p_a", [textEvent(text)], key);
}

/** Answers once the time that an append may take has passed, and not a millisecond before. */
export async function atDeadline(test: TestLog, answer: Promise<unknown>): Promise<unknown> {
  let error: unknown;
  const refused = answer.then(() => ok(false, "accepted"), (reason) => error = reason);
  await until(() => test.clock.liveTimers > 0 && test.kv.busy === 0);
  await settled();
  test.clock.advance(TIMEOUT_MS - 1);
  await settled();
  equal(error, undefined);
  test.clock.advance(1);
  await refused;
  return error;
}

/** A commit that is held at the deadline, and is the last that the store was given. */
export async function leaveUnknown(
  test: TestLog,
  text: string,
  what: "call" | "answer",
  key?: string,
) {
  const commit = holds(what);
  test.kv.script("commit", commit.fault);
  const answer = append(test, text, key);
  // The deadline comes before anybody awaits the answer.
  answer.catch(() => {});
  await commit.met;
  test.clock.advance(TIMEOUT_MS);
  await rejects(answer, unknown);
  return commit;
}

/** Resolves once the writers are at rest, with nothing left to do. */
export async function atRest(test: TestLog): Promise<void> {
  do await settled(); while (test.kv.busy > 0 || test.clock.liveTimers > 0);
}
