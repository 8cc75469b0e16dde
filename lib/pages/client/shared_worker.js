/* @ts-self-types="../../client/shared_worker.ts" */
// @ts-nocheck: built from lib/client/shared_worker.ts by "deno task build".

// All modules, for a browser to request them at once.
import "./attempt.js";
import "./back_off.js";
import "./call_back.js";
import "./client_event.js";
import "./connection.js";
import "./credentials.js";
import "./errors.js";
import "./request.js";
import "./resume_store.js";
import "./shared_choice.js";
import "./shared_group.js";
import "./shared_message_checks.js";
import "./shared_messages.js";
import "./shared_pool.js";
import "./shared_ports.js";
import "./shared_positions.js";
import "./shared_record.js";
import "./shared_stream.js";
import "./shared_streams.js";
import "./shared_tab.js";
import "./stream_parser.js";
import "./subscribe.js";
import "./system_clock.js";
import "./transport.js";

import { systemClock } from "./system_clock.js";
import { SharedPorts } from "./shared_ports.js";
import { SharedStreams } from "./shared_streams.js";
import { subscribe } from "./subscribe.js";

const CHECK_MS = 5_000;

const scope = globalThis;
const { locks } = scope.navigator;

const lock = new Promise((resolve) => {
  const name = `runnel-worker-${crypto.randomUUID()}`;
  void locks.request(name, () => {
    resolve(name);
    return new Promise(() => {});
  });
});

const ports = new SharedPorts(new SharedStreams({ subscribe, clock: systemClock }), lock);

scope.onconnect = ({ ports: [port] }) => ports.connect(port);

setInterval(async () => {
  const { held } = await locks.query();
  ports.removeGone(new Set(held.map(({ name }) => name)));
}, CHECK_MS);
