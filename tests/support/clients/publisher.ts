/**
 * A publisher that waits for its responses.
 *
 * @module
 */

/** Response of a program to one publish. */
export interface PublishResult {
  status: number;
  retryAfter: string | null;
  replayed: boolean;
  /** ID of the event, if it was accepted. */
  id: string;
  /** Detail of the problem, if it was rejected. */
  detail: string;
}

/** Publishes one event to a channel of the first pipeline. */
export function publishPayload(
  program: { url: string },
  payload: unknown,
  headers: Record<string, string> = {},
): Promise<PublishResult> {
  return publishEvent(program, { pipeline: "p_a", channel: "events", payload }, headers);
}

/** Publishes one event. */
export async function publishEvent(
  { url }: { url: string },
  event: { pipeline: string; channel: string; payload: unknown },
  headers: Record<string, string> = {},
): Promise<PublishResult> {
  const response = await fetch(`${url}/ingest`, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify(event),
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

/** Publishes one event after another until it is stopped, and records the responses. */
export class Publisher {
  /** Accepted payloads, by the IDs of their events. */
  readonly accepted = new Map<string, string>();
  readonly refused: string[] = [];
  /** Responses to rejected events, with their durations. */
  readonly refusals: (PublishResult & { ms: number })[] = [];
  readonly #ended: Promise<void>;
  #stopped = false;

  /** @param retries Whether it repeats a rejected publish, with its key. */
  constructor(program: { url: string }, name: string, retries: boolean) {
    this.#ended = this.#run(program, name, retries);
    // If the test fails first, the program has ended.
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

  /** Stops publishing, and waits for the last response. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#ended;
  }
}
