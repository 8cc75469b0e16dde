/**
 * A service that is played: it answers streams from a log in memory, one block at a time.
 *
 * @module
 */

/** An event of a log. */
export interface LoggedEvent {
  sequence: number;
  channel: string;
  data: string;
}

/** The log of a pipeline. */
export interface PlayedLog {
  epoch: string;
  /** All events that were ever published. */
  events: LoggedEvent[];
  /** Sequence of the first event that is kept. */
  first: number;
  hasEnded: boolean;
  /** Reason for which earlier events are gone. */
  reason: "evicted" | "cleared";
}

/** One request for a stream. */
export class PlayedStream {
  readonly url: URL;
  readonly token: string | null;
  /** Blocks that were not delivered yet. */
  readonly outbox: string[] = [];
  readonly body: ReadableStream<Uint8Array>;
  readonly pipelines: string[];
  readonly channels: string[];
  readonly ended = new Set<string>();
  /** Sequence up to which a pipeline was written, with its epoch. */
  readonly positions = new Map<string, { epoch: string; sequence: number }>();
  isOpen = true;
  #controller!: ReadableStreamDefaultController<Uint8Array>;

  constructor(url: URL, token: string | null) {
    this.url = url;
    this.token = token;
    const single = /\/pipelines\/([^/]+)\/sse$/.exec(url.pathname)?.[1];
    this.pipelines = single ? [single] : url.searchParams.getAll("pipeline");
    this.channels = url.searchParams.getAll("channel");
    this.body = new ReadableStream({
      start: (controller) => void (this.#controller = controller),
      cancel: () => void (this.isOpen = false),
    });
  }

  get id(): string {
    return this.pipelines.map((each) => {
      const { epoch, sequence } = this.positions.get(each)!;
      return `${epoch}-${sequence}`;
    }).join(".");
  }

  write(type: string, data: string): void {
    this.outbox.push(`event: ${type}\ndata: ${data}\nid: ${this.id}\n\n`);
  }

  control(name: string, pipeline: string, details: Record<string, unknown>): void {
    const isMultiple = this.pipelines.length > 1;
    this.write(
      `runnel.${name}`,
      JSON.stringify(isMultiple ? { pipeline, ...details } : details),
    );
  }

  /** Delivers blocks that were written. */
  deliver(count: number): void {
    const text = this.outbox.splice(0, count).join("");
    if (this.isOpen && text) this.#controller.enqueue(new TextEncoder().encode(text));
  }

  /** Ends the stream, cleanly or by an error; what was not delivered is lost. */
  cut(isClean: boolean): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    if (isClean) this.#controller.close();
    else this.#controller.error(new TypeError("connection reset"));
  }
}

/** A service in memory. */
export class PlayedService {
  readonly logs = new Map<string, PlayedLog>();
  readonly streams = new Set<PlayedStream>();
  /** Tokens that it accepts; `null`: it asks for none. */
  tokens: Set<string> | null = null;
  /** Whether its answers are for the cookie of a user. */
  hasCookie = false;
  /** Status of all requests while it is out of order. */
  failure = 0;
  /** Whether it refuses a request permanently. */
  refuses: (url: URL) => boolean = () => false;
  /** Number of requests so far. */
  requests = 0;
  /** Greatest number of streams that were open at once. */
  most = 0;
  #epochs = 0;

  log(pipeline: string): PlayedLog {
    let log = this.logs.get(pipeline);
    if (!log) this.logs.set(pipeline, log = this.#create());
    return log;
  }

  publish(pipeline: string, channel: string): void {
    const log = this.log(pipeline);
    if (log.hasEnded) return;
    const sequence = log.events.length + 1;
    log.events.push({ sequence, channel, data: JSON.stringify(`${pipeline} ${sequence}`) });
    this.#push();
  }

  end(pipeline: string): void {
    const log = this.log(pipeline);
    if (log.hasEnded) return;
    log.hasEnded = true;
    this.#push();
  }

  /** Removes all events but the newest ones. */
  trim(pipeline: string, keep: number, reason: "evicted" | "cleared"): void {
    const log = this.log(pipeline);
    log.first = Math.max(log.first, log.events.length + 1 - keep);
    log.reason = reason;
  }

  /** Deletes a pipeline, so that it begins anew. */
  delete(pipeline: string): void {
    if (!this.logs.delete(pipeline)) return;
    this.#push();
  }

  fetch = (url: URL, init: RequestInit): Promise<Response> => {
    this.requests++;
    if (init.signal?.aborted) return Promise.reject(init.signal.reason);
    if (this.failure > 0) return Promise.resolve(new Response(null, { status: this.failure }));
    if (this.refuses(url)) return Promise.resolve(new Response(null, { status: 403 }));
    const headers = new Headers(init.headers);
    const token = headers.get("Authorization")?.replace("Bearer ", "") ?? null;
    if (this.tokens && !this.tokens.has(token ?? "")) {
      return Promise.resolve(Response.json({ detail: "No" }, { status: 401 }));
    }
    const stream = new PlayedStream(url, token);
    init.signal?.addEventListener("abort", () => stream.cut(false));
    const parts = headers.get("Last-Event-ID")?.split(".") ?? [];
    const history = url.searchParams.get("history") ?? "100";
    if (!this.#open(stream, parts, history === "all" ? Infinity : Number(history))) {
      return Promise.resolve(new Response(null, { status: 204 }));
    }
    this.streams.add(stream);
    this.most = Math.max(this.most, this.openStreams.length);
    const type = { "Content-Type": "text/event-stream" };
    const vary = this.hasCookie ? { Vary: "Origin, Cookie" } : {};
    return Promise.resolve(new Response(stream.body, { headers: { ...type, ...vary } }));
  };

  get openStreams(): PlayedStream[] {
    return [...this.streams].filter(({ isOpen }) => isOpen);
  }

  #create(): PlayedLog {
    const epoch = `epoch--${String(this.#epochs++).padStart(4, "0")}`;
    return { epoch, events: [], first: 1, hasEnded: false, reason: "evicted" };
  }

