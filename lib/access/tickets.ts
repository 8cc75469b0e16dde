/**
 * Tickets: secrets that open one event stream by its URL, because an `EventSource`
 * cannot send headers.
 *
 * The first use redeems a ticket and opens a session. The `EventSource` reconnects
 * to the same URL with its `Last-Event-ID` header, which nobody else can know: it
 * contains an ID of the pipeline's epoch. So the URL opens nothing for anyone who
 * finds it later, in a log or a trace.
 *
 * @module
 */

import { chunk, RunnelError, type Runtime } from "../base/mod.ts";
import type { Head, Log } from "../log/mod.ts";
import { parseEventId, type Position } from "../protocol/mod.ts";
import { grantedChannels } from "./grant.ts";
import type { Ticket, TicketStore } from "./ticket_store.ts";

/**
 * Period after the first use in which it may be repeated, in milliseconds: the
 * connection may break before its first byte.
 */
const REPEAT_MS = 10_000;

/** Maximum number of sessions that are checked with one call of the log. */
const MAX_CHECKED = 1000;

/** Options for {@linkcode Tickets}. */
export interface TicketsOptions {
  /** Log of the pipelines. */
  log: Pick<Log, "ensureHead">;
  /** Store of the tickets. */
  store: TicketStore;
  /** Clock and reporter. */
  runtime: Pick<Runtime, "clock" | "report">;
  /** Time to redeem a ticket, in milliseconds. */
  ticketMs: number;
  /** Maximum length of a session, in milliseconds. */
  sessionMs: number;
  /** Maximum number of events of the history that a stream begins with. */
  history: number;
  /** Interval between checks for sessions that were taken over elsewhere, in milliseconds. */
  checkMs: number;
}

/** Scope of a ticket. */
export interface TicketScope {
  /** Pipeline ID. */
  pipeline: string;
  /** Channels; if empty, all. */
  channels: readonly string[];
  /** Latest end of its session, in milliseconds since the Unix epoch. */
  endsAt: number;
}

/** Request that uses a ticket. */
export interface TicketUse {
  /** Pipeline ID that is requested. */
  pipeline: string;
  /** Channels that are requested; if empty, all of the ticket. */
  channels: readonly string[];
  /** The `Last-Event-ID` header, which a stranger who has the URL does not know. */
  lastEventId: string | undefined;
  /** The last event ID in the URL, which everyone knows who has the URL. */
  lastEventIdInUrl: string | undefined;
}

/** A session that was opened or taken over. */
export interface OpenSession {
  /** Channels; if empty, all. */
  channels: readonly string[];
  /** End of the session, in milliseconds since the Unix epoch. */
  endsAt: number;
  /** Position of the log when the session was opened. The stream starts no earlier. */
  seen: Position;
  /** Aborted when another stream takes the session over. */
  superseded: AbortSignal;
  /** Releases the session. Must be called when the stream has ended. */
  close: () => void;
}

interface LocalSession {
  generation: number;
  controller: AbortController;
}

/** Issues and redeems tickets, and tracks the sessions whose streams are in this isolate. */
export class Tickets implements Disposable {
  readonly #options: TicketsOptions;
  /** The sessions of this isolate, by the hash of their ticket. */
  readonly #sessions = new Map<string, LocalSession>();
  #timer: Disposable | null = null;

  /** Creates an instance without sessions. */
  constructor(options: TicketsOptions) {
    this.#options = options;
  }

  /** Number of sessions in this isolate. */
  get size(): number {
    return this.#sessions.size;
  }

  /**
   * Issues a ticket.
   *
   * @returns The secret for the URL, and the end of the time to redeem it, in
   *   milliseconds since the Unix epoch.
   * @throws {RunnelError} `log-unavailable` if the ticket cannot be stored.
   */
  async issue(scope: TicketScope): Promise<{ secret: string; redeemBy: number }> {
    const { store, runtime: { clock }, ticketMs } = this.#options;
    const secret = crypto.getRandomValues(new Uint8Array(16))
      .toBase64({ alphabet: "base64url", omitPadding: true });
    const redeemBy = Math.min(clock.now() + ticketMs, scope.endsAt);
    // The stored name of the field stays: other versions read the same store.
    const ticket: Ticket = { ...scope, spendBy: redeemBy, session: null };
    await store.write(await digest(secret), ticket, null, ticketMs);
    return { secret, redeemBy };
  }

