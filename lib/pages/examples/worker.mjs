// @ts-check
// Counts the events of a pipeline by channel. It can be stopped, or killed, at any time: when it
// starts again, it counts what it has missed, and each event once.
//
//   npm install eventsource
//   node worker.mjs

import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import process from "node:process";
import { EventSource } from "eventsource";

const STREAM = "http://localhost:8000/pipelines/p_demo/sse";
const CHANNELS = ["orders", "payments", "shipments"];
const FILE = "state.json";

/** @type {{ lastEventId: string, counts: Record<string, number>, missed: number }} */
const state = existsSync(FILE)
  ? JSON.parse(readFileSync(FILE, "utf8"))
  : { lastEventId: "", counts: {}, missed: 0 };

// Without an ID, the stream begins with the history.
const url = new URL(STREAM);
if (state.lastEventId) url.searchParams.set("lastEventId", state.lastEventId);
const source = new EventSource(url);

for (const channel of CHANNELS) {
  source.addEventListener(channel, (event) => {
    state.counts[channel] = (state.counts[channel] ?? 0) + 1;
    save(event.lastEventId);
    console.log(`${channel}: ${event.data}`);
  });
}

// Events that this worker should have received are no longer in the log.
source.addEventListener("runnel.gap", (event) => {
  const { missed, reason } = JSON.parse(event.data);
  state.missed += missed ?? 0;
  save(event.lastEventId);
  // An unknown ID is one of another log, such as that of a new store. Its history follows.
  console.error(missed === null ? "The last event ID is unknown." : `Missed ${missed}: ${reason}.`);
});

// All missed events have arrived. The ID is saved here, too, so that a worker which has not received
// any event yet does not start with the history again.
source.addEventListener("runnel.live", (event) => {
  save(event.lastEventId);
  console.log("Live.");
});

// The run has ended, and nothing follows.
source.addEventListener("runnel.end", (event) => {
  save(event.lastEventId);
  leave();
});

// EventSource reconnects by itself, unless the service has refused the stream. To a worker that has
// the end of the run it answers 204.
source.addEventListener("error", ({ code, message }) => {
  if (source.readyState !== EventSource.CLOSED) return;
  if (code === 204) leave();
  console.error(`The stream was refused: ${code ?? ""} ${message ?? ""}`);
  process.exit(1);
});

// While it waits to reconnect, an EventSource of eventsource 5 does not keep the process alive.
setInterval(() => {}, 60_000);

function leave() {
  console.log("The run has ended.");
  process.exit(0);
}

/**
 * Saves the ID together with the counts: both are replaced at once, or neither is. With an ID in a
 * file of its own, a kill between two writes would repeat or lose an event.
 *
 * @param {string} lastEventId
 */
function save(lastEventId) {
  state.lastEventId = lastEventId;
  writeFileSync(`${FILE}.new`, JSON.stringify(state));
  renameSync(`${FILE}.new`, FILE);
}
