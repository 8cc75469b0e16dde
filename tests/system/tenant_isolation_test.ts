import { ok, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import { matchesPipeline } from "../../lib/access/grant.ts";
import { joinEventIds } from "../../lib/protocol/event.ts";
import { type ReceivedEvent, StreamReader } from "../support/clients/stream_reader.ts";
import { bearerHeader, mint, TOKEN_SETTINGS } from "../support/clients/tokens.ts";
import { repetitions } from "../support/model/repetitions.ts";
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

/** Generates the pipelines of a request: one, or those of a stream of several. */
const requested = fc.record({
  pipeline,
  pipelines: fc.uniqueArray(pipeline, { minLength: 1, maxLength: 3 }),
  isJoined: fc.boolean(),
});

/** Generates a part of an event ID, which all readers of its pipeline know. */
const part = fc.record({
  of: fc.constantFrom(...PIPELINES),
  sequence: fc.nat({ max: 7 }),
});

/** Generates an attempt to read: claims, request and ticket. */
const attempt = fc.record({
  claim: grant,
  requested,
  channels: fc.oneof(
    fc.constant<string[]>([]),
    fc.uniqueArray(fc.constantFrom(...CHANNELS), { maxLength: 2 }),
  ),
  history: fc.option(fc.constantFrom("0", "1", "100"), { nil: undefined }),
  /** Last event ID that the request sends, if any. */
  id: fc.option(
    fc.record({
      parts: fc.array(part, { minLength: 1, maxLength: 4 }),
      inUrl: fc.boolean(),
    }),
    { nil: undefined },
  ),
  by: fc.constantFrom("header", "cookie", "ticket", "ticket", "history"),
  ticket: fc.record({
    claim: grant,
    requested,
    channels: fc.option(fc.uniqueArray(fc.constantFrom(...CHANNELS), { minLength: 1 }), {
      nil: undefined,
    }),
    uses: fc.integer({ min: 1, max: 3 }),
  }),
});

type Attempt = typeof attempt extends fc.Arbitrary<infer T> ? T : never;

/** Returns the pipelines that a ticket is requested for, or a stream. */
function pipelinesOf({ pipeline, pipelines, isJoined }: Attempt["requested"]): string[] {
  return isJoined ? pipelines : [pipeline];
}

/** Whether claims cover an event, as the README defines it. */
function mayRead({ subscribe, channels }: Claim, event: Payload): boolean {
  return matchesPipeline(subscribe, event.pipeline) && (channels?.includes(event.channel) ?? true);
}

/** Whether a ticket covers an event, by the claims of its issuer. */
function mayReadByTicket({ ticket }: Attempt, event: Payload): boolean {
  const { claim, requested, channels } = ticket;
  return pipelinesOf(requested).includes(event.pipeline) &&
    (channels?.includes(event.channel) ?? true) &&
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
  const { requested: { pipeline, pipelines, isJoined }, claim, channels } = ticket;
  const headers = bearerHeader(await mint(claim));
  const body = { ...channels && { channels }, ...isJoined && { pipelines } };
  const path = isJoined ? "/tickets" : `/pipelines/${pipeline}/tickets`;
  const response = await service.fetch(jsonPost(path, body, headers));
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
  const { claim, requested, channels, history, id, by } = attempt;
  const { pipeline, pipelines } = requested;
  const isHistory = by === "history";
  const isJoined = requested.isJoined && !isHistory;
  const of = `/pipelines/${pipeline}/${isHistory ? "events" : "sse"}`;
  const url = new URL(isJoined ? "/sse" : of, "http://localhost");
  if (isJoined) { for (const id of pipelines) url.searchParams.append("pipeline", id); }
  for (const channel of channels) url.searchParams.append("channel", channel);
  if (history !== undefined) url.searchParams.set("history", history);
  const headers: Record<string, string> = {};
  const lastEventId = id &&
    joinEventIds(id.parts.map(({ of, sequence }) => `${epochs[of]}-${sequence}`));
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
    const received: ReceivedEvent[] = [];
    for (let left = isJoined ? pipelines.length : 1; left > 0; left--) {
      received.push(...await stream.until("runnel.live"));
    }
    await publish();
    // The stream reaches its maximum age, and ends after its last event.
    service.clock.advance(KEEPALIVE_MS);
    received.push(...await stream.until("no such event"));
    for (const { type, data } of received) {
      if (type.startsWith("runnel.")) continue;
      const payload: Payload = JSON.parse(data);
      equal(type, isJoined ? `${payload.pipeline}/${payload.channel}` : payload.channel);
      shown.push(payload);
    }
  }
  return shown;
}

Deno.test("No request reads an event that the claims of its token or ticket do not cover", async () => {
  const seen = { joined: 0, others: 0 };
  await fc.assert(
    fc.asyncProperty(attempt, async (attempt) => {
      await using service = await startService({ settings: SETTINGS });
      const epochs = await fill(service);
      const shown = await read(service, attempt, epochs, () => fill(service));
      for (const event of shown) {
        const { requested, by } = attempt;
        const wanted = pipelinesOf(
          by === "history" ? { ...requested, isJoined: false } : requested,
        );
        ok(wanted.includes(event.pipeline), Deno.inspect(event));
        const may = by === "ticket"
          ? mayReadByTicket(attempt, event)
          : mayRead(attempt.claim, event);
        ok(may, Deno.inspect(event));
      }
      seen[attempt.requested.isJoined ? "joined" : "others"] += shown.length;
      await flush();
      await assertIdle(service);
    }),
    repetitions(120),
  );
  // Otherwise the test would prove nothing.
  ok(seen.joined > 40 && seen.others > 40, Deno.inspect(seen));
});
