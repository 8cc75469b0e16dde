/**
 * Tickets as they are stored, and the interface of their store.
 *
 * A ticket for several pipelines has a record for each, with a hash, a session and
 * an end of its own. Records that belong together are written together.
 *
 * Fields that version 0.1.0 did not store are optional.
 *
 * @module
 */

import type { Position } from "../protocol/mod.ts";

/** A session that a ticket opened. */
export interface Session {
  /** Number of takeovers: a stream that has another number is an older one. */
  generation: number;
  /** Time of the first use, in milliseconds since the Unix epoch. */
  openedAt: number;
  /** The position before the first event that it could be sent. */
  from: Position;
  /** Whether `from` is known. Until its stream has begun, it is lower. @default {true} */
  bound?: boolean | undefined;
}

/** A ticket, as far as it is for one pipeline: unspent while it has no session. */
export interface Ticket {
  /** ID of the pipeline. */
  pipeline: string;
  /** Channels that it grants; if empty, all. */
  channels: readonly string[];
  /** Position to resume from, as its client sent it, unchecked. */
  lastEventId?: string | undefined;
  /** Fingerprint of the credential that it was requested with. @default {undefined} for any */
  credential?: string | undefined;
  /** ID of the newest revocation when it was issued; `null` without one. @default {null} */
  revocation?: string | null | undefined;
  /** Latest time of its first use, in milliseconds since the Unix epoch. */
  spendBy: number;
  /**
   * End of its session, in milliseconds since the Unix epoch. Until it is spent,
   * the latest end.
   */
  endsAt: number;
  /** The session that it opened. */
  session: Session | null;
}

/** A ticket as it was read: it can be replaced for as long as it stays the same. */
export interface TicketEntry {
  /** The ticket. */
  ticket: Ticket;
  /** Version of the ticket in the store. */
  versionstamp: string;
  /** ID of the newest revocation of the pipeline's tickets; `null` without one. */
  revocation: string | null;
}

/** Key of a ticket, and the pipeline that it has to be for. */
export interface TicketKey {
  /** Hash of the ticket's secret: see {@linkcode ticketHash}. */
  hash: string;
  /** ID of the pipeline. */
  pipeline: string;
}

/** A ticket to be written, unless it changed since it was read. */
export interface TicketWrite {
  /** Hash of the ticket's secret: see {@linkcode ticketHash}. */
  hash: string;
  /** The ticket. */
  ticket: Ticket;
  /** Version that it replaces; `null` for a new one. */
  versionstamp: string | null;
  /** Time after which the store may delete it, in milliseconds. */
  expireIn: number;
}

/** Interface of the store of tickets, whether this isolate or another has the connection. */
export interface TicketStore {
  /**
   * Reads tickets, each with the newest revocation of its pipeline.
   *
   * @returns The tickets, in the order of the keys; `null` for one that does not exist.
   * @throws {RunnelError} `log-unavailable` if the store does not answer.
   */
  read(keys: readonly TicketKey[]): Promise<(TicketEntry | null)[]>;

  /**
   * Reads the generations of the sessions of several tickets.
   *
   * @param hashes Hashes of the tickets' secrets.
   * @returns The generations; `null` for a ticket without a session, or one that is deleted.
   * @throws {RunnelError} `log-unavailable` if the store does not answer.
   */
  generations(hashes: readonly string[]): Promise<(number | null)[]>;

  /**
   * Reads the newest revocations of the tickets of several pipelines.
   *
   * @param pipelines IDs of the pipelines.
   * @returns The IDs of the revocations; `null` for a pipeline without one.
   * @throws {RunnelError} `log-unavailable` if the store does not answer.
   */
  revocations(pipelines: readonly string[]): Promise<(string | null)[]>;

  /**
   * Writes tickets: all of them, or none if one changed since it was read.
   *
   * @param writes At most ten, each with another hash.
   * @returns Version of the tickets; `null` if they were not written.
   * @throws {RunnelError} `log-unavailable` if the store does not answer.
   */
  write(writes: readonly TicketWrite[]): Promise<string | null>;

  /**
   * Revokes all tickets of a pipeline that were issued so far.
   *
   * @param pipeline ID of the pipeline.
   * @param revocation ID of the revocation, which no other one has.
   * @param expireIn Time after which all of those tickets have ended, in milliseconds.
   * @throws {RunnelError} `log-unavailable` if the store does not answer.
   */
  revoke(pipeline: string, revocation: string, expireIn: number): Promise<void>;
}
