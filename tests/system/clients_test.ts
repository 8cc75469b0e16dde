import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { EventSource as NpmEventSource } from "eventsource";
import { testInChromium } from "../support/browser/chromium.ts";
import { sharedChromium } from "../support/browser/shared_chromium.ts";
import { type LocalServer, serveLocally } from "../support/servers/local_server.ts";
import { startService, type TestService } from "../support/service.ts";
import { eventually } from "../support/wait.ts";

// Service

const PIPELINE = "p_wOCOJD8";
const MAX_AGE_MS = 1000;
const KEEP_ALIVE_MS = 1500;

/** A service that can restart on the same file and port. */
class RestartableService implements AsyncDisposable {
  readonly #folder: string;
  #service!: TestService;
  #server!: LocalServer;
  /** Number of streams that clients requested with a last event ID. */
  resumed = 0;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async open(): Promise<RestartableService> {
    const station = new RestartableService(await Deno.makeTempDir());
    await station.#openLog();
    station.#listen(0);
    return station;
  }

  async #openLog(): Promise<void> {
    this.#service = await startService({
      open: () => Deno.openKv(`${this.#folder}/runnel.sqlite`),
      settings: {
        RUNNEL_RETRY_MS: "20",
        RUNNEL_MAX_STREAM_AGE_MS: String(MAX_AGE_MS),
        RUNNEL_KEEPALIVE_MS: String(KEEP_ALIVE_MS),
      },
    });
  }

  #listen(port: number): void {
    this.#server = serveLocally((request) => {
      if (request.headers.has("Last-Event-ID")) this.resumed++;
      return this.#service.fetch(request);
    }, port);
  }

  get url(): string {
    return `${this.#server.url}/pipelines/${PIPELINE}/sse`;
  }

  /** Publishes each payload as a separate event. */
  async publish(channel: string, ...payloads: unknown[]): Promise<void> {
    for (const payload of payloads) await this.#service.publish(PIPELINE, channel, payload);
  }

  /** Cuts all connections, runs a callback, and listens again. */
  async restart(meanwhile: () => Promise<void>): Promise<void> {
    const { port } = this.#server;
    await this.#server[Symbol.asyncDispose]();
    await this.#service[Symbol.asyncDispose]();
    await this.#openLog();
    await meanwhile();
    this.#listen(port);
  }

  /** Ends all streams by their maximum age while a callback runs. */
  async age(meanwhile: () => Promise<void>): Promise<void> {
    this.#service.clock.advance(KEEP_ALIVE_MS);
    await meanwhile();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
    await this.#service[Symbol.asyncDispose]();
    await Deno.remove(this.#folder, { recursive: true });
  }
}

// Clients

/** Event that a listener receives. */
interface Received {
  type: string;
  data: string;
  lastEventId: string;
}

/** A connected client of third parties. */
interface Reader extends AsyncDisposable {
  received: Received[];
}

/** Connects with an `EventSource` of this process. */
function listen(source: EventSource | NpmEventSource, types: readonly string[]): Reader {
  const received: Received[] = [];
  for (const type of types) {
    // Both classes have this method, but their overloads have no common type.
    (source as EventTarget).addEventListener(type, (event) => {
      const { data, lastEventId } = event as MessageEvent<string>;
      received.push({ type: event.type, data, lastEventId });
    });
  }
  return {
    received,
    [Symbol.asyncDispose]() {
      source.close();
      return Promise.resolve();
    },
  };
}

