import {
  deepStrictEqual as deepEqual,
  match,
  rejects,
  strictEqual as equal,
} from "node:assert/strict";
import { request as requestByNode } from "node:https";
import { StreamReader } from "../support/clients/stream_reader.ts";
import { ENDED, FIRST, SECOND } from "../support/certificates/certificates.ts";
import { readOpenMetrics, type Samples } from "../support/open_metrics.ts";
import { DataFolder, Program } from "../support/programs/program.ts";
import { readRaw, sendRaw } from "../support/servers/local_server.ts";
import { eventually } from "../support/wait.ts";
import type { KeyPair } from "../../lib/service/certificate.ts";
import { readFacts } from "../../lib/service/certificate_facts.ts";

/** A program with HTTPS, whose certificate a test replaces. */
async function start(folder: DataFolder, { isolates = 1, more = {} } = {}) {
  const write = async ({ cert, key }: KeyPair) => {
    // Beside, and then in its place, as programs do that renew certificates.
    for (const [name, text] of Object.entries({ cert, key })) {
      const path = await folder.make(`${name}.pem.new`, text);
      await Deno.rename(path, path.replace(/\.new$/, ""));
    }
  };
  await write(FIRST);
  const program = await Program.start({
    RUNNEL_KV: folder.kv,
    RUNNEL_ISOLATES: String(isolates),
    RUNNEL_MAX_SUBSCRIBERS: "1000",
    RUNNEL_TLS_CERT: `${folder.path}/cert.pem`,
    RUNNEL_TLS_KEY: `${folder.path}/key.pem`,
    ...more,
  });
  return { program, write };
}

/** A client that trusts a certificate, over one version of HTTP. */
function clientOf({ cert }: KeyPair, http2: boolean): Deno.HttpClient {
  return Deno.createHttpClient({ caCerts: [cert], http2, http1: !http2 });
}

async function openStream(url: string, client: Deno.HttpClient): Promise<StreamReader> {
  const response = await fetch(`${url}/pipelines/p_a/sse`, { client });
  equal(response.status, 200);
  const reader = new StreamReader(response);
  await reader.until("runnel.live");
  return reader;
}

async function publish(url: string, client: Deno.HttpClient, body: string): Promise<void> {
  const response = await fetch(`${url}/ingest/p_a/events`, { method: "POST", body, client });
  equal(response.status, 202, await response.text());
}

/** Reads the metrics of a program. */
async function scrape(url: string, client: Deno.HttpClient): Promise<Samples> {
  return readOpenMetrics(await (await fetch(`${url}/metrics`, { client })).text());
}

const roundsOf = (samples: Samples, outcome: string) =>
  samples.get(`runnel_canary_rounds_total{outcome="${outcome}"}`)!;

/** Whether new connections get a certificate. */
async function serves(url: string, pair: KeyPair): Promise<boolean> {
  using client = clientOf(pair, true);
  try {
    await (await fetch(`${url}/healthz`, { client })).body?.cancel();
    return true;
  } catch (error) {
    const told = String((error as Error).cause ?? error);
    // A connection that is in its handshake when a server leaves is reset.
    if (/reset by peer/.test(told)) return await serves(url, pair);
    match(told, /certificate|UnknownIssuer|invalid peer/i);
    return false;
  }
}

for (const isolates of [1, 2]) {
  Deno.test(`HTTPS of ${isolates} isolates: a renewed certificate is used, streams of both versions of HTTP and the canary go on, a drain ends them`, async () => {
    await using folder = new DataFolder();
    const { program, write } = await start(folder, {
      isolates,
      more: { RUNNEL_CANARY_MS: "100" },
    });
    await using _program = program;
    const { url } = program;
    match(url, /^https:/);
    using http1 = clientOf(FIRST, false);
    using http2 = clientOf(FIRST, true);
    const readers = [await openStream(url, http1), await openStream(url, http2)];
    equal(await serves(url, SECOND), false);
    await eventually(
      "the canary arrives",
      async () => roundsOf(await scrape(url, http2), "delivered") >= 3,
    );
    await write(SECOND);
    await eventually("the new certificate is used", () => serves(url, SECOND));
    // For a second, a connection may get either, and each isolate turns by itself.
    const servesOld = () => Promise.all(Array.from({ length: 32 }, () => serves(url, FIRST)));
    await eventually(
      "the old one is not any more",
      async () => !(await servesOld()).includes(true),
    );
    using renewed = clientOf(SECOND, true);
    await publish(url, renewed, "after");
    for (const reader of readers) equal((await reader.event())!.data, '"after"');
    const before = roundsOf(await scrape(url, renewed), "delivered");
    await eventually(
      "the canary arrives with the new one",
      async () => roundsOf(await scrape(url, renewed), "delivered") >= before + 3,
    );
    const samples = await scrape(url, renewed);
    deepEqual([roundsOf(samples, "lost"), roundsOf(samples, "failed")], [0, 0]);
    equal(
      samples.get("runnel_certificate_expiry_timestamp_seconds"),
      (await readFacts(SECOND.cert)).endsAt / 1000,
    );
    equal(program.complaints.join("\n"), "");
    const told = `Uses the new certificate in ${folder.path}/cert.pem from now on`;
    equal(program.output.split(told).length, 2);

    program.kill("SIGTERM");
    for (const reader of readers) equal(await reader.event(), null);
    equal(await program.exit(), 0);
  });
}

