/**
 * Authentication and authorization of publishers and subscribers.
 *
 * @module
 */

import { RunnelError, type Runtime } from "../base/mod.ts";
import type { AccessConfig } from "../config/mod.ts";
import { FULL_ACCESS, type Grant, grantedChannels, matchesPipeline } from "./grant.ts";
import { rejectForeignPages } from "./local_only.ts";
import type { OpenSession, Tickets } from "./tickets.ts";
import { type Bearer, TokenVerifier } from "./token_verifier.ts";

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
  /** Clock by which tokens expire. */
  runtime: Pick<Runtime, "clock">;
  /** Tickets that open streams. */
  tickets: Tickets;
}

/** Pipeline and channels that a subscriber requests. */
export interface RequestedScope {
  /** Pipeline ID. */
  pipeline: string;
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

/** Authenticates and authorizes requests. */
export class Access {
  readonly #options: AccessOptions;
  readonly #verifier: TokenVerifier;

  constructor(options: AccessOptions) {
    this.#options = options;
    this.#verifier = new TokenVerifier(options.config, options.runtime);
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
   * @returns The scope, and the session of the ticket if one was redeemed.
   * @throws {RunnelError} `unauthorized`, `forbidden`, `keys-unavailable`,
   *   `log-unavailable`.
   */
  async authorizeStream(
    request: Request,
    { ticket, ...requested }: RequestedStream,
  ): Promise<GrantedScope & { session: OpenSession | null }> {
    const { config, tickets } = this.#options;
    const { headers } = request;
    if (!ticket || config.subscribe === "public" || readAuthorization(headers)) {
      return { ...await this.authorizeRead(request, requested), session: null };
    }
    const lastEventId = headers.get("Last-Event-ID") ?? undefined;
    const session = await tickets.redeem(ticket, { ...requested, lastEventId });
    return { channels: session.channels, endsAt: session.endsAt, session };
  }

  /**
   * Authorizes a client to get a ticket for a pipeline: one that may subscribe to
   * it, or one with a publish token of the operator.
   *
   * @throws {RunnelError} `forbidden`.
   */
  authorizeTicket(bearer: Bearer | null, requested: RequestedScope): GrantedScope {
    const { grant, tickets } = bearer ?? { grant: FULL_ACCESS, tickets: FULL_ACCESS.subscribe };
    return authorizeSubscribe(requested, { ...grant, pipelines: tickets });
  }

  async #verify(token: string | undefined): Promise<Bearer> {
    if (token === undefined) {
      throw new RunnelError(
        "unauthorized",
        "Cannot authenticate: the request has no token. " +
          "Send one in the header Authorization: Bearer …",
      );
    }
    const bearer = token.length <= MAX_TOKEN_LENGTH ? await this.#verifier.verify(token) : null;
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
