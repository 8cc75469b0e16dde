/**
 * A publisher that waits for its answers.
 *
 * @module
 */

/** What a program answered to one publish. */
export interface PublishResult {
  status: number;
  retryAfter: string | null;
  replayed: boolean;
  /** The ID of the event, if it was accepted. */
  id: string;
  /** What a refusal says. */
  detail: string;
}

/** Publishes one event. */
export async function publishPayload(
  { url }: { url: string },
  payload: unknown,
  headers: Record<string, string> = {},
): Promise<PublishResult> {
  const response = await fetch(`${url}/ingest`, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify({ pipeline: "p_a", channel: "events", payload }),
  });
  const { events, detail } = await response.json();
  return {
    status: response.status,
    retryAfter: response.headers.get("Retry-After"),
    replayed: response.headers.has("Idempotency-Replayed"),
    id: events?.[0].id ?? "",
    detail: detail ?? "",
  };
}

/** Publishes one event after the other until it is stopped, and notes the answers. */
export class Publisher {
  /** The payloads that were accepted, by their events' IDs. */
  readonly accepted = new Map<string, string>();
  readonly refused: string[] = [];
  /** The answers to what was refused, and how long they took. */
  readonly refusals: (PublishResult & { ms: number })[] = [];
  readonly #ended: Promise<void>;
  #stopped = false;

  /** @param retries Whether it sends what was refused again, with its key. */
  constructor(program: { url: string }, name: string, retries: boolean) {
    this.#ended = this.#run(program, name, retries);
    // Where the test fails first, the program is gone.
    this.#ended.catch(() => {});
  }

  async #run(program: { url: string }, name: string, retries: boolean): Promise<void> {
    for (let number = 1; !this.#stopped;) {
      const payload = `${name}:${number}`;
      const since = performance.now();
      const headers: Record<string, string> = retries ? { "Idempotency-Key": payload } : {};
      const answer = await publishPayload(program, payload, headers);
      if (answer.status === 202) this.accepted.set(answer.id, payload);
      else {
        this.refused.push(payload);
        this.refusals.push({ ...answer, ms: performance.now() - since });
        if (retries) continue;
      }
      number++;
    }
  }

  /** Waits for its last answer, after which it publishes no more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#ended;
  }
}
