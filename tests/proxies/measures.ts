/**
 * Measures of one property of a proxy each.
 *
 * @module
 */

import { openStream, StreamReader } from "../support/clients/stream_reader.ts";
import { type DocumentedProxy, startProxy } from "../support/programs/documented_proxy.ts";
import type { Certificate, Proxy } from "../support/programs/proxy.ts";
import { readRaw, serveLocally } from "../support/servers/local_server.ts";
import { eventually, PATIENCE_MS } from "../support/wait.ts";

/** Address of a client that says it has another one. */
export const CLIENT = "127.0.0.2";

/** Number of events by which delays are measured, and the time between two, in milliseconds. */
const EVENTS = 40;
const EVENT_MS = 50;

/** Publishes one event, and returns the status of the answer. */
export async function publish(
  url: string,
  pipeline: string,
  text: string,
  client?: Deno.HttpClient,
): Promise<number> {
  const response = await fetch(`${url}/ingest/${pipeline}/said`, {
    method: "POST",
    body: text,
    ...(client && { client }),
  });
  await response.body?.cancel();
  return response.status;
}

/** Rejects if work takes longer than patience lasts. A proxy that holds answers back ends nothing. */
export async function soon<T>(work: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => reject(new Error(`Waited ${PATIENCE_MS} ms in vain`)),
    PATIENCE_MS,
  );
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Measures how much later events arrive through each proxy than without one; returns the delays in
 * milliseconds, sorted, by the names of the proxies.
 */
export async function measureDelays(
  service: string,
  proxies: Map<string, Proxy>,
  client: Deno.HttpClient,
): Promise<Map<string, number[]>> {
  const read = async (url: string) => {
    const arrivals: number[] = [];
    const stream = await openStream({ url }, "p_delays", "", client);
    await stream.until("runnel.live");
    const readAll = async () => {
      while (arrivals.length < EVENTS && await stream.event()) arrivals.push(performance.now());
      await stream.cancel();
    };
    return { arrivals, end: Promise.allSettled([readAll()]) };
  };
  // Of a stream that is refused, cut or held back, events are missing, which the test notices.
  const tryToRead = (url: string) =>
    soon(read(url)).catch(() => ({ arrivals: [], end: undefined }));
  const direct = await read(service);
  const readers = await Promise.all(
    [...proxies].map(async ([name, { url }]) => ({ name, ...await tryToRead(url) })),
  );
  for (let i = 0; i < EVENTS; i++) {
    await publish(service, "p_delays", String(i));
    await new Promise((resolve) => setTimeout(resolve, EVENT_MS));
  }
  await Promise.all(
    [direct, ...readers].map(({ end }) => soon(Promise.resolve(end)).catch(() => {})),
  );
  return new Map(readers.map(({ name, arrivals }) => [
    name,
    arrivals.map((at, i) => at - direct.arrivals[i]!).sort((a, b) => a - b),
  ]));
}

/** Options for {@linkcode leave}. */
export interface LeaveOptions {
  /** Address of the service. */
  service: string;
  /** Address of the proxy. */
  url: string;
  pipeline: string;
  /** Number of streams that the pipeline has places for. */
  places: number;
  client: Deno.HttpClient;
}

/** Measures the time until the service notices that a reader has left, in milliseconds. */
export async function leave(
  { service, url, pipeline, places, client }: LeaveOptions,
): Promise<number> {
  const isFull = async () => {
    const response = await fetch(`${service}/pipelines/${pipeline}/sse`);
    await response.body?.cancel();
    return response.status === 503;
  };
  const leaving = await openStream({ url }, pipeline, "", client);
  const others = await Promise.all(
    Array.from({ length: places - 1 }, () => openStream({ url: service }, pipeline)),
  );
  await eventually("the pipeline is full", isFull);
  const leftAt = performance.now();
  await leaving.cancel();
  await eventually("a place is free", async () => !await isFull());
  const ms = performance.now() - leftAt;
  for (const stream of others) await stream.cancel();
  return ms;
}

/** Requests a ticket through a proxy, and returns its URL and the first event that it opens. */
export async function openTicket(
  url: string,
  client: Deno.HttpClient,
): Promise<{ url: string; opens: string }> {
  const response = await fetch(`${url}/pipelines/p_ticket/tickets`, {
    method: "POST",
    client,
    // Only a proxy to which another one speaks passes it on.
    headers: { "X-Forwarded-Proto": "https" },
  });
  const ticket = await response.json();
  const { pathname, search } = new URL(ticket.url);
  const stream = new StreamReader(await fetch(url + pathname + search, { client }));
  const event = await stream.event();
  await stream.cancel();
  return { url: ticket.url, opens: event?.type ?? "nothing" };
}

/** Returns the headers that reach the service from a client that forges some. */
export async function requestHeaders(
  documented: DocumentedProxy,
  certificate: Certificate,
): Promise<Record<string, string>> {
  await using server = serveLocally((request) =>
    Promise.resolve(Response.json(Object.fromEntries(request.headers)))
  );
  await using proxy = await startProxy(documented, { certificate, url: server.url });
  using client = Deno.createHttpClient({ caCerts: [certificate.pem], localAddress: CLIENT });
  const response = await fetch(`${proxy.url}/healthz`, {
    client,
    headers: { "X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "forged" },
  });
  return await response.json();
}

/** Begins an upload that stalls, and returns the first line of the answer. */
export async function stallUpload(url: string, { pem }: Certificate): Promise<string> {
  const { protocol, host, port } = new URL(url);
  const to = { hostname: "127.0.0.1", port: Number(port) };
  const connection = protocol === "https:"
    ? await Deno.connectTls({ ...to, caCerts: [pem] })
    : await Deno.connect(to);
  const head = `POST /ingest/p_stalled/said HTTP/1.1\r\nHost: ${host}\r\n` +
    "Content-Type: text/plain\r\nContent-Length: 1000\r\n\r\nThe begin";
  const writer = connection.writable.getWriter();
  await writer.write(new TextEncoder().encode(head));
  writer.releaseLock();
  const text = await readRaw(connection, (text) => text.includes("\r\n"));
  connection.close();
  return text.split("\r\n")[0]!;
}
