/**
 * Authentication and authorization of publishers and subscribers.
 *
 * @module
 */

import { RunnelError } from "../base/mod.ts";
import type { AccessConfig } from "../config/mod.ts";
import { FULL_ACCESS, type Grant, grantedChannels, matchesPipeline } from "./grant.ts";
import { rejectForeignPages } from "./local_only.ts";
import type { GrantedScope, GrantedStream, RequestedScope, RequestedStream } from "./scope.ts";
import type { Tickets } from "./tickets.ts";
import { type Bearer, NO_CREDENTIAL, type TokenVerifier } from "./token_verifier.ts";

/**
 * Maximum length of a token, in characters: a longer one is invalid without being
 * parsed, which takes a stranger's JSON 15 to 48 ms of everybody's time at 44 KB.
 */
const MAX_TOKEN_LENGTH = 8192;

/** Matches the cookie that may contain a subscriber's token. */
const COOKIE = /(?:^|;\s*)runnel_token=([^;\s]+)/;

/** Options for {@linkcode Access}. */
export interface AccessOptions {
  /** Settings of access. */
  config: AccessConfig;
  /** Origins whose pages may use the service. */
  allowOrigins: "*" | readonly string[];
  /** Verifies tokens. */
  verifier: TokenVerifier;
  /** Tickets that open streams. */
  tickets: Tickets;
}

/** Authenticates and authorizes requests. */
export class Access {
  readonly #options: AccessOptions;

  constructor(options: AccessOptions) {
    this.#options = options;
  }

  /**
   * Rejects requests of foreign web pages to a service without secrets.
   *
   * @throws {RunnelError} `forbidden`.
   */
  guard(request: Request): void {
    const { config, allowOrigins } = this.#options;
    if (config.allowsAnonymous) rejectForeignPages(request, allowOrigins);
  }

