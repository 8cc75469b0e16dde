/**
 * Who may publish and who may listen.
 *
 * @module
 */

import { RunnelError, type Runtime } from "../base/mod.ts";
import type { AccessConfig } from "../config/mod.ts";
import { covers, EVERYTHING, type Grant, grantedChannels } from "./grant.ts";
import { guardOpenService } from "./local_only.ts";
import type { OpenSession, Tickets } from "./tickets.ts";
import { type Bearer, TokenVerifier } from "./token_verifier.ts";

/** The cookie that a subscriber's token may be in. */
const COOKIE = /(?:^|;\s*)runnel_token=([^;\s]+)/;

/** What {@linkcode Access} works with. */
export interface AccessOptions {
  /** The settings. */
  config: AccessConfig;
  /** The origins whose pages may use the service. */
  allowOrigins: "*" | readonly string[];
  /** Clock that tokens expire by. */
  runtime: Pick<Runtime, "clock">;
  /** The tickets. */
  tickets: Tickets;
}

/** What a subscriber is let in with. */
export interface Admission {
  /** The channels that it gets, all if there are none. */
  channels: readonly string[];
  /** When that ends, in milliseconds since the Unix epoch. */
  endsAt: number;
  /** The session of its ticket, if it came with one. */
  session: OpenSession | null;
}

/** What a subscriber asks for. */
export interface Wish {
  /** The pipeline. */
  pipeline: string;
  /** The channels, all that it may have if there are none. */
  channels: readonly string[];
}

/** What a stream's URL says beside the wish. */
export interface UrlParts {
  /** The ticket. */
  ticket: string | undefined;
  /** The last event ID. */
  lastEventId: string | undefined;
}

/** Decides who may do what. */
export class Access {
  readonly #options: AccessOptions;
  readonly #verifier: TokenVerifier;

  /**
   * Makes what decides.
   *
   * @param options What it works with.
   */
  constructor(options: AccessOptions) {
    this.#options = options;
    this.#verifier = new TokenVerifier(options.config, options.runtime);
  }

  /**
   * Refuses what no request may do to a service without secrets.
   *
   * @param request The request.
   * @throws {RunnelError} `forbidden`.
   */
  guard(request: Request): void {
    const { config, allowOrigins } = this.#options;
    if (config.isOpen) guardOpenService(request, allowOrigins);
  }

  /**
   * Who sent a request, before its body is read.
   *
   * @param request The request.
   * @returns Who it is; `null` for anybody, where no secret is set.
   * @throws {RunnelError} `unauthorized`, `keys-unavailable`.
   */
  async bearer({ headers }: Request): Promise<Bearer | null> {
    return this.#options.config.isOpen ? null : await this.#bearer(readAuthorization(headers));
  }

  /**
   * Refuses a publisher what it may not do.
   *
   * @param publisher Who it is.
   * @param pipeline Where to.
   * @param events Its events; `null` for what concerns those of all channels.
   * @throws {RunnelError} `forbidden`.
   */
  checkPublish(
    publisher: Bearer | null,
    pipeline: string,
    events: readonly { channel: string }[] | null,
  ): void {
    const { publish, channels } = publisher?.grant ?? EVERYTHING;
    if (!covers(publish, pipeline)) throw beyond("publish", `to ${pipeline}`);
    if (channels === null) return;
    if (events === null) throw beyond("publish", "to all channels");
    if (events.every(({ channel }) => channels.includes(channel))) return;
    throw beyond("publish", "to all of these channels");
  }

  /**
   * Lets a subscriber in, by a token in its headers.
   *
   * @param request Its request.
   * @param wish What it asks for.
   * @throws {RunnelError} `unauthorized`, `forbidden`, `keys-unavailable`.
   */
  async admit({ headers }: Request, wish: Wish): Promise<Admission> {
    if (this.#options.config.subscribe === "public") {
      return { channels: wish.channels, endsAt: Infinity, session: null };
    }
    const token = readAuthorization(headers) ?? COOKIE.exec(headers.get("Cookie") ?? "")?.[1];
    const { grant } = await this.#bearer(token);
    return { ...this.#scope(grant, grant.subscribe, wish), session: null };
  }

  /**
   * Lets a subscriber in to a stream, by a ticket in its URL if it brings no token.
   *
   * @param request Its request.
   * @param wish What it asks for.
   * @param url The ticket and the last event ID in its URL, where there are any.
   * @throws {RunnelError} `unauthorized`, `forbidden`, `keys-unavailable`,
   *   `log-unavailable`.
   */
  async admitToStream(
    request: Request,
    wish: Wish,
    { ticket, lastEventId: lastEventIdInUrl }: UrlParts,
  ): Promise<Admission> {
    const { config, tickets } = this.#options;
    const { headers } = request;
    const isPublic = config.subscribe === "public";
    if (!ticket || isPublic || readAuthorization(headers)) return await this.admit(request, wish);
    const lastEventId = headers.get("Last-Event-ID") ?? undefined;
    const session = await tickets.open(ticket, { ...wish, lastEventId, lastEventIdInUrl });
    return { channels: session.channels, endsAt: session.endsAt, session };
  }

  /**
   * What a ticket may be for.
   *
   * @param bearer Who asks for it: a publisher of the pipeline, or a subscriber.
   * @param wish What it is to be for.
   * @throws {RunnelError} `forbidden`.
   */
  ticketScope(bearer: Bearer | null, wish: Wish): Omit<Admission, "session"> {
    const grant = bearer?.grant ?? EVERYTHING;
    return this.#scope(grant, [...grant.publish, ...grant.subscribe], wish);
  }

  #scope(grant: Grant, pipelines: readonly string[], { pipeline, channels }: Wish) {
    if (!covers(pipelines, pipeline)) throw beyond("listen", `to ${pipeline}`);
    const granted = grantedChannels(grant, channels);
    if (!granted) throw beyond("listen", "to all of these channels");
    return { channels: granted, endsAt: grant.endsAt };
  }

  async #bearer(token: string | undefined): Promise<Bearer> {
    const bearer = token === undefined ? null : await this.#verifier.verify(token);
    if (bearer) return bearer;
    throw new RunnelError(
      "unauthorized",
      token === undefined
        ? "Cannot do that without a token. Send one: Authorization: Bearer …"
        : "Cannot do that with this token: it is none of this service, or has expired",
    );
  }
}

function readAuthorization(headers: Headers): string | undefined {
  return /^Bearer +(\S+)$/i.exec(headers.get("Authorization") ?? "")?.[1];
}

function beyond(what: "publish" | "listen", where: string): RunnelError {
  return new RunnelError("forbidden", `Cannot ${what} ${where}: the token does not cover that`);
}
