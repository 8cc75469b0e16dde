/* @ts-self-types="../../client/shared_fetch.ts" */
// @ts-nocheck: built from lib/client/shared_fetch.ts by "deno task build".

import { SharedBody } from "./shared_body.js";
import { SharedMembership } from "./shared_membership.js";
import { takeTurn } from "./shared_turns.js";

const SETTLE_MS = 500;

const STREAM_HEADERS = { "Content-Type": "text/event-stream" };

const COOKIE = "Its cookie may be of another user than those of other tabs; `share` names the user";

const HIDDEN = "The page is hidden";

export class SharedFetch {
  #options;
  #membership;
  #isHidden = false;
  #hasEnds = false;

  constructor(options) {
    this.#options = options;
    this.#membership = new SharedMembership(options);
  }

  async fetch(url, init) {
    const { platform, clock } = this.#options;
    const { links } = this.#membership;
    // Each answer to a poll is whole by itself.
    if (!links.canShare || url.searchParams.has("wait")) return await platform.fetch(url, init);
    // The client tries at once when the visibility changes, also in a page that is being left.
    if (this.#isHidden) throw new Error(HIDDEN);
    const headers = new Headers(init.headers);
    this.#membership.token = headers.get("Authorization")?.replace(/^Bearer /, "");
    const lastEventId = headers.get("Last-Event-ID") ?? "";
    links.open();
    const body = await this.#resume(lastEventId);
    if (body) return new Response(body.stream, { headers: STREAM_HEADERS });
    const endTurn = await takeTurn(platform.locks, clock, platform.random);
    try {
      const response = await platform.fetch(url, init);
      if (response.status !== 200 || !response.body) {
        endTurn();
        return response;
      }
      if (this.#isByCookie(response)) this.#stayApart(COOKIE);
      const { stream } = this.#createBody(lastEventId, response.body, endTurn);
      return new Response(stream, { headers: response.headers });
    } catch (error) {
      endTurn();
      throw error;
    }
  }

  retryNow() {
    this.#membership.links.post({ type: "retry" });
  }

  close() {
    this.#membership.links.stop();
    this.#membership.close();
  }

  setHidden(isHidden) {
    this.#isHidden = isHidden;
    if (!isHidden || !this.#membership.links.canShare) return;
    // A page with a lock or a port is not kept in memory for the user to come back to.
    this.#membership.close();
    this.#membership.body?.cut(HIDDEN);
  }

  #isByCookie({ headers }) {
    return this.#options.share === undefined && /\bcookie\b/i.test(headers.get("Vary") ?? "");
  }

  #stayApart(reason) {
    this.close();
    this.#options.onApart(reason);
  }

  #resume(lastEventId) {
    // The service itself tells which runs have ended.
    if (!lastEventId || !this.#membership.links.isUp || this.#hasEnds) return Promise.resolve(null);
    const body = this.#createBody(lastEventId, null, () => {});
    if (body.positions.size === 0) return Promise.resolve(null);
    return new Promise((resolve, reject) => {
      this.#membership.ask(body, (message) => {
        if (message?.type === "feed" && body.begin(message.feed, message.positions)) {
          this.#options.onShared(true);
          return resolve(body);
        }
        body.cut("Not shared");
        if (message?.type === "down") reject(new Error(message.reason));
        else resolve(null);
      });
    });
  }

  #createBody(
    lastEventId,
    own,
    endTurn,
  ) {
    const { pipelines, clock, onShared, onHurry } = this.#options;
    const membership = this.#membership;
    const body = new SharedBody({
      pipelines,
      lastEventId,
      own,
      onLive: () => {
        // The page may have been left meanwhile.
        membership.links.open();
        membership.announce();
        clock.after(SETTLE_MS, endTurn);
      },
      onFed: () => {
        endTurn();
        onShared(true);
      },
      onTaken: (length) => membership.acknowledge(length),
      onHurry,
      onClosed: () => {
        endTurn();
        this.#hasEnds ||= body.openPipelines.length < pipelines.length;
        if (membership.body !== body) return;
        membership.body = null;
        onShared(false);
        membership.leave();
      },
    });
    return membership.body = body;
  }
}
