/**
 * A log with events, and the ways in which a test appends to it.
 *
 * @module
 */

import { ok, rejects, strictEqual as equal } from "node:assert/strict";
import { pause } from "./fakes/kv.ts";
import { createTestLog, type TestLog, textEvent, TIMEOUT_MS } from "./log.ts";
import { flush, until } from "./wait.ts";

/** Error of an append that stored nothing. */
export const LOG_UNAVAILABLE = { type: "log-unavailable" };

/** Error of an append that may have been stored. */
export const OUTCOME_UNKNOWN = { type: "outcome-unknown" };

/** Requests without and with a key. */
export const WITHOUT_AND_WITH_KEY = [["without a key", undefined], ["with a key", "k"]] as const;

/** Creates a log with one event, "0", whose writer has the head cached. */
export async function createWrittenLog(): Promise<TestLog> {
  const test = await createTestLog();
  await test.log.append("p_a", [textEvent("0")]);
  return test;
}

/** Appends a text. */
export function appendText({ log }: TestLog, text: string, key?: string) {
  return log.append("p_a", [textEvent(text)], { key });
}

/** Asserts that an append rejects exactly at its deadline, and returns the error. */
export async function rejectionAtDeadline(
  test: TestLog,
  answer: Promise<unknown>,
): Promise<unknown> {
  let error: unknown;
  const refused = answer.then(() => ok(false, "accepted"), (reason) => error = reason);
  await until(() => test.clock.liveTimers > 0 && test.kv.busy === 0);
  await flush();
  test.clock.advance(TIMEOUT_MS - 1);
  await flush();
  equal(error, undefined);
  test.clock.advance(1);
  await refused;
  return error;
}

/** Holds the commit of an append past its deadline, as the last commit that the store received. */
export async function leaveOutcomeUnknown(
  test: TestLog,
  text: string,
  what: "call" | "answer",
  key?: string,
) {
  const commit = pause(what);
  test.kv.script("commit", commit.fault);
  const answer = appendText(test, text, key);
  // The deadline passes before the answer is awaited.
  answer.catch(() => {});
  await commit.reached;
  test.clock.advance(TIMEOUT_MS);
  await rejects(answer, OUTCOME_UNKNOWN);
  return commit;
}

/** Resolves once the writers are idle. */
export async function waitForWriters(test: TestLog): Promise<void> {
  do await flush(); while (test.kv.busy > 0 || test.clock.liveTimers > 0);
}
