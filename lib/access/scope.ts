/**
 * The scopes that subscribers request and are granted.
 *
 * @module
 */

import type { OpenSession } from "./sessions.ts";

/** Pipelines and channels that a subscriber requests. */
export interface RequestedScope {
  /** Pipeline IDs, at least one and none twice. All of them are granted, or none. */
  pipelines: readonly string[];
  /** Channels; if empty, all that are granted. */
  channels: readonly string[];
}

/** Scope that the URL of an event stream requests, with its other access parameters. */
export interface RequestedStream extends RequestedScope {
  /** Ticket in the URL. */
  ticket: string | undefined;
  /** Last event ID in the URL. */
  lastEventIdInUrl: string | undefined;
}

/** Channels that a subscriber is granted, and for how long. */
export interface GrantedScope {
  /** Channels; if empty, all. */
  channels: readonly string[];
  /** End of the grant, in milliseconds since the Unix epoch; `Infinity` for never. */
  endsAt: number;
}

/** An event stream that is granted. */
export interface GrantedStream extends GrantedScope {
  /** Position to resume from, unchecked: that of the header, or else of the URL or the ticket. */
  lastEventId: string | undefined;
  /** Sessions of the ticket, in the order of the pipelines; empty without a ticket. */
  sessions: readonly OpenSession[];
}
