import {
  deepStrictEqual as deepEqual,
  match,
  notEqual,
  strictEqual as equal,
} from "node:assert/strict";
import type { KeyPair } from "../../lib/service/certificate.ts";
import { readFacts } from "../../lib/service/certificate_facts.ts";
import { ENDED, FIRST, SECOND } from "../support/certificates/certificates.ts";
import { createMetrics } from "../../lib/telemetry/metrics.ts";
import { Canary, createIdentity } from "../../lib/service/canary.ts";
import { TOKEN_SETTINGS } from "../support/clients/tokens.ts";
import { FakeClock } from "../support/fakes/clock.ts";
import { type Guard, serveService } from "../support/servers/serve_service.ts";
import { eventually, flush } from "../support/wait.ts";

const EVERY_MS = 10_000;
const IDENTITY = createIdentity(false);

/** A clock that counts the deadlines of a round. */
class DeadlineClock extends FakeClock {
  deadlines = 0;

  override after(ms: number, run: () => void): Disposable {
    this.deadlines++;
    return super.after(ms, run);
  }
}

/** Options for {@linkcode start}. */
interface StartOptions {
  settings?: object;
  guard?: Guard;
  /** Certificate that is served, if the canary has one. The default is the same. */
  served?: KeyPair;
  /** Certificate that the canary knows, and the names to take for its own. */
  known?: { pair: KeyPair; names?: string[] };
}

/** Starts a service and its canary. */
async function start({ settings = {}, guard, known, served }: StartOptions = {}) {
  const clock = new DeadlineClock();
  const service = await serveService({
    settings,
    canary: IDENTITY,
    pair: served ?? known?.pair ?? null,
    ...guard && { guard },
  });
  const facts = known && await readFacts(known.pair.cert);
  const certificate = known
    ? {
      pair: known.pair,
      facts: { ...facts!, names: known.names ?? facts!.names },
      renewedAt: -Infinity,
    }
    : null;
  const metrics = createMetrics();
  const reports: string[] = [];
  const canary = new Canary({
    identity: IDENTITY,
    address: { hostname: "127.0.0.1", port: service.port },
    certificate,
    everyMs: EVERY_MS,
    metrics,
    runtime: {
      clock,
      report: (message, cause, options) =>
        reports.push(
          [message, ...cause ? [cause] : [], ...Object.entries(options?.fields ?? {})].join(" "),
        ),
    },
  });
  let rounds = 0;
  const told = () => metrics.canaryRounds.read().reduce((sum, count) => sum + count);
  return {
    service,
    clock,
    metrics,
    reports,
    canary,
    certificate,
    /** Runs a round to its end. */
    async round(meanwhile = async () => {}) {
      clock.advance(EVERY_MS - clock.monotonic() % EVERY_MS);
      await meanwhile();
      rounds++;
      await eventually("a round ends", () => told() === rounds);
      const [delivered, lost, failed] = metrics.canaryRounds.read();
      return { delivered, lost, failed };
    },
    async [Symbol.asyncDispose]() {
      canary[Symbol.dispose]();
      await service[Symbol.asyncDispose]();
    },
  };
}

Deno.test("Canary measures how long its event takes to arrive, at each interval", async () => {
  await using test = await start();
  deepEqual(await test.round(), { delivered: 1, lost: 0, failed: 0 });
  deepEqual(await test.round(), { delivered: 2, lost: 0, failed: 0 });
  equal(test.metrics.canaryDelay.read().slice(0, -1).reduce((sum, count) => sum + count), 2);
  await eventually("its streams have ended", () => test.service.hub.stats.subscribers === 0);
  deepEqual(test.reports, []);
});

Deno.test("Canary is let in where subscribers need a token", async () => {
  await using test = await start({ settings: TOKEN_SETTINGS });
  deepEqual(await test.round(), { delivered: 1, lost: 0, failed: 0 });
});

Deno.test("Canary counts an event as lost that was accepted and does not arrive", async () => {
  await using test = await start({
    guard: ({ method }) => method === "POST" ? new Response(null, { status: 202 }) : null,
  });
  const lose = async () => {
    // After the stream, its start and the answer to the publish.
    await eventually("it waits for the event", () => test.clock.deadlines === 4);
    test.clock.advance(5000);
  };
  deepEqual(await test.round(lose), { delivered: 0, lost: 1, failed: 0 });
  equal(test.reports.length, 1);
  match(test.reports[0]!, /did not arrive .*after 5000 ms/);
  equal(test.metrics.canaryDelay.read().at(-1), 0);
});

