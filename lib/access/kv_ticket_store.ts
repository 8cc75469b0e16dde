/**
 * Tickets in Deno KV, by the hash of the secret in their URLs: neither a reader
 * of the store nor a URL in a trace can open a stream.
 *
 * @module
 */

import { MAX_SESSION_MS, MAX_TICKET_MS } from "../config/mod.ts";
import type { KvConnection } from "../kv/mod.ts";
import type { Ticket, TicketEntry, TicketKey, TicketStore, TicketWrite } from "./ticket_store.ts";

/** Key of a ticket, by the hash of the secret in its URL. */
function ticketKey(hash: string): Deno.KvKey {
  return ["ticket", hash];
}

/** Key of the newest revocation of a pipeline's tickets. It outlives the pipeline's log. */
function revocationKey(pipeline: string): Deno.KvKey {
  return ["ticket-revocation", pipeline];
}

/** All errors of the store are `log-unavailable`. */
const AS = { as: "log-unavailable" } as const;

/** Number of tickets that are deleted at once. */
const DELETE_SIZE = 500;

/**
 * Deletes all tickets, for a store that was restored: those that were spent since
 * the backup would be good for another session.
 *
 * @throws {RunnelError} `log-unavailable` if the store does not answer.
 */
export async function deleteTickets(kv: KvConnection): Promise<void> {
  const prefix = ticketKey("").slice(0, 1);
  let deleted: number;
  do {
    deleted = await kv.call(async (kv) => {
      const operation = kv.atomic();
      const entries = await Array.fromAsync(kv.list({ prefix }, { limit: DELETE_SIZE }));
      for (const { key } of entries) operation.delete(key);
      await operation.commit();
      return entries.length;
    }, AS);
  } while (deleted > 0);
}

/**
 * Returns the time that a record of the tickets has left, in milliseconds, for a copy of the
 * store; `null` if it is none of them.
 */
export function ticketRecordTimeLeft(key: Deno.KvKey, value: unknown, now: number): number | null {
  const [kind] = key;
  // All tickets that it revoked have ended by then.
  if (kind === "ticket-revocation") return MAX_TICKET_MS + MAX_SESSION_MS;
  if (kind !== "ticket") return null;
  const { session, endsAt, spendBy } = value as Ticket;
  return (session ? endsAt : spendBy) - now;
}

/** The store of tickets in Deno KV. */
export class KvTicketStore implements TicketStore {
  readonly #kv: KvConnection;

  constructor(kv: KvConnection) {
    this.#kv = kv;
  }

  /** As {@linkcode TicketStore.read}. */
  async read(keys: readonly TicketKey[]): Promise<(TicketEntry | null)[]> {
    // A ticket and its revocation are always read by one call, in one snapshot.
    const entries = await this.#kv.getMany<Ticket | string>(
      keys.flatMap(({ hash, pipeline }) => [ticketKey(hash), revocationKey(pipeline)]),
      AS,
    );
    return keys.map((_, index) => {
      const { value, versionstamp } = entries[2 * index]!;
      const revocation = entries[2 * index + 1]!.value as string | null;
      return versionstamp === null ? null : { ticket: value as Ticket, versionstamp, revocation };
    });
  }

  /** As {@linkcode TicketStore.generations}. */
  async generations(hashes: readonly string[]): Promise<(number | null)[]> {
    const entries = await this.#kv.getMany<Ticket>(hashes.map(ticketKey), AS);
    return entries.map(({ value }) => value?.session?.generation ?? null);
  }

  /** As {@linkcode TicketStore.revocations}. */
  async revocations(pipelines: readonly string[]): Promise<(string | null)[]> {
    const entries = await this.#kv.getMany<string>(pipelines.map(revocationKey), AS);
    return entries.map(({ value }) => value);
  }

  /** As {@linkcode TicketStore.write}. */
  async write(writes: readonly TicketWrite[]): Promise<string | null> {
    const result = await this.#kv.call((kv) => {
      const operation = kv.atomic();
      for (const { hash, ticket, versionstamp, expireIn } of writes) {
        const key = ticketKey(hash);
        // The store takes whole milliseconds, and the end of a token may be any number.
        const options = { expireIn: Math.max(0, Math.ceil(expireIn)) };
        operation.check({ key, versionstamp }).set(key, ticket, options);
      }
      return operation.commit();
    }, AS);
    return result.ok ? result.versionstamp : null;
  }

  /** As {@linkcode TicketStore.revoke}. */
  async revoke(pipeline: string, revocation: string, expireIn: number): Promise<void> {
    const key = revocationKey(pipeline);
    await this.#kv.call((kv) => kv.atomic().set(key, revocation, { expireIn }).commit(), AS);
  }
}
