/**
 * Tickets in Deno KV, by the hash of the secret in their URLs: neither a reader
 * of the store nor a URL in a trace can open a stream.
 *
 * @module
 */

import type { KvConnection } from "../kv/mod.ts";
import type { Position } from "../protocol/mod.ts";

/** A session that a ticket opened. */
export interface Session {
  /** Number of takeovers: a stream that has another number is an older one. */
  generation: number;
  /** Time of the first use, in milliseconds since the Unix epoch. */
  openedAt: number;
  /** The position before the first event that it could be sent. */
  from: Position;
}

/** A ticket: unspent while it has no session. */
export interface Ticket {
  /** ID of its pipeline. */
  pipeline: string;
  /** Channels that it grants; if empty, all. */
  channels: readonly string[];
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
}

/** Interface of the store of tickets, whether this isolate or another has the connection. */
export interface TicketStore {
  /**
   * Reads a ticket.
   *
   * @param hash Hash of the ticket's secret.
   * @throws {RunnelError} `log-unavailable` if the store does not answer.
   */
  read(hash: string): Promise<TicketEntry | null>;

  /**
   * Reads the generations of the sessions of several tickets.
   *
   * @param hashes Hashes of the tickets' secrets.
   * @returns The generations; `null` for a ticket without a session, or one that is deleted.
   * @throws {RunnelError} `log-unavailable` if the store does not answer.
   */
  generations(hashes: readonly string[]): Promise<(number | null)[]>;

  /**
   * Writes a ticket, unless it changed since it was read.
   *
   * @param hash Hash of the ticket's secret.
   * @param ticket The ticket.
   * @param versionstamp Version that it replaces; `null` for a new one.
   * @param expireIn Time after which the store may delete it, in milliseconds.
   * @returns Whether it was written.
   * @throws {RunnelError} `log-unavailable` if the store does not answer.
   */
  write(
    hash: string,
    ticket: Ticket,
    versionstamp: string | null,
    expireIn: number,
  ): Promise<boolean>;
}

/** Key of a ticket, by the hash of the secret in its URL. */
function ticketKey(hash: string): Deno.KvKey {
  return ["ticket", hash];
}

/** The store of tickets in Deno KV. */
export class KvTicketStore implements TicketStore {
  readonly #kv: KvConnection;

  constructor(kv: KvConnection) {
    this.#kv = kv;
  }

  /** As {@linkcode TicketStore.read}. */
  async read(hash: string): Promise<TicketEntry | null> {
    const { value, versionstamp } = await this.#kv.call((kv) => kv.get<Ticket>(ticketKey(hash)), {
      as: "log-unavailable",
    });
    return value && versionstamp ? { ticket: value, versionstamp } : null;
  }

  /** As {@linkcode TicketStore.generations}. */
  async generations(hashes: readonly string[]): Promise<(number | null)[]> {
    const entries = await this.#kv.getMany<Ticket>(hashes.map(ticketKey), {
      as: "log-unavailable",
    });
    return entries.map(({ value }) => value?.session?.generation ?? null);
  }

  /** As {@linkcode TicketStore.write}. */
  async write(
    hash: string,
    ticket: Ticket,
    versionstamp: string | null,
    expireIn: number,
  ): Promise<boolean> {
    const key = ticketKey(hash);
    const { ok } = await this.#kv.call(
      (kv) => kv.atomic().check({ key, versionstamp }).set(key, ticket, { expireIn }).commit(),
      { as: "log-unavailable" },
    );
    return ok;
  }
}