Deno.test("Canary counts a refusal as failed, and reports rounds that come and go once", async () => {
  let isRefused = true;
  await using test = await start({
    guard: () => isRefused ? new Response("no", { status: 503 }) : null,
  });
  await test.round();
  deepEqual(await test.round(), { delivered: 0, lost: 0, failed: 2 });
  isRefused = false;
  for (let rounds = 0; rounds < 2; rounds++) await test.round();
  isRefused = true;
  deepEqual(await test.round(), { delivered: 2, lost: 0, failed: 3 });
  equal(test.reports.length, 1);
  match(test.reports[0]!, /refused with 503: no/);
  isRefused = false;
  for (let rounds = 0; rounds < 4; rounds++) await test.round();
  deepEqual(test.reports.slice(1), [
    "The canary of this instance arrives again seconds,70 failed,3",
  ]);
  isRefused = true;
  await test.round();
  equal(test.reports.length, 3);
});

Deno.test("Canary ends with its requests, and reports nothing of that", async () => {
  let streams = 0;
  await using test = await start({
    guard(request) {
      if (request.method === "GET") streams++;
      // A stream that tells nothing.
      return new Response(new ReadableStream({ cancel: () => void streams-- }));
    },
  });
  test.clock.advance(EVERY_MS);
  await eventually("its stream is open", () => streams === 1);
  test.canary[Symbol.dispose]();
  await eventually("its stream has ended", () => streams === 0);
  await flush();
  deepEqual(test.metrics.canaryRounds.read(), [0, 0, 0]);
  deepEqual(test.reports, []);
});

for (const name of ["localhost", "*.example.com", "127.0.0.1", "::1"]) {
  Deno.test(`Canary asks for ${name} of its certificate, and is a client of this machine`, async () => {
    const hosts = new Set<string>();
    await using test = await start({
      known: { pair: FIRST, names: [name] },
      guard({ url }) {
        hosts.add(new URL(url).origin);
        return null;
      },
    });
    deepEqual(await test.round(), { delivered: 1, lost: 0, failed: 0 });
    deepEqual([...hosts], [test.service.url]);
    deepEqual(test.reports, []);
  });
}

const refused: [what: string, options: StartOptions, message: RegExp][] = [
  [
    "for another name",
    { known: { pair: FIRST, names: ["evil.example.org"] } },
    /evil\.example\.org/,
  ],
  ["for another address", { known: { pair: FIRST, names: ["192.0.2.1"] } }, /192\.0\.2\.1/],
  ["without a name", { known: { pair: FIRST, names: [] } }, /has no name of a host/],
  ["that is not its own", { known: { pair: SECOND }, served: FIRST }, /self-signed certificate/],
  [
    "that has ended",
    { known: { pair: ENDED } },
    /cannot be verified by its chain\. If it has ended, renew it;/,
  ],
];

for (const [what, options, message] of refused) {
  Deno.test(`Canary sends nothing to a service with a certificate ${what}`, async () => {
    let requests = 0;
    await using test = await start({
      ...options,
      guard() {
        requests++;
        return null;
      },
    });
    deepEqual(await test.round(), { delivered: 0, lost: 0, failed: 1 });
    match(test.reports[0]!, message);
    equal(requests, 0);
  });
}

Deno.test("Canary uses a renewed certificate, and does not count failures meanwhile", async () => {
  await using test = await start({ known: { pair: FIRST } });
  deepEqual(await test.round(), { delivered: 1, lost: 0, failed: 0 });
  // The instance still serves the one before.
  Object.assign(test.certificate!, { pair: SECOND, renewedAt: test.clock.monotonic() });
  test.clock.advance(EVERY_MS);
  await eventually("the round ends", () => test.clock.liveTimers === 1);
  deepEqual(test.metrics.canaryRounds.read(), [1, 0, 0]);
  deepEqual(test.reports, []);
  // In the next round, it ought to serve the new one.
  deepEqual(await test.round(), { delivered: 1, lost: 0, failed: 1 });
});

Deno.test("createIdentity() has one pipeline in a file, and others on a server", () => {
  equal(createIdentity(false).pipeline, createIdentity(false).pipeline);
  const [one, other] = [createIdentity(true), createIdentity(true)];
  notEqual(one.pipeline, other.pipeline);
  for (const { pipeline } of [one, other, IDENTITY]) {
    match(pipeline, /^p_runnel-canary[\w-]{0,20}$/);
  }
  notEqual(one.token, other.token);
  equal(one.token.length, 43);
});
