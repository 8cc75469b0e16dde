/* @ts-self-types="../../client/subscribe.ts" */
// @ts-nocheck: built from lib/client/subscribe.ts by "deno task build".

import { callBack, Connection } from "./connection.js";

export function subscribe(url, options) {
  const connection = new Connection(url, options);
  const { onEvent, onLive, onGap, onEnd, onState } = options;
  if (!onEvent && !onLive && !onGap && !onEnd) return connection;
  const callbacks = { event: onEvent, live: onLive, gap: onGap, end: onEnd };
  // Otherwise, a refusal that nobody awaits is an unhandled rejection, and not silent.
  if (onState) connection.closed.catch(() => {});
  void callAll(connection, callbacks);
  return connection;
}

async function callAll(connection, callbacks) {
  // Not before the caller has the subscription.
  await undefined;
  try {
    for await (const event of connection.events) await callBack(callbacks[event.type], event);
  } catch {
    // `closed` rejects with it.
  }
}
