import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { systemClock } from "../../lib/base/clock.ts";
import { type ConnectionState, subscribe } from "../../lib/client/mod.ts";
import { clientClock, Collected } from "../support/clients/scripted_service.ts";
import { FakeClock } from "../support/fakes/clock.ts";
import { Nginx, systemNginx } from "../support/programs/nginx.ts";
import { testWithRequirements } from "../support/programs/requirements.ts";
import { serveService } from "../support/servers/serve_service.ts";
import { eventually } from "../support/wait.ts";

/** Directives with which nginx holds answers back, although the service asks it not to. */
const BUFFERED = "proxy_buffering on; proxy_ignore_headers X-Accel-Buffering;";

/** Settings of a proxy that spoil streams, and the transport that the client ends with. */
const PROXIES: [string, string, ConnectionState["transport"]][] = [
  ["holds back 4 KiB", `${BUFFERED} proxy_buffer_size 4k; proxy_buffers 8 4k;`, "poll"],
  ["holds back 16 KiB", `${BUFFERED} proxy_buffer_size 16k; proxy_buffers 8 16k;`, "poll"],
  [
    "holds back whole answers",
    `${BUFFERED} proxy_buffer_size 64k; proxy_buffers 4 1m; proxy_busy_buffers_size 1m;`,
    "poll",
  ],
  ["holds nothing back", "", "stream"],
];

for (const [name, directives, transport] of PROXIES) {
  testWithRequirements(
    [systemNginx],
    `subscribe() receives each event once by the ${transport} behind an nginx that ${name}`,
    async () => {
      await using service = await serveService({ clock: systemClock });
      await using nginx = await Nginx.start(
        `location / { proxy_pass ${service.url}; ${directives} }`,
      );
      // Its first buffers are full of history, so that something of a stream arrives.
      const long = "x".repeat(500);
      const pipelines = ["p_short", "p_long"];
      for (let number = 0; number < 50; number++) await service.publish("p_long", "x", long);
      for (const pipeline of pipelines) {
        const clock = new FakeClock();
        await using subscription = subscribe(nginx.url, {
          pipelines: pipeline,
          clock: clientClock(clock),
        });
        const collected = new Collected(subscription);
        await eventually("a stream is open", () => service.hub.stats.subscribers > 0);
        await eventually("the client is live", () => {
          // A second of the client for every look. It waits in vain for the stream.
          if (transport === "poll") clock.advance(1000);
          return subscription.state.name === "live";
        });
        equal(subscription.state.transport, transport);
        const sent = [];
        for (let number = 0; number < 5; number++) {
          await service.publish(pipeline, "number", number);
          sent.push(number);
          await eventually(`number ${number} has arrived`, () => {
            clock.advance(50);
            return collected.payloads.at(-1) === number;
          });
        }
        const received = collected.payloads.filter((payload) => payload !== long);
        deepEqual(received, sent);
        equal(collected.payloads.length - received.length, pipeline === "p_long" ? 50 : 0);
        ok(collected.events.every(({ type }) => type === "event" || type === "live"));
        equal(collected.events.filter(({ type }) => type === "live").length, 1);
      }
    },
  );
}

testWithRequirements(
  [systemNginx],
  "subscribe() receives each event once behind an nginx that cuts what is silent",
  async () => {
    await using service = await serveService({ clock: systemClock });
    for (const directives of ["", BUFFERED]) {
      await using nginx = await Nginx.start(
        `location / { proxy_pass ${service.url}; proxy_read_timeout 1s; ${directives} }`,
      );
      // Ten seconds of the client are one of nginx.
      const begin = performance.now();
      const clock = {
        now: () => 10 * (performance.now() - begin),
        after(ms: number, run: () => void) {
          const timer = setTimeout(run, ms / 10);
          return () => clearTimeout(timer);
        },
      };
      let cuts = 0;
      const pipeline = directives === "" ? "p_cut" : "p_held";
      await using subscription = subscribe(nginx.url, {
        pipelines: pipeline,
        clock,
        async fetch(url, init) {
          const response = await fetch(url, init);
          if (response.status === 504) cuts++;
          return response;
        },
        onState: ({ name }) => void (name === "waiting" && cuts++),
      });
      const collected = new Collected(subscription);
      for (let number = 0; number < 2; number++) {
        const before = cuts;
        await eventually("nginx has cut a connection", () => cuts > before);
        await service.publish(pipeline, "number", number);
        await eventually("the event has arrived", () => collected.payloads.length > number);
      }
      deepEqual(collected.payloads, [0, 1]);
      equal(subscription.state.transport, directives === "" ? "stream" : "poll");
    }
  },
);
