/**
 * The sessions of tickets whose streams are in this isolate. Checks now and then
 * whether they were taken over or revoked elsewhere.
 *
 * @module
 */

import { chunk, type Runtime } from "../base/mod.ts";
import type { Position } from "../protocol/mod.ts";
import type { Ticket, TicketStore } from "./ticket_store.ts";
import type { SpentTicket } from "./ticket_use.ts";

/** Maximum number of sessions or pipelines that are checked with one call of the store. */
const MAX_CHECKED = 1000;

/** Source of what is known about credentials. */
export interface Credentials {
  /**
   * Whether the service still accepts a credential.
   *
   * @param credential Its fingerprint.
   * @throws {RunnelError} `keys-unavailable` if that cannot be found out.
   */
  isValid(credential: string): Promise<boolean>;
}

/** Options for {@linkcode Sessions}. */
export interface SessionsOptions {
  /** Store of the tickets. */
  store: Pick<TicketStore, "generations" | "revocations">;
  /** The credentials of the service. */
  credentials: Credentials;
  /** Clock and reporter. */
  runtime: Pick<Runtime, "clock" | "report">;
  /** Interval between the checks, in milliseconds. */
  checkMs: number;
}

/** A session whose stream is in this isolate. */
export interface LocalSession {
  /** Aborted when another stream takes the session over. */
  readonly superseded: AbortSignal;
  /** Aborted when the ticket is no longer valid. */
  readonly revoked: AbortSignal;
  /** Releases the session. Must be called when the stream has ended. */
  readonly close: () => void;
}

/** A session that was opened or taken over. */
export interface OpenSession extends LocalSession {
  /** Position of the log when the session was opened. The stream starts no earlier. */
  readonly seen: Position;
  /**
   * Binds the session to the position after which its stream began. Must be called
   * before anything of the stream is sent. Never rejects: a session that is not
   * bound allows its client more, not less.
   */
  readonly begin: (start: Position) => Promise<void>;
}

interface Entry {
  ticket: SpentTicket;
  superseded: AbortController;
  revoked: AbortController;
}

/** The sessions of an isolate: one for each pipeline of each stream that a ticket opened. */
export class Sessions implements Disposable {
  readonly #options: SessionsOptions;
  /** By the hash of their record. */
  readonly #entries = new Map<string, Entry>();
  #timer: Disposable | null = null;
  #isChecking = false;

  /** Creates an instance without sessions. */
  constructor(options: SessionsOptions) {
    this.#options = options;
  }

  /** Number of sessions. */
  get size(): number {
    return this.#entries.size;
  }

  /** Registers a session until it is closed, in place of an older one of the same record. */
  register(hash: string, ticket: SpentTicket): LocalSession {
    const older = this.#entries.get(hash);
    const entry: Entry = {
      ticket,
      superseded: new AbortController(),
      revoked: new AbortController(),
    };
    // Two that race may arrive here in either order.
    if (older && older.ticket.session.generation > ticket.session.generation) {
      entry.superseded.abort();
    } else {
      this.#entries.set(hash, entry);
      older?.superseded.abort();
    }
    const { clock } = this.#options.runtime;
    this.#timer ??= clock.every(this.#options.checkMs, () => this.#checkOnce());
    return {
      superseded: entry.superseded.signal,
      revoked: entry.revoked.signal,
      close: () => {
        if (this.#entries.get(hash) === entry) this.#entries.delete(hash);
        if (this.#entries.size === 0) this[Symbol.dispose]();
      },
    };
  }

  /** Ends the sessions of a pipeline, except those of tickets that were issued after a revocation. */
  revoke(pipeline: string, revocation: string): void {
    const entries = this.#entries.values().filter(({ ticket }) => ticket.pipeline === pipeline);
    abortRevoked(entries, revocation);
  }

  async #checkOnce(): Promise<void> {
    // A store that is slow is not asked again meanwhile.
    if (this.#isChecking) return;
    this.#isChecking = true;
    // An error of one leaves the streams to the next check, and the others to theirs.
    for (const check of [this.#checkTakeovers, this.#checkRevocations, this.#checkCredentials]) {
      try {
        await check.call(this);
      } catch (error) {
        this.#options.runtime.report("Cannot check the sessions of tickets", error);
      }
    }
    this.#isChecking = false;
  }

  async #checkTakeovers(): Promise<void> {
    for (const hashes of chunk([...this.#entries.keys()], MAX_CHECKED)) {
      const generations = await this.#options.store.generations(hashes);
      hashes.forEach((hash, index) => {
        // The session may have ended or been taken over here since the store was read.
        const entry = this.#entries.get(hash);
        const generation = generations[index];
        if (generation === null) entry?.revoked.abort();
        else if (entry && entry.ticket.session.generation < generation!) entry.superseded.abort();
      });
    }
  }

  async #checkRevocations(): Promise<void> {
    const held = Map.groupBy(this.#entries.values(), ({ ticket }) => ticket.pipeline);
    for (const pipelines of chunk([...held.keys()], MAX_CHECKED)) {
      const revocations = await this.#options.store.revocations(pipelines);
      pipelines.forEach((pipeline, index) => {
        abortRevoked(held.get(pipeline)!, revocations[index] ?? null);
      });
    }
  }

  async #checkCredentials(): Promise<void> {
    const { credentials } = this.#options;
    const held = Map.groupBy(this.#entries.values(), ({ ticket }) => ticket.credential);
    for (const [credential, entries] of held) {
      if (credential === undefined || await credentials.isValid(credential)) continue;
      for (const { revoked } of entries) revoked.abort();
    }
  }

  /** Stops the checks. */
  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
  }
}

function abortRevoked(entries: Iterable<Entry>, revocation: string | null): void {
  for (const { ticket, revoked } of entries) {
    if (isRevoked(ticket, revocation)) revoked.abort();
  }
}

/**
 * Whether a ticket was revoked with the others of its pipeline.
 *
 * @param revocation ID of the pipeline's newest revocation; `null` without one.
 */
export function isRevoked(ticket: Ticket, revocation: string | null): boolean {
  return revocation !== null && (ticket.revocation ?? null) !== revocation;
}
