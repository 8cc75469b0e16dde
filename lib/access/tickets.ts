/**
 * Tickets: what opens a stream in a URL, because an `EventSource` cannot send
 * headers.
 *
 * The first use spends a ticket and opens a session. The `EventSource` comes back
 * to the same URL with its `Last-Event-ID` header, which nobody else can know: it
 * holds an ID of the pipeline's epoch. So whoever finds the URL later, in a log or
 * a trace, opens nothing with it.
 *
 * @module
 */

import { chunk, RunnelError, type Runtime } from "../base/mod.ts";
import type { Head, Log, Ticket } from "../log/mod.ts";
import { parseEventId, type Position } from "../protocol/mod.ts";
import { grantedChannels } from "./grant.ts";

/** How long a first connection that broke before its first byte may be repeated, in milliseconds. */
const REPEAT_MS = 10_000;

/** Sessions whose streams are looked after in one go. */
const MAX_CHECKED = 1000;

/** What {@linkcode Tickets} work with. */
export interface TicketsOptions {
  /** The log, which has them. */
  log: Pick<Log, "open" | "readTicket" | "writeTicket" | "ticketGenerations">;
  /** Clock and reporter. */
  runtime: Pick<Runtime, "clock" | "report">;
  /** How long a ticket waits for its first use, in milliseconds. */
  ticketMs: number;
  /** How long a session may last, in milliseconds. */
  sessionMs: number;
  /** How many events of its history a stream may begin with. */
  history: number;
  /** How often sessions that were taken over elsewhere are looked for, in milliseconds. */
  checkMs: number;
}

/** What a ticket is for. */
export interface TicketScope {
  /** The pipeline. */
  pipeline: string;
  /** The channels, all if there are none. */
  channels: readonly string[];
  /** When its session ends at the latest, in milliseconds since the Unix epoch. */
  endsAt: number;
}

/** How a ticket is used. */
export interface TicketUse {
  /** The pipeline that is asked for. */
  pipeline: string;
  /** The channels that are asked for, all that it is for if there are none. */
  channels: readonly string[];
  /** The `Last-Event-ID` header, which a stranger who has the URL does not know. */
  lastEventId: string | undefined;
  /** The last event ID of the query, which anybody knows who has the URL. */
  lastEventIdInUrl: string | undefined;
}

/** A session that was opened or taken over. */
export interface OpenSession {
  /** The channels, all if there are none. */
  channels: readonly string[];
  /** When it ends, in milliseconds since the Unix epoch. */
  endsAt: number;
  /** Where the log was: the stream begins no earlier than from there. */
  seen: Position;
  /** Aborted when another stream takes the session over. */
  takenOver: AbortSignal;
  /** To be called once the stream is over. */
  close: () => void;
}

interface Held {
  generation: number;
  controller: AbortController;
}

/** The tickets, and the sessions whose streams are here. */
export class Tickets implements Disposable {
  readonly #options: TicketsOptions;
  /** The sessions whose streams are here, by the hash of the ticket. */
  readonly #held = new Map<string, Held>();
  #timer: Disposable | null = null;

  /**
   * Makes tickets without any session.
   *
   * @param options What they work with.
   */
  constructor(options: TicketsOptions) {
    this.#options = options;
  }

  /** How many sessions have their streams here. */
  get size(): number {
    return this.#held.size;
  }

  /**
   * Issues a ticket.
   *
   * @param scope What it is for.
   * @returns What goes into the URL, and until when it may be used first.
   * @throws {RunnelError} `log-unavailable` if it cannot be stored.
   */
  async issue(scope: TicketScope): Promise<{ secret: string; spendBy: number }> {
    const { log, runtime: { clock }, ticketMs } = this.#options;
    const secret = crypto.getRandomValues(new Uint8Array(16))
      .toBase64({ alphabet: "base64url", omitPadding: true });
    const spendBy = Math.min(clock.now() + ticketMs, scope.endsAt);
    const ticket: Ticket = { ...scope, spendBy, session: null };
    await log.writeTicket(await digest(secret), ticket, null, ticketMs);
    return { secret, spendBy };
  }

