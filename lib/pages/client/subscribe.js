/* @ts-self-types="../../client/subscribe.ts" */
// @ts-nocheck: built from lib/client/subscribe.ts by "deno task build".

import { callBack } from "./call_back.js";
import { Connection } from "./connection.js";

export function subscribe(url, options) {
  const connection = new Connection(url, options);
  const callbacks = {
    event: options.onEvent,
    live: options.onLive,
    gap: options.onGap,
    end: options.onEnd,
  };
  if (!Object.values(callbacks).some(Boolean)) return connection;
  // Otherwise, a refusal that nobody awaits is an unhandled rejection, and not silent.
  if (options.onState) connection.closed.catch(() => {});
  connection[Symbol.asyncIterator] = () => {
    throw new TypeError("Cannot iterate: it has callbacks");
  };
  void callAll(connection, callbacks);
  return connection;
}

async function callAll({ events }, callbacks) {
  // Not before the caller has the subscription.
  await undefined;
  try {
    for await (const event of events) await callBack(callbacks[event.type], event);
  } catch {
    // `closed` rejects with it.
  }
}
