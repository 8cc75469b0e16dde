/**
 * Tickets: secrets that open one event stream by its URL, because an `EventSource`
 * cannot send headers.
 *
 * The first use redeems a ticket and opens a session. The `EventSource` reconnects
 * to the same URL with its `Last-Event-ID` header, which nobody else can know: it
 * contains an ID of the pipeline's epoch. So the URL opens nothing for anyone who
 * finds it later, in a log or a trace.
 *
 * A ticket ends with the credential that it was requested with, and with all others
 * of its pipeline when they are revoked.
 *
 * @module
 */

import { RunnelError, type Runtime } from "../base/mod.ts";
import { MAX_SESSION_MS, MAX_TICKET_MS } from "../config/mod.ts";
import type { Log } from "../log/mod.ts";
import type { Position } from "../protocol/mod.ts";
import { grantedChannels } from "./grant.ts";
import { type Credentials, isRevoked, type OpenSession, Sessions } from "./sessions.ts";
import type { Ticket, TicketStore } from "./ticket_store.ts";
import { beginSession, type SpentTicket, useTicket } from "./ticket_use.ts";

/** Options for {@linkcode Tickets}. */
export interface TicketsOptions {
  /** Log of the pipelines. */
  log: Pick<Log, "ensureHead">;
  /** Store of the tickets. */
  store: TicketStore;
  /** The credentials of the service. */
  credentials: Credentials;
  /** Clock and reporter. */
  runtime: Pick<Runtime, "clock" | "report">;
  /** Time to redeem a ticket, in milliseconds. */
  ticketMs: number;
  /** Maximum length of a session, in milliseconds. */
  sessionMs: number;
  /** Interval between checks for sessions that ended elsewhere, in milliseconds. */
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
  /** Fingerprint of the credential that it is requested with. */
  credential: string;
  /** Position to resume from, unchecked. */
  lastEventId?: string | undefined;
}

/** Request that uses a ticket. */
export interface TicketUse {
  /** Pipeline ID that is requested. */
  pipeline: string;
  /** Channels that are requested; if empty, all of the ticket. */
  channels: readonly string[];
  /** The `Last-Event-ID` header, which a stranger who has the URL does not know. */
  lastEventId: string | undefined;
}

/** Issues and redeems tickets. */
export class Tickets implements Disposable {
  readonly #options: TicketsOptions;
  readonly #sessions: Sessions;

  /** Creates an instance without sessions. */
  constructor(options: TicketsOptions) {
    this.#options = options;
    this.#sessions = new Sessions(options);
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
    const [revocation] = await store.revocations([scope.pipeline]);
    // The stored name of the field stays: other versions read the same store.
    const ticket: Ticket = { ...scope, revocation, spendBy: redeemBy, session: null };
    await store.write(await digest(secret), ticket, null, ticketMs);
    return { secret, redeemBy };
  }

  /**
   * Redeems a ticket, or takes its session over.
   *
   * @param secret Secret in the URL.
   * @throws {RunnelError} `forbidden`; `log-unavailable` if the store does not answer;
   *   `keys-unavailable` if the keys of the ticket's credential cannot be fetched.
   */
  async redeem(
    secret: string,
    { pipeline, channels, lastEventId }: TicketUse,
  ): Promise<OpenSession> {
    const { log, store, runtime: { clock }, sessionMs } = this.#options;
    const hash = await digest(secret);
    while (true) {
      const entry = await store.read(hash, pipeline);
      if (entry?.ticket.pipeline !== pipeline || !await this.#isValid(entry)) throw invalidTicket();
      const head = await log.ensureHead(pipeline);
      const now = clock.now();
      const ticket = useTicket(entry.ticket, { lastEventId, head, now, sessionMs });
      if (!ticket) throw invalidTicket();
      // Before anything is written, so that a mistake does not spend the ticket.
      const granted = grantedChannels(
        { channels: ticket.channels.length > 0 ? ticket.channels : null },
        channels,
      );
      if (!granted) throw forbidden();
      const version = await store.write(hash, ticket, entry.versionstamp, ticket.endsAt - now);
      // Otherwise a faster request has changed what this one may do.
      if (version === null) continue;
      return {
        ...this.#sessions.register(hash, ticket),
        channels: granted,
        endsAt: ticket.endsAt,
        lastEventId: lastEventId || ticket.lastEventId || undefined,
        seen: { epoch: head.epoch, sequence: head.sequence },
        begin: (start) => this.#begin(hash, start, { ticket, version }),
      };
    }
  }

  async #isValid(
    { ticket, revocation }: { ticket: Ticket; revocation: string | null },
  ): Promise<boolean> {
    if (isRevoked(ticket, revocation)) return false;
    const { credential } = ticket;
    return credential === undefined || await this.#options.credentials.isValid(credential);
  }

  async #begin(
    hash: string,
    start: Position,
    written: { ticket: SpentTicket; version: string },
  ): Promise<void> {
    const { store, runtime: { clock, report } } = this.#options;
    try {
      let { ticket, version } = written;
      while (true) {
        const begun = beginSession(ticket, start);
        if (begun === ticket) return;
        if (await store.write(hash, begun, version, begun.endsAt - clock.now())) return;
        // Another stream has taken the session over.
        const entry = await store.read(hash, ticket.pipeline);
        if (!entry?.ticket.session) return;
        version = entry.versionstamp;
        ticket = { ...entry.ticket, session: entry.ticket.session };
      }
    } catch (error) {
      report("Cannot bind the session of a ticket to the start of its stream", error);
    }
  }

  /**
   * Revokes all tickets of a pipeline, and ends their sessions: at once in this
   * isolate, by the next check elsewhere.
   *
   * @throws {RunnelError} `log-unavailable` if the store does not answer.
   */
  async revoke(pipeline: string): Promise<void> {
    const revocation = crypto.randomUUID();
    // Longer than any ticket that exists, whatever the settings were when it was issued.
    await this.#options.store.revoke(pipeline, revocation, MAX_TICKET_MS + MAX_SESSION_MS);
    this.#sessions.revoke(pipeline, revocation);
  }

  /** Stops the checks. */
  [Symbol.dispose](): void {
    this.#sessions[Symbol.dispose]();
  }
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
