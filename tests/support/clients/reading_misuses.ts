/**
 * Misuses of streams, histories, tickets and deletions.
 *
 * @module
 */

import { ok } from "node:assert/strict";
import { BUSY, MisuseClient, type MisuseOptions } from "./misuse.ts";
import { StreamReader } from "./stream_reader.ts";

/** Pipeline with a history of several megabytes, which is published first. */
export const FULL_PIPELINE = "p_misused_full";

/** Time within which an event must arrive, in milliseconds. */
const ARRIVAL_MS = 10_000;

/** Misuses of a client that reads. */
export class ReadingMisuses {
  readonly #client: MisuseClient;
  readonly #pipeline: string;
  #marks = 0;

  constructor(options: MisuseOptions) {
    this.#client = new MisuseClient(options);
    this.#pipeline = `p_misused_${options.name}`;
  }

  /** The misuses, by kind. */
  get kinds(): Record<string, () => Promise<void>> {
    return {
      "filters that match nothing": () => this.#filter(),
      "histories that nobody reads": () => this.#leaveHistory(),
      "streams of random pipelines": () => this.#readRandomPipeline(),
      "tickets": () => this.#misuseTicket(),
      "streams of several pipelines": () => this.#joinPipelines(),
      "tickets of several pipelines": () => this.#misuseTicketOfSeveral(),
      "deletions while others read": () => this.#deleteWhileReading(),
    };
  }