Deno.test("HTTPS keeps the certificate if another key is written, and says so", async () => {
  await using folder = new DataFolder();
  const { program, write } = await start(folder);
  await using _program = program;
  await write({ cert: FIRST.cert, key: SECOND.key });
  await eventually("it is reported", () => program.complaints.length > 0);
  match(
    program.complaints.join("\n"),
    /^Cannot renew the certificate, and keeps the one before: the key in ".*key\.pem" is not that of/,
  );
  equal(await serves(program.url, FIRST), true);
});

Deno.test("HTTPS warns of a certificate that has ended, and its canary fails", async () => {
  await using folder = new DataFolder();
  await using program = await Program.start({
    RUNNEL_KV: folder.kv,
    RUNNEL_MAX_SUBSCRIBERS: "1000",
    RUNNEL_CANARY_MS: "100",
    RUNNEL_TLS_CERT: await folder.make("cert.pem", ENDED.cert),
    RUNNEL_TLS_KEY: await folder.make("key.pem", ENDED.key),
  });
  await eventually("both are reported", () => program.complaints.length >= 2);
  match(program.complaints[0]!, /^The canary of this instance did not arrive: .*If it has ended/);
  match(program.complaints[1]!, /^The certificate in .*cert\.pem ended at 2025-01-31T.* Renew/);
  program.kill("SIGTERM");
  equal(await program.exit(), 0);
  equal(program.complaints.length, 2);
});

Deno.test("HTTPS answers clients of node, with the scheme in the URL of a ticket", async () => {
  await using folder = new DataFolder();
  const { program } = await start(folder, {
    more: { RUNNEL_PUBLISH_TOKENS: "a-token-of-a-publisher" },
  });
  await using _program = program;
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  requestByNode(`${program.url}/pipelines/p_a/tickets`, {
    method: "POST",
    ca: FIRST.cert,
    agent: false,
    headers: { "Authorization": "Bearer a-token-of-a-publisher" },
  }, async (response) => {
    let text = "";
    for await (const part of response) text += part;
    resolve(text);
  }).on("error", reject).end();
  match(JSON.parse(await promise).url, new RegExp(`^${program.url}/pipelines/p_a/sse\\?ticket=`));
});

Deno.test("HTTPS refuses an upload so that it is repeated when it drains", async () => {
  await using folder = new DataFolder();
  const { program } = await start(folder);
  await using _program = program;
  const head =
    "POST /ingest/p_a/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n12345";
  using connection = await sendRaw(Number(new URL(program.url).port), head, [FIRST.cert]);
  // The request has arrived once another one that was sent after it is answered.
  await serves(program.url, FIRST);
  program.kill("SIGTERM");
  const answer = await readRaw(connection, (text) => text.includes("}"));
  match(answer, /^HTTP\/1\.1 503 [^]*urn:runnel:problem:draining/);
  equal(await program.exit(), 0);
});

Deno.test("HTTPS does not answer plain HTTP, which RUNNEL_HTTP_REDIRECT_PORT redirects", async () => {
  await using folder = new DataFolder();
  const free = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = free.addr;
  free.close();
  const { program } = await start(folder, { more: { RUNNEL_HTTP_REDIRECT_PORT: String(port) } });
  await using _program = program;
  await rejects(fetch(program.url.replace("https:", "http:")));
  const response = await fetch(`http://127.0.0.1:${port}/pipelines/p_a?a=b`, {
    redirect: "manual",
  });
  await response.body?.cancel();
  deepEqual(
    [response.status, response.headers.get("Location")],
    [308, `${program.url}/pipelines/p_a?a=b`],
  );
  const { code, lines } = await Program.startExpectingFailure({
    RUNNEL_KV: ":memory:",
    RUNNEL_TLS_CERT: `${folder.path}/cert.pem`,
    RUNNEL_TLS_KEY: `${folder.path}/key.pem`,
    RUNNEL_HTTP_REDIRECT_PORT: String(port),
  });
  deepEqual([code, lines], [1, [
    `Cannot start: port ${port} is in use. Stop what uses it, or set RUNNEL_HTTP_REDIRECT_PORT to another`,
  ]]);
  program.kill("SIGTERM");
  equal(await program.exit(), 0);
});

for (const isolates of ["1", "2"]) {
  Deno.test(`HTTPS of ${isolates} isolates does not start without a valid certificate, with one line`, async () => {
    await using folder = new DataFolder();
    const settings = {
      RUNNEL_KV: folder.kv,
      RUNNEL_ISOLATES: isolates,
      RUNNEL_TLS_CERT: await folder.make("cert.pem", FIRST.cert),
      RUNNEL_TLS_KEY: await folder.make("key.pem", SECOND.key),
    };
    const { code, lines } = await Program.startExpectingFailure(settings);
    deepEqual([code, lines.length], [1, 1]);
    match(lines[0]!, /^Cannot start: the key in ".*\/key.pem" is not that of the certificate/);
  });
}
