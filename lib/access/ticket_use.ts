/**
 * The rules of a ticket: which uses it allows, and what it becomes by them. Pure:
 * nothing is read or written here.
 *
 * A session is recognized by an event ID. It is valid if it is of the session's
 * log, from the position on where the stream began, or of the log that the
 * pipeline has now: another one replaces it when a pipeline is deleted or a store
 * is restored. On a stream of several pipelines an ID has a part for each, and every
 * pipeline has to be proven by a part of its own: a reader of one of them knows its
 * IDs, and must not open another one by them.
 *
 * @module
 */

import type { Head } from "../log/mod.ts";
import { MAX_PIPELINES, parseJoinedId, type Position, splitEventIds } from "../protocol/mod.ts";
import type { Session, Ticket } from "./ticket_store.ts";

/**
 * Period after the first use in which it may be repeated, in milliseconds: the
 * connection may break before its first byte.
 */
const REPEAT_MS = 10_000;

/** A ticket with a session. */
export type SpentTicket = Ticket & { session: Session };

/** Circumstances of a use. */
export interface UseOptions {
  /** The `Last-Event-ID` header, which a stranger who has the URL does not know. */
  lastEventId: string | undefined;
  /** Head of the pipeline's log. */
  head: Pick<Head, "epoch" | "sequence">;
  /** The time, in milliseconds since the Unix epoch. */
  now: number;
  /** Maximum length of a session, in milliseconds. */
  sessionMs: number;
}

/** Returns the ticket as it is after a use; `null` if it does not allow that. */
export function useTicket(ticket: Ticket, options: UseOptions): SpentTicket | null {
  const { lastEventId, head, now, sessionMs } = options;
  const { session } = ticket;
  if (!session) {
    if (now >= ticket.spendBy) return null;
    // The stream may begin anywhere in the log: see beginSession().
    const from = { epoch: head.epoch, sequence: 0 };
    return {
      ...ticket,
      endsAt: Math.min(now + sessionMs, ticket.endsAt),
      session: { generation: 1, openedAt: now, from, bound: false },
    };
  }
  if (now >= ticket.endsAt) return null;
  const isRepeat = !lastEventId && now < session.openedAt + REPEAT_MS;
  const from = isRepeat ? session.from : reconnect(session.from, lastEventId, head);
  return from && {
    ...ticket,
    session: { ...session, from, generation: session.generation + 1 },
  };
}

/** Returns the start of a session after a reconnect; `null` if no part of the event ID is of it. */
function reconnect(
  from: Position,
  lastEventId: string | undefined,
  head: UseOptions["head"],
): Position | null {
  const position = lastEventId ? ownPart(lastEventId, [from.epoch, head.epoch]) : null;
  if (!position) return null;
  const isAhead = position.epoch === head.epoch && position.sequence > head.sequence;
  if (isAhead) return null;
  if (position.epoch === from.epoch) return position.sequence >= from.sequence ? from : null;
  // Its client has read the log that replaced the session's, and is at home there.
  return position.epoch === head.epoch ? position : null;
}

/**
 * Returns the only part of an event ID that has one of a pipeline's epochs; `null` if none
 * has, or several. The service sends no ID with more parts than a stream has pipelines, nor
 * with two of the same pipeline: both are guesses.
 */
function ownPart(lastEventId: string, epochs: readonly string[]): Position | null {
  const parts = splitEventIds(lastEventId);
  if (parts.length > MAX_PIPELINES) return null;
  const own = parts.map(parseJoinedId).filter((part) =>
    part !== null && epochs.includes(part.position.epoch)
  );
  return own.length === 1 ? own[0]!.position : null;
}

/**
 * Returns the ticket once the stream has begun: its session starts there.
 *
 * @param start Position after which the stream began.
 * @returns The same object if nothing has changed.
 */
export function beginSession(ticket: SpentTicket, start: Position): SpentTicket {
  const { session } = ticket;
  const { from, bound = true } = session;
  // In a log that has replaced the session's, its client proves itself by a reconnect.
  if (start.epoch !== from.epoch) return ticket;
  // A repeat of the first use may begin earlier than the stream before it.
  if (bound && start.sequence >= from.sequence) return ticket;
  return { ...ticket, session: { ...session, from: start, bound: true } };
}
