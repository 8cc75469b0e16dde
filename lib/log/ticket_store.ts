/**
 * Tickets in Deno KV, by the hash of what is in a URL: who reads the store, or a
 * URL in a trace, has none that opens anything.
 *
 * @module
 */

import type { KvConnection } from "../kv/mod.ts";
import type { Position } from "../protocol/mod.ts";
import { ticketKey } from "./keys.ts";

/** A session that a ticket opened. */
export interface Session {
  /** How often it was taken over: the stream that knows another number is an older one. */
  generation: number;
  /** When it was opened, in milliseconds since the Unix epoch. */
  openedAt: number;
  /** The position before the first event that it could be sent. */
  from: Position;
}

/** A ticket: unspent while it has no session. */
export interface Ticket {
  /** The pipeline that it is for. */
  pipeline: string;
  /** The channels that it is for, all if there are none. */
  channels: readonly string[];
  /** Until when it may be spent, in milliseconds since the Unix epoch. */
  spendBy: number;
  /** When its session ends, in milliseconds since the Unix epoch; until it is spent, at the latest. */
  endsAt: number;
  /** The session that it opened. */
  session: Session | null;
}

/** A ticket as it was read: it can be replaced for as long as it stays the same. */
export interface TicketEntry {
  /** The ticket. */
  ticket: Ticket;
  /** Which version of it. */
  versionstamp: string;
}

/**
 * The tickets.
 *
 * @example
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 * import { systemRuntime as runtime } from "../base/mod.ts";
 * import { KvConnection } from "../kv/mod.ts";
 *
 * const open = () => Deno.openKv(":memory:");
 * using kv = await KvConnection.open({ open, runtime, timeoutMs: 3000, replace: false });
 * equal(await new TicketStore(kv).read("3f2a"), null);
 * ```
 */
export class TicketStore {
  readonly #kv: KvConnection;

  /**
   * Makes the way to the tickets.
   *
   * @param kv The store.
   */
  constructor(kv: KvConnection) {
    this.#kv = kv;
  }

  /**
   * Reads a ticket.
   *
   * @param hash The hash that it is kept by.
   * @throws {RunnelError} `log-unavailable` if the store does not answer.
   */
  async read(hash: string): Promise<TicketEntry | null> {
    const { value, versionstamp } = await this.#kv.call((kv) => kv.get<Ticket>(ticketKey(hash)), {
      as: "log-unavailable",
    });
    return value && versionstamp ? { ticket: value, versionstamp } : null;
  }

  /**
   * Reads how often the sessions of some tickets were taken over.
   *
   * @param hashes The hashes that they are kept by.
   * @returns The generations; `null` for a ticket that is no more.
   * @throws {RunnelError} `log-unavailable` if the store does not answer.
   */
  async generations(hashes: readonly string[]): Promise<(number | null)[]> {
    const entries = await this.#kv.getMany<Ticket>(hashes.map(ticketKey), {
      as: "log-unavailable",
    });
    return entries.map(({ value }) => value?.session?.generation ?? null);
  }

  /**
   * Writes a ticket, unless it changed since it was read.
   *
   * @param hash The hash that it is kept by.
   * @param ticket The ticket.
   * @param versionstamp Which version it replaces; `null` for a new one.
   * @param expireIn For how long it is of any use, in milliseconds.
   * @returns Whether it was written.
   * @throws {RunnelError} `log-unavailable` if the store does not answer.
   */
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