  /**
   * Spends a ticket, or takes its session over.
   *
   * @param secret What was in the URL.
   * @param use How it is used.
   * @throws {RunnelError} `forbidden`; `log-unavailable` if the store does not answer.
   */
  async open(secret: string, use: TicketUse): Promise<OpenSession> {
    const { log, runtime: { clock } } = this.#options;
    const hash = await digest(secret);
    while (true) {
      const entry = await log.readTicket(hash);
      if (entry?.ticket.pipeline !== use.pipeline) throw refused();
      const head = await log.open(use.pipeline);
      const now = clock.now();
      const ticket = this.#next(entry.ticket, use, head, now);
      const { channels } = ticket;
      const granted = grantedChannels(
        { channels: channels.length > 0 ? channels : null },
        use.channels,
      );
      // Before anything is written: a mistake does not spend a ticket.
      if (!granted) throw beyond();
      const isNext = await log.writeTicket(hash, ticket, entry.versionstamp, ticket.endsAt - now);
      // Whoever else was faster changed what is allowed.
      if (isNext) return this.#hold(hash, { ...ticket, channels: granted }, head);
    }
  }

  /** The ticket as it is after this use. */
  #next(ticket: Ticket, use: TicketUse, head: Head, now: number): Ticket {
    const { sessionMs, history } = this.#options;
    const { session } = ticket;
    if (!session) {
      if (now >= ticket.spendBy) throw refused();
      const fresh = Math.max(0, head.sequence - history);
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
    if (now >= ticket.endsAt) throw refused();
    const sequence = head.epoch === session.from.epoch ? positionIn(head, use.lastEventId) : null;
    const isReconnect = sequence !== null && sequence >= session.from.sequence;
    const isRepeat = !use.lastEventId && now < session.openedAt + REPEAT_MS;
    if (!isReconnect && !isRepeat) throw refused();
    return { ...ticket, session: { ...session, generation: session.generation + 1 } };
  }

  #hold(hash: string, { channels, endsAt, session }: Ticket, head: Head): OpenSession {
    const { generation } = session!;
    const older = this.#held.get(hash);
    const held = { generation, controller: new AbortController() };
    // Two that race may come here in either order.
    if (older && older.generation > generation) held.controller.abort();
    else {
      this.#held.set(hash, held);
      older?.controller.abort();
    }
    this.#timer ??= this.#options.runtime.clock.every(this.#options.checkMs, () => this.#check());
    return {
      channels,
      endsAt,
      seen: { epoch: head.epoch, sequence: head.sequence },
      takenOver: held.controller.signal,
      close: () => {
        if (this.#held.get(hash) === held) this.#held.delete(hash);
        if (this.#held.size === 0) this[Symbol.dispose]();
      },
    };
  }

  /** Ends the streams whose sessions were taken over in another isolate or process. */
  async #check(): Promise<void> {
    const { log, runtime } = this.#options;
    const hashes = [...this.#held.keys()];
    try {
      for (const part of chunk(hashes, MAX_CHECKED)) {
        const generations = await log.ticketGenerations(part);
        part.forEach((hash, index) => {
          const held = this.#held.get(hash);
          const generation = generations[index] ?? Infinity;
          // It may have been taken over here since they were read.
          if (held && held.generation < generation) held.controller.abort();
        });
      }
    } catch (error) {
      // They are looked for again; until then the streams stay.
      runtime.report("Cannot look after the sessions of tickets", error);
    }
  }

  /** Looks after no session any more. */
  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
  }
}

/** The sequence that an event ID names, if it is one of this log. */
function positionIn(head: Head, lastEventId: string | undefined): number | null {
  const position = lastEventId ? parseEventId(lastEventId) : null;
  const isKnown = position?.epoch === head.epoch && position.sequence <= head.sequence;
  return isKnown ? position.sequence : null;
}

function beyond(): RunnelError {
  return new RunnelError(
    "forbidden",
    "Cannot listen to all of these channels: the ticket does not cover that",
  );
}

/** One answer for all: who tries learns nothing. */
function refused(): RunnelError {
  return new RunnelError(
    "forbidden",
    "Cannot subscribe: the ticket is none, was used or has expired. Get another one",
  );
}

async function digest(secret: string): Promise<string> {
  const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(secret));
  return new Uint8Array(bytes).toHex();
}