  /**
   * Authenticates a client by the token in its headers. Does not read the body.
   *
   * @returns The bearer of the token; `null` if the service has no secrets.
   * @throws {RunnelError} `unauthorized`, `keys-unavailable`.
   */
  async authenticate({ headers }: Request): Promise<Bearer | null> {
    if (this.#options.config.allowsAnonymous) return null;
    return await this.#verify(readAuthorization(headers));
  }

  /**
   * Rejects a client that may publish to no pipeline at all.
   *
   * @throws {RunnelError} `forbidden`.
   */
  assertPublisher(bearer: Bearer | null): void {
    if (bearer?.grant.publish.length === 0) throw forbidden("publish", "to any pipeline");
  }

  /**
   * Authorizes a publisher to publish events, or to change a pipeline as a whole.
   *
   * @param request Pipeline ID, and the events; `null` for an action that concerns
   *   all channels.
   * @throws {RunnelError} `forbidden`.
   */
  authorizePublish(
    publisher: Bearer | null,
    { pipeline, events }: {
      pipeline: string;
      events: readonly { channel: string }[] | null;
    },
  ): void {
    const { publish, channels } = publisher?.grant ?? FULL_ACCESS;
    if (!matchesPipeline(publish, pipeline)) throw forbidden("publish", `to "${pipeline}"`);
    if (channels === null) return;
    if (events === null) throw forbidden("publish", "to all channels");
    if (events.every(({ channel }) => channels.includes(channel))) return;
    throw forbidden("publish", "to all of these channels");
  }

  /**
   * Authorizes a subscriber to read events, by a token in its headers.
   *
   * @throws {RunnelError} `unauthorized`, `forbidden`, `keys-unavailable`.
   */
  async authorizeRead({ headers }: Request, requested: RequestedScope): Promise<GrantedScope> {
    if (this.#options.config.subscribe === "public") {
      return { channels: requested.channels, endsAt: Infinity };
    }
    const token = readAuthorization(headers) ?? COOKIE.exec(headers.get("Cookie") ?? "")?.[1];
    const { grant } = await this.#verify(token);
    return authorizeSubscribe(requested, { ...grant, pipelines: grant.subscribe });
  }

  /**
   * Authorizes a subscriber to open an event stream: by a token in its headers, or
   * else by the ticket in its URL, which this redeems.
   *
   * @returns The scope, the position to resume from, unchecked, and the session of
   *   the ticket if one was redeemed.
   * @throws {RunnelError} `unauthorized`, `forbidden`, `keys-unavailable`,
   *   `log-unavailable`; `malformed-request` for a ticket beside a position in the URL.
   */
  async authorizeStream(
    request: Request,
    { ticket, lastEventIdInUrl, ...requested }: RequestedStream,
  ): Promise<GrantedStream> {
    const { config, tickets } = this.#options;
    const { headers } = request;
    const inHeader = headers.get("Last-Event-ID") || undefined;
    if (!ticket || config.subscribe === "public" || readAuthorization(headers)) {
      const lastEventId = inHeader ?? lastEventIdInUrl;
      return { ...await this.authorizeRead(request, requested), lastEventId, session: null };
    }
    // An ID is what opens the stream again. Whoever finds the URL must not find one in it.
    if (lastEventIdInUrl !== undefined) throw positionBesideTicket();
    const session = await tickets.redeem(ticket, { ...requested, lastEventId: inHeader });
    const { channels, endsAt, lastEventId } = session;
    return { channels, endsAt, lastEventId, session };
  }

  /**
   * Authorizes a client to get a ticket for a pipeline: one that may subscribe to
   * it, or one with a publish token of the operator.
   *
   * @returns The scope of the ticket, and the credential that it ends with.
   * @throws {RunnelError} `forbidden`.
   */
  authorizeTicket(
    bearer: Bearer | null,
    requested: RequestedScope,
  ): GrantedScope & { credential: string } {
    const { grant, tickets, credential } = bearer ??
      { grant: FULL_ACCESS, tickets: FULL_ACCESS.subscribe, credential: NO_CREDENTIAL };
    return { ...authorizeSubscribe(requested, { ...grant, pipelines: tickets }), credential };
  }

  async #verify(token: string | undefined): Promise<Bearer> {
    if (token === undefined) {
      throw new RunnelError(
        "unauthorized",
        "Cannot authenticate: the request has no token. " +
          "Send one in the header Authorization: Bearer …",
      );
    }
    const bearer = token.length <= MAX_TOKEN_LENGTH
      ? await this.#options.verifier.verify(token)
      : null;
    if (bearer) return bearer;
    throw new RunnelError(
      "unauthorized",
      "Cannot authenticate: the token is invalid or expired. Send another one",
    );
  }
}

function authorizeSubscribe(
  { pipeline, channels }: RequestedScope,
  grant: Pick<Grant, "channels" | "endsAt"> & { pipelines: readonly string[] },
): GrantedScope {
  if (!matchesPipeline(grant.pipelines, pipeline)) throw forbidden("subscribe", `to "${pipeline}"`);
  const granted = grantedChannels(grant, channels);
  if (!granted) throw forbidden("subscribe", "to all of these channels");
  return { channels: granted, endsAt: grant.endsAt };
}

function readAuthorization(headers: Headers): string | undefined {
  return /^Bearer +(\S+)$/i.exec(headers.get("Authorization") ?? "")?.[1];
}

function forbidden(action: "publish" | "subscribe", where: string): RunnelError {
  return new RunnelError(
    "forbidden",
    `Cannot ${action} ${where}: the token does not grant that. Use a token that does`,
  );
}

function positionBesideTicket(): RunnelError {
  return new RunnelError(
    "malformed-request",
    "Cannot read lastEventId: a URL with a ticket must not contain a position, with which anyone " +
      "who finds the URL could open the stream. " +
      'Request the ticket with {"lastEventId": …} in its body',
  );
}
