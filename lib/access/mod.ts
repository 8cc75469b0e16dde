/**
 * Authenticates and authorizes publishers and subscribers.
 *
 * @module
 */

export { Access } from "./access.ts";
export type { Client } from "./authenticator.ts";
export type { Bearer } from "./bearer.ts";
export { ClientAddresses } from "./client_address.ts";
export { isPublishToken } from "./credential.ts";
export { RateLimiter } from "./rate_limiter.ts";
export type { GrantedScope, GrantedStream, RequestedScope } from "./scope.ts";
export { deleteTickets, KvTicketStore, ticketRecordTimeLeft } from "./kv_ticket_store.ts";
export type {
  Session,
  Ticket,
  TicketEntry,
  TicketKey,
  TicketStore,
  TicketWrite,
} from "./ticket_store.ts";
export type { Credentials, LocalSession, OpenSession } from "./sessions.ts";
export { Tickets, type TicketScope, type TicketUse } from "./tickets.ts";
export { TicketQuota } from "./ticket_quota.ts";
export { type CanaryIdentity, TokenVerifier } from "./token_verifier.ts";
