/**
 * Requests with idempotency keys, before they are committed: those whose keys are on
 * record are answered, and those whose keys are too many are refused.
 *
 * @module
 */

import type { Clock } from "../base/mod.ts";
import type { KvConnection } from "../kv/mod.ts";
import type { CachedHead } from "./cached_head.ts";
import type { AppendRequest, Outcome } from "./commit.ts";
import type { IdempotencyRecord } from "./idempotency.ts";
import { countKeys } from "./key_counts.ts";
import { idempotencyKey } from "./keys.ts";
import { keyReused, tooManyKeys } from "./publish_errors.ts";

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
    return batch.filter(isOpen);
  }

  /**
   * Answers the requests whose idempotency keys are on record.
   *
   * The records are read after the head that the commit checks, so none can be
   * missed: a writer that adds one in between changes the head.
   */
  async #answer(requests: readonly AppendRequest[], { outcomes, until }: Attempt): Promise<void> {
    const keyed = requests.filter((request) => request.idempotency);
    if (keyed.length === 0) return;
    const former = keyed.filter((request) => request.idempotency!.formerKey);
    const keys = [
      ...keyed.map(({ idempotency }) => idempotencyKey(this.#pipeline, idempotency!.key)),
      ...former.map(({ idempotency }) => idempotencyKey(this.#pipeline, idempotency!.formerKey!)),
    ];
    const { kv, runtime: { clock } } = this.#options;
    const ms = until - clock.monotonic();
    const records = await kv.getMany<IdempotencyRecord>(keys, { ms });
    if (records.some(({ value }) => value)) {
      // The pipeline may have been deleted since its head was read. The records are
      // read after the newer head again, so that none is missed.
      const isCurrent = await this.#head.isCurrent(until);
      if (!isCurrent) return await this.#answer(requests, { outcomes, until });
    }
    const { head: { deleted = 0 } } = await this.#head.get(until);
    [...keyed, ...former].forEach((request, index) => {
      const record = records[index]?.value;
      if (!record || record.until <= clock.now()) return;
      // What is stored under the key alone may be the operator's.
      if (index >= keyed.length && (record.ofPublisher || outcomes.has(request))) return;
      const { epoch, first, count, fingerprint } = record;
      // A deletion deletes the keys with the events, some of them later.
      if (first <= deleted) return;
      const isSame = fingerprint === request.idempotency!.fingerprint;
      outcomes.set(request, isSame ? { epoch, first, count, replayed: true } : keyReused());
    });
  }

  /**
   * Refuses the requests whose idempotency keys are too many. None is forgotten
   * before its time: a publish might be stored twice then.
   */
  async #refuse(batch: readonly AppendRequest[], { outcomes, until }: Attempt): Promise<void> {
    const { maxKeys, runtime: { clock } } = this.#options;
    const keyed = batch.filter((request) => request.idempotency && !outcomes.has(request));
    if (keyed.length === 0) return;
    const { head } = await this.#head.get(until);
    const room = Math.max(0, maxKeys - countKeys(head.keys ?? [], clock.now()));
    if (keyed.length <= room) return;
    // The pipeline may have been deleted since its head was read.
    if (!await this.#head.isCurrent(until)) {
      await this.#answer(keyed, { outcomes, until });
      return await this.#refuse(batch, { outcomes, until });
    }
    for (const request of keyed.slice(room)) outcomes.set(request, tooManyKeys(maxKeys));
  }
}
