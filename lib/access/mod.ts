/**
 * Decides who may publish and who may subscribe.
 *
 * @module
 */

export { Access } from "./access.ts";
export { clientAddress } from "./client_address.ts";
export { PublishRate } from "./rate_limiter.ts";
export { type OpenSession, Tickets, type TicketScope, type TicketUse } from "./tickets.ts";
export type { Bearer } from "./token_verifier.ts";
