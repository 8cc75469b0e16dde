import { ok, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import { matchesPipeline } from "../../lib/access/grant.ts";
import { StreamReader } from "../support/clients/stream_reader.ts";
import { bearerHeader, mint, TOKEN_SETTINGS } from "../support/clients/tokens.ts";
import { assertIdle, jsonPost, startService, type TestService } from "../support/service.ts";
import { flush } from "../support/wait.ts";

const KEEPALIVE_MS = 1500;

const SETTINGS = {
  ...TOKEN_SETTINGS,
  RUNNEL_KEEPALIVE_MS: String(KEEPALIVE_MS),
  RUNNEL_MAX_STREAM_AGE_MS: "1000",
};

const PIPELINES = ["p_a", "p_ab", "p_b"];
const CHANNELS = ["x", "y", "xy"];

/** Payload that names its own pipeline and channel. */
interface Payload {
  pipeline: string;
  channel: string;
}

const pattern = fc.constantFrom("p_a", "p_ab", "*", "*", "p_*", "p_a*", "p_b_*", "", "p_", "P_A");
// One pipeline is more frequent, so that requests and grants often match.
const pipeline = fc.constantFrom("p_a", "p_a", "p_a", ...PIPELINES);
const grant = fc.record({
  publish: fc.uniqueArray(pattern, { minLength: 1, maxLength: 3 }),
  subscribe: fc.uniqueArray(pattern, { minLength: 1, maxLength: 3 }),
}, { requiredKeys: ["publish", "subscribe"] }).chain((lists) =>
  fc.option(fc.uniqueArray(fc.constantFrom(...CHANNELS)), { nil: undefined })
    .map((channels) => channels ? { ...lists, channels } : lists) as fc.Arbitrary<Claim>
);

interface Claim {
  publish: string[];
  subscribe: string[];
  channels?: string[];
}

/** Generates an attempt to read: claims, request and ticket. */
const attempt = fc.record({
  claim: grant,
  pipeline,
  channels: fc.oneof(
    fc.constant<string[]>([]),
    fc.uniqueArray(fc.constantFrom(...CHANNELS), { maxLength: 2 }),
  ),
  history: fc.option(fc.constantFrom("0", "1", "100"), { nil: undefined }),
  /** Last event ID that the request sends, if any. */
  id: fc.option(
    fc.record({
      of: fc.constantFrom(...PIPELINES),
      sequence: fc.nat({ max: 7 }),
      inUrl: fc.boolean(),
    }),
    { nil: undefined },
  ),
  by: fc.constantFrom("header", "cookie", "ticket", "ticket", "history"),
  ticket: fc.record({
    claim: grant,
    pipeline,
    channels: fc.option(fc.uniqueArray(fc.constantFrom(...CHANNELS), { minLength: 1 }), {
      nil: undefined,
    }),
    uses: fc.integer({ min: 1, max: 3 }),
  }),
});

type Attempt = typeof attempt extends fc.Arbitrary<infer T> ? T : never;

/** Whether claims cover an event, as the README defines it. */
function mayRead({ subscribe, channels }: Claim, event: Payload): boolean {
  return matchesPipeline(subscribe, event.pipeline) && (channels?.includes(event.channel) ?? true);
}

/** Whether a ticket covers an event, by the claims of its issuer. */
function mayReadByTicket({ ticket }: Attempt, event: Payload): boolean {
  const { claim, pipeline, channels } = ticket;
  return event.pipeline === pipeline && (channels?.includes(event.channel) ?? true) &&
    mayRead({ ...claim, subscribe: [...claim.publish, ...claim.subscribe] }, event);
}

async function fill(service: TestService): Promise<Record<string, string>> {
  const epochs: Record<string, string> = {};
  const headers = bearerHeader(await mint({ publish: ["*"] }));
  for (const pipeline of PIPELINES) {
    const events = [...CHANNELS, ...CHANNELS].map((channel) => ({
      pipeline,
      channel,
      payload: { pipeline, channel },
    }));
    const response = await service.fetch(jsonPost("/ingest", events, headers));
    equal(response.status, 202);
    epochs[pipeline] = (await response.json()).events[0].id.slice(0, 11);
  }
  return epochs;
}

async function issue(service: TestService, { ticket }: Attempt): Promise<string | null> {
  const { pipeline, claim, channels } = ticket;
  const headers = bearerHeader(await mint(claim));
  const body = channels ? { channels } : {};
  const response = await service.fetch(jsonPost(`/pipelines/${pipeline}/tickets`, body, headers));
  const { url } = await response.json();
  return response.status === 201 ? new URL(url).searchParams.get("ticket") : null;
}

/** Returns all payloads that an attempt reads, from history and live. */
async function read(
  service: TestService,
  attempt: Attempt,
  epochs: Record<string, string>,
  publish: () => Promise<unknown>,
): Promise<Payload[]> {
  const { claim, pipeline, channels, history, id, by } = attempt;
  const isHistory = by === "history";
  const url = new URL(`http://localhost/pipelines/${pipeline}/${isHistory ? "events" : "sse"}`);
  for (const channel of channels) url.searchParams.append("channel", channel);
  if (history !== undefined) url.searchParams.set("history", history);
  const headers: Record<string, string> = {};
  const lastEventId = id && `${epochs[id.of]}-${id.sequence}`;
  if (lastEventId && id.inUrl) url.searchParams.set("lastEventId", lastEventId);
  else if (lastEventId) headers["Last-Event-ID"] = lastEventId;
  if (by === "ticket") {
    url.searchParams.set("ticket", await issue(service, attempt) ?? await mint(claim));
  } else if (by === "cookie") headers["Cookie"] = `runnel_token=${await mint(claim)}`;
  else headers["Authorization"] = `Bearer ${await mint(claim)}`;

  const shown: Payload[] = [];
  for (let use = 0; use < (by === "ticket" ? attempt.ticket.uses : 1); use++) {
    const response = await service.fetch(new Request(url, { headers }));
    if (response.status !== 200) {
      await response.body?.cancel();
      continue;
    }
    if (isHistory) {
      const { events } = await response.json();
      shown.push(...events.map(({ payload }: { payload: Payload }) => payload));
      continue;
    }
    const stream = new StreamReader(response);
    const received = await stream.until("runnel.live");
    await publish();
    // The stream reaches its maximum age, and ends after its last event.
    service.clock.advance(KEEPALIVE_MS);
    received.push(...await stream.until("no such event"));
    for (const { type, data } of received) {
      if (!type.startsWith("runnel.")) shown.push(JSON.parse(data));
    }
  }
  return shown;
}

Deno.test("No request reads an event that the claims of its token or ticket do not cover", async () => {
  let seen = 0;
  await fc.assert(
    fc.asyncProperty(attempt, async (attempt) => {
      await using service = await startService({ settings: SETTINGS });
      const epochs = await fill(service);
      const shown = await read(service, attempt, epochs, () => fill(service));
      for (const event of shown) {
        equal(event.pipeline, attempt.pipeline);
        const may = attempt.by === "ticket"
          ? mayReadByTicket(attempt, event)
          : mayRead(attempt.claim, event);
        ok(may, Deno.inspect(event));
      }
      seen += shown.length;
      await flush();
      await assertIdle(service);
    }),
    { numRuns: 100 },
  );
  // Otherwise the test would prove nothing.
  ok(seen > 100, `${seen}`);
});