  #open(stream: PlayedStream, parts: string[], history: number): boolean {
    const starts = new Map<string, { start: number; gap: Record<string, unknown> | null }>();
    const hasForeign = parts.some((part) =>
      !stream.pipelines.some((each) => part.startsWith(`${this.log(each).epoch}-`))
    );
    let isOver = true;
    for (const pipeline of stream.pipelines) {
      const log = this.log(pipeline);
      const part = parts.find((part) => part.startsWith(`${log.epoch}-`));
      const newest = log.events.length;
      const matching = log.events.filter((event) =>
        event.sequence >= log.first && matches(stream, event)
      );
      if (part === undefined) {
        isOver = false;
        const from = matching.slice(Math.max(0, matching.length - history))[0]?.sequence;
        const start = history === 0 ? newest : (from ?? newest + 1) - 1;
        starts.set(pipeline, {
          start,
          gap: hasForeign ? { missed: null, reason: "unknown" } : null,
        });
      } else {
        const sequence = Number(part.slice(log.epoch.length + 1));
        isOver &&= log.hasEnded && sequence === newest + 1;
        const missed = log.first - 1 - sequence;
        starts.set(pipeline, {
          start: Math.max(sequence, log.first - 1),
          gap: missed > 0 ? { missed, reason: log.reason } : null,
        });
      }
      stream.positions.set(pipeline, {
        epoch: log.epoch,
        sequence: starts.get(pipeline)!.start,
      });
    }
    if (isOver) return false;
    stream.outbox.push("retry: 1000\n");
    for (const [pipeline, { gap }] of starts) if (gap) stream.control("gap", pipeline, gap);
    // All gaps or none: the ID of each one has the positions after the others.
    stream.outbox.splice(0, Infinity, stream.outbox.join(""));
    for (const pipeline of stream.pipelines) {
      const replayed = this.#write(stream, pipeline);
      stream.control("live", pipeline, { replayed });
      this.#writeEnd(stream, pipeline);
    }
    return true;
  }

  #push(): void {
    for (const stream of this.openStreams) {
      for (const pipeline of stream.pipelines) {
        // Nothing follows on the same stream, also if the pipeline begins anew.
        if (stream.ended.has(pipeline)) continue;
        const log = this.log(pipeline);
        if (stream.positions.get(pipeline)!.epoch !== log.epoch) {
          stream.positions.set(pipeline, { epoch: log.epoch, sequence: 0 });
          stream.control("gap", pipeline, { missed: null, reason: "unknown" });
          stream.control("live", pipeline, { replayed: 0 });
        }
        this.#write(stream, pipeline);
        this.#writeEnd(stream, pipeline);
      }
    }
  }

  #write(stream: PlayedStream, pipeline: string): number {
    if (stream.ended.has(pipeline)) return 0;
    const { epoch, events } = this.log(pipeline);
    let count = 0;
    for (const event of events.slice(stream.positions.get(pipeline)!.sequence)) {
      stream.positions.set(pipeline, { epoch, sequence: event.sequence });
      if (!matches(stream, event)) continue;
      count++;
      const isMultiple = stream.pipelines.length > 1;
      stream.write(isMultiple ? `${pipeline}/${event.channel}` : event.channel, event.data);
    }
    return count;
  }

  #writeEnd(stream: PlayedStream, pipeline: string): void {
    const { epoch, events, hasEnded } = this.log(pipeline);
    if (!hasEnded || stream.ended.has(pipeline)) return;
    stream.ended.add(pipeline);
    stream.positions.set(pipeline, { epoch, sequence: events.length + 1 });
    stream.control("end", pipeline, { events: events.length });
  }

  /** Sends a keep-alive, with the position. */
  keepAlive(): void {
    for (const stream of this.openStreams) stream.outbox.push(`:keepalive\nid: ${stream.id}\n\n`);
  }
}

function matches(stream: PlayedStream, { channel }: LoggedEvent): boolean {
  return stream.channels.length === 0 || stream.channels.includes(channel);
}
