/**
 * Requests before they are committed: those whose idempotency keys are on record are
 * answered, and those whose keys are too many, or whose run has ended, are refused.
 *
 * @module
 */

import type { Clock } from "../base/mod.ts";
import type { KvConnection } from "../kv/mod.ts";
import type { CachedHead } from "./cached_head.ts";
import type { AppendRequest, Outcome } from "./commit.ts";
import { endOf } from "./head.ts";
import type { IdempotencyRecord } from "./idempotency.ts";
import { countKeys } from "./key_counts.ts";
import { idempotencyKey } from "./keys.ts";
import { keyReused, runEnded, superseded, tooManyKeys } from "./publish_errors.ts";

/** Options for {@linkcode Duplicates}. */
export interface DuplicatesOptions {
  /** The store. */
  kv: KvConnection;
  /** Clock for deadlines, and for the age of records. */
  runtime: { clock: Clock };
  /** Maximum number of idempotency keys of the last 24 hours. */
  maxKeys: number;
}

/** State of the commit of one batch. */
export interface Attempt {
  /** Outcomes so far, by request. */
  outcomes: Map<AppendRequest, Outcome>;
  /** Records of the streaming appends of which requests are parts. */
  appends: Map<AppendRequest, IdempotencyRecord>;
  /** Deadline, in milliseconds of the monotonic clock. */
  until: number;
}

/** Filter of the duplicates among the requests of one pipeline. */
export class Duplicates {
  readonly #pipeline: string;
  readonly #head: CachedHead;
  readonly #options: DuplicatesOptions;

  /** @param head The head that the commit checks. It is read again where that is needed. */
  constructor(pipeline: string, head: CachedHead, options: DuplicatesOptions) {
    this.#pipeline = pipeline;
    this.#head = head;
    this.#options = options;
  }

  /**
   * Answers the requests of a batch that must not be committed, and returns the others.
   *
   * @throws The error of the store.
   */
  async remove(batch: readonly AppendRequest[], attempt: Attempt): Promise<AppendRequest[]> {
    const isOpen = (request: AppendRequest) => !attempt.outcomes.has(request);
    await this.#answer(batch.filter(isOpen), attempt);
    await this.#refuse(batch, attempt);
    await this.#refuseEnded(batch.filter(isOpen), attempt);
    return batch.filter(isOpen);
  }

  /**
   * Answers the requests whose idempotency keys are on record.
   *
   * The records are read after the head that the commit checks, so none can be
   * missed: a writer that adds one in between changes the head.
   */
  async #answer(requests: readonly AppendRequest[], attempt: Attempt): Promise<void> {
    const { outcomes, appends, until } = attempt;
    const keyed = requests.filter((request) => request.idempotency);
    if (keyed.length === 0) return;
    for (const request of keyed) appends.delete(request);
    const former = keyed.filter((request) => request.idempotency!.formerKey);
    const owners = [...keyed, ...former];
    const keys = [
      ...keyed.map(({ idempotency }) => idempotencyKey(this.#pipeline, idempotency!.key)),
      ...former.map(({ idempotency }) => idempotencyKey(this.#pipeline, idempotency!.formerKey!)),
    ];
    const { kv, runtime: { clock } } = this.#options;
    const ms = until - clock.monotonic();
    const records = await kv.getMany<IdempotencyRecord>(keys, { ms });
    // The next part of an append is stored under the check of the head, and not answered.
    if (records.some(({ value }, at) => value && !isNextPart(owners[at]!, value))) {
      // The pipeline may have been deleted since its head was read. The records are
      // read after the newer head again, so that none is missed.
      const isCurrent = await this.#head.isCurrent(until);
      if (!isCurrent) return await this.#answer(requests, attempt);
    }
    const { head: { deleted = 0 } } = await this.#head.get(until);
    owners.forEach((request, index) => {
      const record = records[index]?.value;
      if (!record || record.until <= clock.now()) return;
      // What is stored under the key alone may be the operator's.
      if (index >= keyed.length && (record.ofPublisher || outcomes.has(request))) return;
      // A deletion deletes the keys with the events, some of them later.
      if (record.first <= deleted) return;
      if (isNextPart(request, record)) appends.set(request, record);
      else outcomes.set(request, answerOf(request, record));
    });
  }

  /**
   * Refuses the requests whose idempotency keys are too many. None is forgotten
   * before its time: a publish might be stored twice then.
   */
  async #refuse(batch: readonly AppendRequest[], attempt: Attempt): Promise<void> {
    const { outcomes, appends, until } = attempt;
    const { maxKeys, runtime: { clock } } = this.#options;
    // The key of an append that goes on is counted already.
    const keyed = batch.filter((request) =>
      request.idempotency && !outcomes.has(request) && !appends.has(request)
    );
    if (keyed.length === 0) return;
    const { head } = await this.#head.get(until);
    const room = Math.max(0, maxKeys - countKeys(head.keys ?? [], clock.now()));
    if (keyed.length <= room) return;
    // The pipeline may have been deleted since its head was read.
    if (!await this.#head.isCurrent(until)) {
      await this.#answer(keyed, attempt);
      return await this.#refuse(batch, attempt);
    }
    for (const request of keyed.slice(room)) outcomes.set(request, tooManyKeys(maxKeys));
  }

  /** Refuses the requests that follow the end of a run. To end it again changes nothing. */
  async #refuseEnded(
    requests: readonly AppendRequest[],
    { outcomes, until }: Attempt,
  ): Promise<void> {
    if (requests.length === 0 || !endOf((await this.#head.get(until)).head)) return;
    // The pipeline may have been deleted since its head was read.
    await this.#head.isCurrent(until);
    const { head: { epoch, ended } } = await this.#head.get(until);
    if (ended === undefined) return;
    for (const request of requests) {
      const isOnlyEnd = request.end && request.events.length === 0;
      const receipt = { epoch, first: ended, count: 0, replayed: false, end: ended };
      outcomes.set(request, isOnlyEnd ? receipt : runEnded(this.#pipeline));
    }
  }
}

/** Whether a request is the part of a streaming append that follows what stands of it. */
function isNextPart({ part, idempotency }: AppendRequest, record: IdempotencyRecord): boolean {
  return part !== undefined && record.fingerprint === idempotency!.fingerprint &&
    part.before === record.count && (part.owner === record.owner || part.isFirst);
}

/** Returns the answer to a request whose key is on record. */
function answerOf({ part, idempotency }: AppendRequest, record: IdempotencyRecord): Outcome {
  const { epoch, first, last, count, end, fingerprint } = record;
  if (fingerprint !== idempotency!.fingerprint) return keyReused();
  if (!part) {
    return { epoch, first, count, replayed: true, ...end !== undefined && { end } };
  }
  if (part.owner !== record.owner && !part.isFirst) return superseded();
  const place = { epoch, first: last!, count: 0, replayed: true, stands: count };
  return end === undefined ? place : { ...place, end };
}