  async #filter(): Promise<void> {
    const { random } = this.#client;
    const letter = random.pick(["x", '"', "é", "\u4e00", "😀"]);
    const names = Array.from({ length: random.integer(1, 20) }, () => {
      return `${random.integer(0, 1e9)}${letter.repeat(random.integer(0, 50))}`;
    });
    const query = names.map((name) => `channel=${encodeURIComponent(name)}`).join("&");
    await this.#openAndLeave(`/pipelines/${FULL_PIPELINE}/sse?${query}`);
  }

  async #readRandomPipeline(): Promise<void> {
    const id = `p_${this.#client.random.integer(0, 1e9)}_${this.#client.random.integer(0, 1e9)}`;
    await this.#openAndLeave(`/pipelines/${id}/sse`);
  }

  /** Opens a stream, reads it until it is live, and leaves. */
  async #openAndLeave(path: string, headers: Record<string, string> = {}): Promise<void> {
    const leave = new AbortController();
    const init = { signal: leave.signal, headers };
    const response = await this.#client.ask(path, [200, ...BUSY], init);
    if (response.status === 200) await new StreamReader(response).until("runnel.live");
    leave.abort();
    await response.body?.cancel().catch(() => {});
  }

  async #leaveHistory(): Promise<void> {
    await this.#client.leave(
      `GET /pipelines/${FULL_PIPELINE}/events HTTP/1.1\r\nHost: localhost\r\n` +
        `${this.#client.credentialLines}\r\n`,
    );
  }

  async #misuseTicket(): Promise<void> {
    const { random } = this.#client;
    const client = this.#client;
    const path = `/pipelines/${this.#pipeline}`;
    const open = async (ticket: string, statuses: number[], of = path) => {
      // Without the credentials, which would be enough.
      const headers = { Authorization: "" };
      return await client.status(`${of}/sse?ticket=${ticket}`, [...statuses, ...BUSY], { headers });
    };
    const response = await client.ask(`${path}/tickets`, [201, ...BUSY], { method: "POST" });
    const { url = "" } = await response.json();
    const ticket = new URL(url || "http://localhost/").searchParams.get("ticket") ?? "";
    const isPublic = !client.options.isSecured;
    const refused = isPublic ? [200, 401, 403] : [401, 403];
    await open(`${random.integer(0, 1e9)}`, refused);
    if (ticket === "") return;
    await open(`${ticket}x`, refused);
    await open(ticket.slice(0, -1), refused);
    if (random.chance(0.5)) await open(ticket, refused, "/pipelines/p_another");
    if (random.chance(0.3)) {
      await client.status(`${path}/tickets`, [204, ...BUSY], { method: "DELETE" });
      return;
    }
    if (isPublic) return;
    const use = async () => {
      const headers = { Authorization: "" };
      const statuses = [200, ...refused, ...BUSY];
      const response = await client.ask(`${path}/sse?ticket=${ticket}`, statuses, { headers });
      if (response.status === 200) return new StreamReader(response);
      return void await response.body?.cancel();
    };
    await this.#assertOneStays(await Promise.all([use(), use()]));
  }

  /** Opens streams of pipelines that are many or the same, after IDs that are made up. */
  async #joinPipelines(): Promise<void> {
    const { random } = this.#client;
    const pipelines = Array.from({ length: random.integer(0, 12) }, () => {
      return random.pick([FULL_PIPELINE, this.#pipeline, `p_${random.integer(0, 1e9)}`, "p_a"]);
    });
    const query = pipelines.map((pipeline) => `pipeline=${pipeline}`).join("&");
    const isValid = pipelines.length > 0 && pipelines.length <= 10 &&
      new Set(pipelines).size === pipelines.length;
    const parts = Array.from({ length: random.integer(0, 300) }, () => {
      return random.pick(["", "1", "AAAAAAAAAAA-1", `AAAAAAAAAAA-${random.integer(0, 1e9)}`]);
    });
    const path = `/sse?${query}&history=${random.integer(0, 3)}${random.pick(["", "&wait=0"])}`;
    const headers = { "Last-Event-ID": parts.join(".") };
    if (isValid) return await this.#openAndLeave(path, headers);
    await this.#client.status(path, [400, ...BUSY], { headers });
  }

  /** Opens a ticket of three pipelines by other ones, by IDs of one, and twice at once. */
  async #misuseTicketOfSeveral(): Promise<void> {
    const client = this.#client;
    const { random } = client;
    const isPublic = !client.options.isSecured;
    const pipelines = [1, 2, 3].map((number) => `${this.#pipeline}_${number}`);
    const known = await client.publish(pipelines[0]!, "an event whose ID others know");
    const response = await client.ask("/tickets", [201, ...BUSY], {
      method: "POST",
      body: JSON.stringify({ pipelines }),
    });
    const { url = "" } = await response.json();
    if (url === "" || known === null) return;
    const open = async (path: string, statuses: number[], lastEventId = "") => {
      // Without the credentials, which would be enough.
      const headers = { Authorization: "", "Last-Event-ID": lastEventId };
      const answer = await client.ask(path, [...statuses, ...BUSY], { headers });
      if (answer.status === 200) return new StreamReader(answer);
      return void await answer.body?.cancel();
    };
    const { pathname, search } = new URL(url);
    const path = `${pathname}${search}`;
    const refuse = async (path: string, lastEventId = "") => {
      await (await open(path, isPublic ? [200] : [403], lastEventId))?.cancel();
    };
    await refuse(path.replace("pipeline=", "pipeline=p_another&pipeline="));
    await refuse(path.replace(`${this.#pipeline}_2`, "p_another"), known);
    if (isPublic) return;
    const streams = await Promise.all([open(path, [200, 403]), open(path, [200, 403])]);
    if (streams.some((stream) => stream !== undefined)) {
      await refuse(path, known);
      await refuse(path, Array(random.integer(2, 300)).fill(known).join("."));
    }
    await this.#assertOneStays(streams);
  }

  /** Asserts that of two streams of one ticket the second one has ended the first. */
  async #assertOneStays(streams: (StreamReader | undefined)[]): Promise<void> {
    const [one, other] = streams.filter((stream) => stream !== undefined);
    const since = performance.now();
    const end = () => Promise.all([one?.cancel(), other?.cancel()]);
    const timer = setTimeout(end, ARRIVAL_MS);
    if (one && other) await Promise.race([readToEnd(one), readToEnd(other)]);
    clearTimeout(timer);
    ok(performance.now() - since < ARRIVAL_MS, "a ticket has one stream at a time");
    await end();
  }

  /** Deletes what a subscriber reads. It must learn of the last event all the same. */
  async #deleteWhileReading(): Promise<void> {
    const { random } = this.#client;
    const path = `/pipelines/${this.#pipeline}`;
    let lastEventId = "";
    const connect = async () => {
      const headers: Record<string, string> = lastEventId ? { "Last-Event-ID": lastEventId } : {};
      const response = await this.#client.ask(`${path}/sse`, [200, ...BUSY], { headers });
      return new StreamReader(response);
    };
    let reader = await connect();
    for (let step = random.integer(1, 8); step > 0; step--) {
      const what = random.pick(["", "/events", "/tickets", "a publish", "a publish"]);
      if (what === "a publish") await this.#client.publish(this.#pipeline, `step ${step}`);
      else await this.#client.status(`${path}${what}`, [204, ...BUSY], { method: "DELETE" });
    }
    const mark = `mark ${this.#marks++}`;
    if (await this.#client.publish(this.#pipeline, mark) === null) return await reader.cancel();
    const until = performance.now() + ARRIVAL_MS;
    const timer = setTimeout(() => reader.cancel().catch(() => {}), ARRIVAL_MS);
    try {
      while (true) {
        const event = await reader.event();
        lastEventId = event?.id ?? lastEventId;
        if (event?.data === JSON.stringify(mark)) break;
        ok(performance.now() < until, "a reader gets the event after a deletion");
        if (event) continue;
        // As an EventSource does.
        await new Promise((resolve) => setTimeout(resolve, 100));
        reader = await connect();
      }
    } finally {
      clearTimeout(timer);
      await reader.cancel();
    }
  }
}

async function readToEnd(stream: StreamReader): Promise<void> {
  while (await stream.next());
}
