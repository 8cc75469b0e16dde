/**
 * Authorization of publishers and subscribers.
 *
 * @module
 */

import { RunnelError } from "../base/mod.ts";
import type { AccessConfig } from "../config/mod.ts";
import {
  Authenticator,
  type AuthenticatorOptions,
  type Client,
  readAuthorization,
  readCookie,
} from "./authenticator.ts";
import type { Bearer } from "./bearer.ts";
import { isPublishToken, NO_CREDENTIAL } from "./credential.ts";
import { FULL_ACCESS, type Grant, grantedChannels, matchesPipeline } from "./grant.ts";
import { isOwnRequest, rejectForeignPages } from "./local_only.ts";
import type { GrantedScope, GrantedStream, RequestedScope, RequestedStream } from "./scope.ts";
import type { Tickets } from "./tickets.ts";

/** Options for {@linkcode Access}. */
export interface AccessOptions extends AuthenticatorOptions {
  /** Settings of access. */
  config: AccessConfig;
  /** Origins whose pages may use the service. */
  allowOrigins: "*" | readonly string[];
  /** Tickets that open streams. */
  tickets: Tickets;
}

/** Authorizes requests, whose clients it authenticates first. */
export class Access {
  readonly #options: AccessOptions;
  readonly #authenticator: Authenticator;

  constructor(options: AccessOptions) {
    this.#options = options;
    this.#authenticator = new Authenticator(options);
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
   * @throws {RunnelError} `unauthorized`, `too-many-requests`, `keys-unavailable`.
   */
  async authenticate(client: Client): Promise<Bearer | null> {
    if (this.#options.config.allowsAnonymous) return null;
    return await this.#authenticator.verify(readAuthorization(client.headers), client);
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
   * Authorizes a subscriber to read events of all requested pipelines, by a token in
   * its headers, which is verified once.
   *
   * @throws {RunnelError} `unauthorized`, `forbidden`, `too-many-requests`,
   *   `keys-unavailable`.
   */
  async authorizeRead(client: Client, requested: RequestedScope): Promise<GrantedScope> {
    if (this.#options.config.subscribe === "public") {
      return { channels: requested.channels, endsAt: Infinity };
    }
    const { headers } = client;
    const token = readAuthorization(headers) ?? readCookie(headers);
    const { grant, credential } = await this.#authenticator.verify(token, client);
    if (isPublishToken(credential) && grant.subscribe.length === 0) {
      throw new RunnelError(
        "forbidden",
        "Cannot subscribe: a publish token does not grant that. Request a ticket with it",
      );
    }
    return authorizeSubscribe(requested, { ...grant, pipelines: grant.subscribe });
  }

  /** Whether a subscriber is authorized by its cookie, so that the answer is for that one alone. */
  isByCookie(headers: Headers): boolean {
    return this.#options.config.subscribe === "token" &&
      readAuthorization(headers) === undefined && readCookie(headers) !== undefined;
  }

  /**
   * Authorizes a subscriber to open an event stream: by a token in its headers, or
   * else by the ticket in its URL, which this redeems.
   *
   * @returns The scope, the position to resume from, unchecked, and the sessions of
   *   the ticket, one for each pipeline, if one was redeemed.
   * @throws {RunnelError} `unauthorized`, `forbidden`, `too-many-requests`,
   *   `keys-unavailable`, `log-unavailable`; `malformed-request` for a ticket beside a position in the URL.
   */
  async authorizeStream(
    client: Client,
    { ticket, lastEventIdInUrl, ...requested }: RequestedStream,
  ): Promise<GrantedStream> {
    const { config, tickets } = this.#options;
    const { headers } = client;
    const inHeader = headers.get("Last-Event-ID") || undefined;
    if (!ticket || config.subscribe === "public" || readAuthorization(headers)) {
      const lastEventId = inHeader ?? lastEventIdInUrl;
      return { ...await this.authorizeRead(client, requested), lastEventId, sessions: [] };
    }
    // An ID is what opens the stream again. Whoever finds the URL must not find one in it.
    if (lastEventIdInUrl !== undefined) throw positionBesideTicket();
    return await tickets.redeem(ticket, { ...requested, lastEventId: inHeader });
  }

  /**
   * Authorizes a client to get a ticket for pipelines: one that may subscribe to all
   * of them, or one with a publish token of the operator.
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

  /**
   * Authorizes a client to read the metrics: with the token for them or, if the
   * settings have none, on this machine.
   *
   * @param isOwn Whether the request comes from this machine and was not forwarded.
   * @throws {RunnelError} `unauthorized`, `too-many-requests`, `forbidden`.
   */
  authorizeMetrics(request: Request, { address }: Pick<Client, "address">, isOwn: boolean): void {
    const { metricsToken } = this.#options.config;
    if (metricsToken !== null) {
      const { headers } = request;
      return this.#authenticator.verifyMetricsToken(metricsToken, { headers, address });
    }
    if (isOwn && isOwnRequest(request)) return;
    throw new RunnelError(
      "forbidden",
      "Cannot read the metrics: only this machine may, and not through a proxy. " +
        "Set RUNNEL_METRICS_TOKEN to read them from elsewhere",
    );
  }
}

function authorizeSubscribe(
  { pipelines, channels }: RequestedScope,
  grant: Pick<Grant, "channels" | "endsAt"> & { pipelines: readonly string[] },
): GrantedScope {
  const refused = pipelines.find((pipeline) => !matchesPipeline(grant.pipelines, pipeline));
  if (refused !== undefined) throw forbidden("subscribe", `to "${refused}"`);
  const granted = grantedChannels(grant, channels);
  if (!granted) throw forbidden("subscribe", "to all of these channels");
  return { channels: granted, endsAt: grant.endsAt };
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
