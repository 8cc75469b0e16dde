/**
 * A client that misuses a service: the parts that all misuses share.
 *
 * @module
 */

import { ok } from "node:assert/strict";
import type { SeededRandom } from "../generators/random.ts";
import { connectLocally } from "../servers/local_server.ts";

/** Maximum time that the service may take for an answer, in milliseconds. */
const ANSWER_MS = 10_000;

/** Statuses of a service that has enough to do; nothing was done then. */
export const BUSY: readonly number[] = [429, 503];

/** Options for the misuses of a service. */
export interface MisuseOptions {
  /** Address of the service. */
  url: string;
  /** Headers with valid credentials. */
  credentials: Record<string, string>;
  /** Whether the service has a secret, and asks subscribers for a token. */
  isSecured: boolean;
  /** Source of all choices. */
  random: SeededRandom;
  /** Part of the names of its pipelines, which nobody else uses. */
  name: string;
  /** Certificates of the service, if it serves HTTPS. */
  caCerts?: string[] | undefined;
}

/** Client of one service. */
export class MisuseClient {
  readonly options: MisuseOptions;

  constructor(options: MisuseOptions) {
    this.options = options;
  }

  /** The random choices. */
  get random(): SeededRandom {
    return this.options.random;
  }

  /** Port of the service. */
  get port(): number {
    return Number(new URL(this.options.url).port);
  }

  /** The header lines with credentials, for a request that is written by hand. */
  get credentialLines(): string {
    const { credentials } = this.options;
    return Object.entries(credentials).map(([name, value]) => `${name}: ${value}\r\n`).join("");
  }

  /**
   * Sends a request, with credentials unless its headers say otherwise.
   *
   * @param statuses Statuses of which one has to come.
   * @param init The request, and the time that the service may take. @default {10000}
   */
  async ask(
    path: string,
    statuses: readonly number[],
    { answerMs = ANSWER_MS, ...init }: RequestInit & {
      headers?: Record<string, string>;
      answerMs?: number;
    } = {},
  ): Promise<Response> {
    const { url, credentials } = this.options;
    const headers = { ...credentials, ...init.headers };
    const timeout = new AbortController();
    const timer = setTimeout(() => timeout.abort(new Error(`No answer for ${path}`)), answerMs);
    try {
      const signal = AbortSignal.any([timeout.signal, ...init.signal ? [init.signal] : []]);
      const response = await fetch(`${url}${path}`, { ...init, headers, signal });
      ok(
        statuses.includes(response.status),
        `${init.method ?? "GET"} ${path.slice(0, 200)} is answered ${response.status}, ` +
          `expected ${statuses.join(" or ")}`,
      );
      return response;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Sends a request whose answer is not read any further. Returns its status. */
  async status(...request: Parameters<MisuseClient["ask"]>): Promise<number> {
    const response = await this.ask(...request);
    await response.body?.cancel();
    return response.status;
  }

  /** Publishes a text as an event, and returns its ID; `null` if the service is busy. */
  async publish(pipeline: string, text: string): Promise<string | null> {
    const response = await this.ask(`/ingest/${pipeline}/events`, [202, ...BUSY], {
      method: "POST",
      body: text,
    });
    const answer = await response.json();
    return response.status === 202 ? answer.events[0].id : null;
  }

  /** Writes bytes of a request over a connection of its own, and leaves it for a while. */
  async leave(text: string): Promise<void> {
    const connection = await connectLocally(this.port, this.options.caCerts);
    try {
      const bytes = new TextEncoder().encode(text);
      for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
      await this.pause(2000);
    } catch (error) {
      if (!isClosed(error)) throw error;
    } finally {
      connection.close();
    }
  }

  /** Waits for a random time. */
  async pause(maxMs: number): Promise<void> {
    const ms = this.random.integer(0, maxMs);
    await new Promise((resolve) => setTimeout(resolve, ms));
  }
}

/** Whether the service has closed a connection, as it does with what takes too long. */
export function isClosed(error: unknown): boolean {
  return error instanceof Deno.errors.BrokenPipe || error instanceof Deno.errors.ConnectionReset;
}
