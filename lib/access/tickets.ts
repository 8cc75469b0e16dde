/**
 * Tickets: secrets that open one event stream by its URL, of one or several pipelines,
 * because an `EventSource` cannot send headers.
 *
 * The first use redeems a ticket and opens a session. The `EventSource` reconnects
 * to the same URL with its `Last-Event-ID` header, which nobody else can know: it
 * contains an ID of the pipeline's epoch. So the URL opens nothing for anyone who
 * finds it later, in a log or a trace.
 *
 * A ticket ends with the credential that it was requested with, and with all others
 * of its pipeline when they are revoked.
 *
 * A ticket for several pipelines is a record for each in the store, with a session of
 * its own, so that all of this holds for each pipeline. They are written together: a
 * use that is refused for one of them changes none.
 *
 * @module
 */

import { RunnelError, type Runtime } from "../base/mod.ts";
import { MAX_SESSION_MS, MAX_TICKET_MS } from "../config/mod.ts";
import type { Log } from "../log/mod.ts";
import type { Position } from "../protocol/mod.ts";
import { grantedChannels } from "./grant.ts";
import type { GrantedStream, RequestedScope } from "./scope.ts";
import { type Credentials, isRevoked, Sessions } from "./sessions.ts";
import { createSecret, ticketHash } from "./ticket_secret.ts";
import type { TicketEntry, TicketKey, TicketStore } from "./ticket_store.ts";
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
  /** Pipeline IDs, one to ten and none twice. */
  pipelines: readonly string[];
  /** Channels; if empty, all. */
  channels: readonly string[];
  /** Latest end of its session, in milliseconds since the Unix epoch. */
  endsAt: number;
  /** Fingerprint of the credential that it is requested with. */
  credential: string;
  /** Position to resume from, unchecked. */
  lastEventId?: string | undefined;
}

/** Request that uses a ticket: for all of its pipelines, or some of them. */
export interface TicketUse extends RequestedScope {
  /** The `Last-Event-ID` header, which a stranger who has the URL does not know. */
  lastEventId: string | undefined;
}

/** A use that a ticket allows for one pipeline. */
interface Use {
  /** Hash of the ticket. */
  hash: string;
  /** The ticket after the use. */
  ticket: SpentTicket;
  /** Version that the use replaces. */
  versionstamp: string;
  /** Position of the log at the time of the use. */
  seen: Position;
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

  /** Number of sessions in this isolate: one for each pipeline of each stream. */
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
  async issue(
    { pipelines, ...scope }: TicketScope,
  ): Promise<{ secret: string; redeemBy: number }> {
    const { store, runtime: { clock }, ticketMs } = this.#options;
    const secret = createSecret(pipelines.length > 1);
    const redeemBy = Math.min(clock.now() + ticketMs, scope.endsAt);
    const revocations = await store.revocations(pipelines);
    await store.write(
      await Promise.all(pipelines.map(async (pipeline, index) => {
        const revocation = revocations[index] ?? null;
        // The stored name of the field stays: other versions read the same store.
        const ticket = { ...scope, pipeline, revocation, spendBy: redeemBy, session: null };
        const hash = await ticketHash(secret, pipeline);
        return { hash, ticket, versionstamp: null, expireIn: ticketMs };
      })),
    );
    return { secret, redeemBy };
  }

  /**
   * Redeems a ticket, or takes its sessions over: for all of the requested pipelines, or
   * for none.
   *
   * @param secret Secret in the URL.
   * @throws {RunnelError} `forbidden`, which names the first pipeline that the ticket does
   *   not open; `log-unavailable` if the store does not answer; `keys-unavailable` if the
   *   keys of the ticket's credential cannot be fetched.
   */
  async redeem(
    secret: string,
    { pipelines, channels, lastEventId }: TicketUse,
  ): Promise<GrantedStream> {
    const { store, runtime: { clock } } = this.#options;
    const keys = await Promise.all(pipelines.map(async (pipeline) => {
      return { hash: await ticketHash(secret, pipeline), pipeline };
    }));
    while (true) {
      const entries = await store.read(keys);
      const uses = await Promise.all(
        keys.map((key, index) => this.#use(key, entries[index]!, lastEventId)),
      );
      const refused = uses.indexOf(null);
      if (refused !== -1) throw invalidTicket(pipelines[refused]!);
      const used = uses as Use[];
      const { ticket: first } = used[0]!;
      // Before anything is written, so that a mistake does not spend the ticket. All of its
      // records have the same channels.
      const granted = grantedChannels(
        { channels: first.channels.length > 0 ? first.channels : null },
        channels,
      );
      if (!granted) throw forbidden();
      const now = clock.now();
      const version = await store.write(used.map(({ hash, ticket, versionstamp }) => {
        return { hash, ticket, versionstamp, expireIn: ticket.endsAt - now };
      }));
      // Otherwise a faster request has changed what this one may do.
      if (version === null) continue;
      return {
        channels: granted,
        endsAt: Math.min(...used.map(({ ticket }) => ticket.endsAt)),
        lastEventId: lastEventId || first.lastEventId || undefined,
        sessions: used.map(({ hash, ticket, seen }) => ({
          ...this.#sessions.register(hash, ticket),
          seen,
          begin: (start) => this.#begin(hash, start, { ticket, version }),
        })),
      };
    }
  }

  /** Returns a ticket as it is after a use; `null` if it does not allow that. */
  async #use(
    { hash, pipeline }: TicketKey,
    entry: TicketEntry | null,
    lastEventId: string | undefined,
  ): Promise<Use | null> {
    const { log, runtime: { clock }, sessionMs } = this.#options;
    if (entry?.ticket.pipeline !== pipeline || !await this.#isValid(entry)) return null;
    const head = await log.ensureHead(pipeline);
    const ticket = useTicket(entry.ticket, { lastEventId, head, now: clock.now(), sessionMs });
    const seen = { epoch: head.epoch, sequence: head.sequence };
    return ticket && { hash, ticket, versionstamp: entry.versionstamp, seen };
  }

  async #isValid(
    { ticket, revocation }: TicketEntry,
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
        const expireIn = begun.endsAt - clock.now();
        if (await store.write([{ hash, ticket: begun, versionstamp: version, expireIn }])) return;
        // Another stream has taken the session over.
        const [entry] = await store.read([{ hash, pipeline: ticket.pipeline }]);
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
function invalidTicket(pipeline: string): RunnelError {
  return new RunnelError(
    "forbidden",
    `Cannot subscribe to "${pipeline}": the ticket is invalid, used or expired. ` +
      "Request a new one",
  );
}