/** Opens HTML as a page from a file, which passes events to `receive()`. */
async function openFile(html: string, before = ""): Promise<Reader> {
  const stack = new AsyncDisposableStack();
  try {
    const file = stack.adopt(await Deno.makeTempFile({ suffix: ".html" }), Deno.remove);
    await Deno.writeTextFile(file, html);
    const page = stack.adopt(await sharedChromium().newPage(), (page) => page.close());
    const received: Received[] = [];
    await page.exposeFunction("receive", (event: Received) => received.push(event));
    await page.addInitScript(before);
    await page.goto(`file://${file}`);
    equal(await page.evaluate("self.origin"), "null");
    return { received, [Symbol.asyncDispose]: () => stack.disposeAsync() };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

function openInChromium(url: string, types: readonly string[]): Promise<Reader> {
  return openFile(`<!DOCTYPE html><script>
    const source = new EventSource(${JSON.stringify(url)});
    for (const type of ${JSON.stringify(types)}) {
      source.addEventListener(type, ({ data, lastEventId }) => receive({ type, data, lastEventId }));
    }
  </script>`);
}

/** Page of the documentation, verbatim. */
const SEED_PAGE = `<!DOCTYPE html>
<html>
<head>
<meta charset="utf-8" />
<title>SSE test</title>
<script type="text/javascript">
const eventSource = new EventSource(
"http://sdk.m.pipedream.net/pipelines/p_wOCOJD8/sse"
);
eventSource.addEventListener("events", function (e) {
console.log("New event from cron test event stream: ", e);
});
</script>
</head>
<body>
<div id="app"></div>
</body>
</html>
`;

/** Opens the documented page, and receives its console output. */
function openSeedPage(url: string): Promise<Reader> {
  const html = SEED_PAGE.replace(`http://sdk.m.pipedream.net/pipelines/${PIPELINE}/sse`, url);
  ok(html.includes(url));
  return openFile(
    html,
    "console.log = (_, { type, data, lastEventId }) => receive({ type, data, lastEventId });",
  );
}

const readers: {
  name: string;
  inBrowser: boolean;
  open: (url: string, types: readonly string[]) => Promise<Reader>;
}[] = [
  {
    name: "the package eventsource",
    inBrowser: false,
    open: (url, types) => Promise.resolve(listen(new NpmEventSource(url), types)),
  },
  {
    name: "Deno's EventSource",
    inBrowser: false,
    open: (url, types) => Promise.resolve(listen(new EventSource(url), types)),
  },
  { name: "a page in Chromium", inBrowser: true, open: openInChromium },
  { name: "the documented page in Chromium", inBrowser: true, open: openSeedPage },
];

/** Registers a test, which may need a browser. */
function test(name: string, inBrowser: boolean, fn: () => Promise<void>): void {
  if (inBrowser) testInChromium(name, fn);
  else Deno.test(name, fn);
}

// Streams

for (const { name, inBrowser, open } of readers) {
  for (const interruption of ["restart", "age"] as const) {
    test(`${name} loses and repeats no event across ${interruption}`, inBrowser, async () => {
      await using station = await RestartableService.open();
      await station.publish("events", 1, 2, 3);
      await using reader = await open(station.url, ["events"]);
      const { received } = reader;
      await eventually("the replay is there", () => received.length >= 3);
      await station.publish("events", 4, 5);
      await eventually("the news are there", () => received.length >= 5);
      await station[interruption](() => station.publish("events", 6, 7));
      await eventually("it has caught up", () => received.length >= 7);
      await station.publish("events", 8, 9);
      await eventually("it is live again", () => received.length >= 9);
      deepEqual(received.map(({ data }) => Number(data)), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
      deepEqual(
        received.map(({ lastEventId }) => Number(lastEventId.split("-").at(-1))),
        [1, 2, 3, 4, 5, 6, 7, 8, 9],
      );
      equal(station.resumed, 1);
    });
  }

  test(`${name} gets the newest 100 events, and then live events`, inBrowser, async () => {
    await using station = await RestartableService.open();
    await station.publish("events", ...Array(120).keys());
    await using reader = await open(station.url, ["events"]);
    const { received } = reader;
    await eventually("the replay is there", () => received.length >= 100);
    await station.publish("events", 120);
    await eventually("the news are there", () => received.length >= 101);
    deepEqual(
      received.map(({ data }) => Number(data)),
      Array.from({ length: 101 }, (_, index) => index + 20),
    );
  });

  // The documented page subscribes to one channel only.
  if (open === openSeedPage) continue;
  test(
    `${name} receives each channel and the live marker at its own listener`,
    inBrowser,
    async () => {
      await using station = await RestartableService.open();
      await station.publish("names", { name: "Luke" });
      await station.publish("Ünïcode: 🚀", "ü🚀\u2028");
      await station.publish("unheard", 0);
      await using reader = await open(station.url, ["names", "Ünïcode: 🚀", "runnel.live"]);
      const { received } = reader;
      await eventually("the seam is there", () => received.length >= 3);
      await station.publish("names", { name: "Han" });
      await eventually("the news are there", () => received.length >= 4);
      deepEqual(received.map(({ type, data }) => [type, JSON.parse(data)]), [
        ["names", { name: "Luke" }],
        ["Ünïcode: 🚀", "ü🚀\u2028"],
        ["runnel.live", { replayed: 3 }],
        ["names", { name: "Han" }],
      ]);
    },
  );
}

test("A stream shows its text as it arrives when Chromium opens it as a page", true, async () => {
  await using station = await RestartableService.open();
  await station.publish("events", { name: "Luke Skywalker" });
  const page = await sharedChromium().newPage();
  try {
    await page.goto(station.url, { waitUntil: "commit" });
    const shows = (text: string) => async () => {
      // Chromium may hold back the newest text until more comes, as a keep-alive does.
      await station.publish("unheard", 0);
      return (await page.evaluate<string>("document.body?.innerText ?? ''")).includes(text);
    };
    const history = 'event: events\ndata: {"name":"Luke Skywalker"}';
    await eventually("the history is shown", shows(history));
    await station.publish("events", "news");
    await eventually("the news are shown", shows('event: events\ndata: "news"'));
  } finally {
    await page.close();
  }
});
