/**
 * Authenticates and authorizes publishers and subscribers.
 *
 * @module
 */

export { Access } from "./access.ts";
export { clientAddress } from "./client_address.ts";
export { RateLimiter } from "./rate_limiter.ts";
export {
  KvTicketStore,
  type Session,
  type Ticket,
  type TicketEntry,
  type TicketStore,
} from "./ticket_store.ts";
export { type OpenSession, Tickets, type TicketScope, type TicketUse } from "./tickets.ts";
export type { Bearer } from "./token_verifier.ts";