  /**
   * Redeems a ticket, or takes its session over.
   *
   * @param secret Secret in the URL.
   * @throws {RunnelError} `forbidden`; `log-unavailable` if the store does not answer.
   */
  async redeem(secret: string, use: TicketUse): Promise<OpenSession> {
    const { log, store, runtime: { clock } } = this.#options;
    const hash = await digest(secret);
    while (true) {
      const entry = await store.read(hash);
      if (entry?.ticket.pipeline !== use.pipeline) throw invalidTicket();
      const head = await log.ensureHead(use.pipeline);
      const now = clock.now();
      const ticket = this.#advance(entry.ticket, { use, head, now });
      const { channels } = ticket;
      const granted = grantedChannels(
        { channels: channels.length > 0 ? channels : null },
        use.channels,
      );
      // Before anything is written, so that a mistake does not spend the ticket.
      if (!granted) throw forbidden();
      const isWritten = await store.write(
        hash,
        ticket,
        entry.versionstamp,
        ticket.endsAt - now,
      );
      // Otherwise a faster request has changed what this one may do.
      if (isWritten) return this.#register(hash, { ...ticket, channels: granted, head });
    }
  }

  /** Returns the ticket as it is after a use. */
  #advance(
    ticket: Ticket,
    { use, head, now }: { use: TicketUse; head: Head; now: number },
  ): Ticket {
    const { sessionMs, history } = this.#options;
    const { session } = ticket;
    if (!session) {
      if (now >= ticket.spendBy) throw invalidTicket();
      // Below zero for a short history: the position is only compared.
      const fresh = head.sequence - history;
      const resumed = positionIn(head, use.lastEventId || use.lastEventIdInUrl) ?? fresh;
      return {
        ...ticket,
        endsAt: Math.min(now + sessionMs, ticket.endsAt),
        session: {
          generation: 1,
          openedAt: now,
          from: { epoch: head.epoch, sequence: Math.min(fresh, resumed) },
        },
      };
    }
    if (now >= ticket.endsAt) throw invalidTicket();
    const sequence = head.epoch === session.from.epoch ? positionIn(head, use.lastEventId) : null;
    const isReconnect = sequence !== null && sequence >= session.from.sequence;
    const isRepeat = !use.lastEventId && now < session.openedAt + REPEAT_MS;
    if (!isReconnect && !isRepeat) throw invalidTicket();
    return { ...ticket, session: { ...session, generation: session.generation + 1 } };
  }

  /** Registers a session in this isolate, in place of an older one of the same ticket. */
  #register(
    hash: string,
    { channels, endsAt, session, head }: Ticket & { head: Head },
  ): OpenSession {
    const { generation } = session!;
    const older = this.#sessions.get(hash);
    const local = { generation, controller: new AbortController() };
    // Two that race may arrive here in either order.
    if (older && older.generation > generation) local.controller.abort();
    else {
      this.#sessions.set(hash, local);
      older?.controller.abort();
    }
    this.#timer ??= this.#options.runtime.clock.every(this.#options.checkMs, () => this.#check());
    return {
      channels,
      endsAt,
      seen: { epoch: head.epoch, sequence: head.sequence },
      superseded: local.controller.signal,
      close: () => {
        if (this.#sessions.get(hash) === local) this.#sessions.delete(hash);
        if (this.#sessions.size === 0) this[Symbol.dispose]();
      },
    };
  }

  /** Ends the streams whose sessions were taken over in another isolate or process. */
  async #check(): Promise<void> {
    const { store, runtime } = this.#options;
    const hashes = [...this.#sessions.keys()];
    try {
      for (const part of chunk(hashes, MAX_CHECKED)) {
        const generations = await store.generations(part);
        part.forEach((hash, index) => {
          const local = this.#sessions.get(hash);
          // A ticket that is no longer stored ends its stream, too.
          const generation = generations[index] ?? Infinity;
          // The session may have been taken over here since the log was read.
          if (local && local.generation < generation) local.controller.abort();
        });
      }
    } catch (error) {
      // The streams stay until the next check.
      runtime.report("Cannot check the sessions of tickets", error);
    }
  }

  /** Stops the checks. */
  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
  }
}

/** Returns the sequence in an event ID; `null` if the log does not contain that position. */
function positionIn(head: Head, lastEventId: string | undefined): number | null {
  const position = lastEventId ? parseEventId(lastEventId) : null;
  const isKnown = position?.epoch === head.epoch && position.sequence <= head.sequence;
  return isKnown ? position.sequence : null;
}

function forbidden(): RunnelError {
  return new RunnelError(
    "forbidden",
    "Cannot subscribe to all of these channels: the ticket does not grant that. " +
      "Request a ticket that does",
  );
}

/** One error for every reason, so that guessing reveals nothing. */
function invalidTicket(): RunnelError {
  return new RunnelError(
    "forbidden",
    "Cannot subscribe: the ticket is invalid, used or expired. Request a new one",
  );
}

async function digest(secret: string): Promise<string> {
  const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(secret));
  return new Uint8Array(bytes).toHex();
}
