/**
 * Misuses of a service by sequences of valid requests, in random order.
 *
 * @module
 */

import { equal } from "node:assert/strict";
import type { MisuseOptions } from "./misuse.ts";
import { FULL_PIPELINE, ReadingMisuses } from "./reading_misuses.ts";
import { WritingMisuses } from "./writing_misuses.ts";

export type { MisuseOptions } from "./misuse.ts";

/** Events of the pipeline with a history of 5 MB, and their size in bytes. */
const FULL_EVENTS = 100;
const FULL_BYTES = 50_000;

/**
 * Misuses a service until that is over, and checks that it kept its promises.
 *
 * @param onMisuse Called with the kind of each misuse that was answered as it should.
 */
export async function misuse(
  options: MisuseOptions,
  isOver: () => boolean,
  onMisuse: (kind: string) => void,
): Promise<void> {
  const writing = new WritingMisuses(options);
  const kinds = { ...new ReadingMisuses(options).kinds, ...writing.kinds };
  for (let number = 0; !isOver(); number++) {
    const kind = options.random.pick(Object.keys(kinds));
    try {
      await kinds[kind]!();
    } catch (error) {
      throw new Error(`${options.name}, misuse ${number}: ${kind}`, { cause: error });
    }
    onMisuse(kind);
  }
  await writing.check();
}

/** Fills the pipeline whose history is misused. */
export async function fillPipeline(url: string, headers: Record<string, string>): Promise<void> {
  for (let count = 0; count < FULL_EVENTS; count++) {
    const answer = await fetch(`${url}/ingest/${FULL_PIPELINE}/events`, {
      method: "POST",
      headers,
      body: "x".repeat(FULL_BYTES),
    });
    await answer.body?.cancel();
    equal(answer.status, 202);
  }
}
