import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { type RenewalContext, subscribe } from "../../lib/client/mod.ts";
import { clientClock, Collected } from "../support/clients/scripted_service.ts";
import { bearerHeader, mint, PUBLISH_TOKEN, TOKEN_SETTINGS } from "../support/clients/tokens.ts";
import { type ServedTestService, serveService } from "../support/servers/serve_service.ts";
import { advanceUntil, until } from "../support/wait.ts";

/** Publishes a number to a pipeline of a service that asks for a token. */
async function publish({ url }: ServedTestService, pipeline: string, number: number) {
  const response = await fetch(`${url}/ingest/${pipeline}/numbers`, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...bearerHeader(PUBLISH_TOKEN) },
    body: JSON.stringify(number),
  });
  equal(response.status, 202, await response.text());
}

/** Publishes a number while the port of the service is closed. */
function publishOffline(service: ServedTestService, number: number): Promise<unknown> {
  return service.fetch(
    new Request("http://localhost/ingest/p_a/numbers", {
      method: "POST",
      headers: { "Content-Type": "application/json", ...bearerHeader(PUBLISH_TOKEN) },
      body: JSON.stringify(number),
    }),
  );
}

/** Resolves when a subscription has received numbers, while the time of all goes on. */
async function receive(
  { clock }: ServedTestService,
  collected: Collected,
  numbers: readonly number[],
  stepMs = 1000,
) {
  await advanceUntil(clock, until(() => collected.payloads.length >= numbers.length), stepMs);
  deepEqual(collected.payloads, numbers);
}

Deno.test("subscribe() goes on with another token when that of its stream expires", async () => {
  await using service = await serveService({ settings: TOKEN_SETTINGS });
  const calls: RenewalContext[] = [];
  await using subscription = subscribe(service.url, {
    pipelines: "p_a",
    clock: clientClock(service.clock),
    async getToken(context) {
      calls.push(context);
      return await mint({ subscribe: ["p_a"] }, service.clock.now() + 60_000);
    },
  });
  const collected = new Collected(subscription);
  await publish(service, "p_a", 1);
  await receive(service, collected, [1]);
  // The token ends with a keep-alive after it has expired.
  await advanceUntil(service.clock, until(() => calls.length === 2), 5000);
  await publish(service, "p_a", 2);
  await receive(service, collected, [1, 2]);
  equal(calls[1]!.reason, "expired");
  equal(collected.error, null);
});

for (const pipelines of [["p_a"], ["p_a", "p_b"]]) {
  Deno.test(`subscribe() goes on with another ticket for ${pipelines} when they are revoked`, async () => {
    await using service = await serveService({ settings: TOKEN_SETTINGS });
    const calls: RenewalContext[] = [];
    await using subscription = subscribe(service.url, {
      pipelines,
      clock: clientClock(service.clock),
      async getUrl(context) {
        calls.push(context);
        const { lastEventId } = context;
        const response = await fetch(`${service.url}/tickets`, {
          method: "POST",
          headers: { "Content-Type": "application/json", ...bearerHeader(PUBLISH_TOKEN) },
          body: JSON.stringify({ pipelines, ...lastEventId && { lastEventId } }),
        });
        equal(response.status, 201);
        return (await response.json()).url;
      },
    });
    const collected = new Collected(subscription);
    await publish(service, "p_a", 1);
    await receive(service, collected, [1]);
    await until(() => subscription.state.name === "live");
    // A cut: it comes back with the same ticket.
    await service.cut(() => publishOffline(service, 2));
    await receive(service, collected, [1, 2]);
    equal(calls.length, 1);
    await until(() => subscription.state.name === "live");
    const revocation = await fetch(`${service.url}/pipelines/p_a/tickets`, {
      method: "DELETE",
      headers: bearerHeader(PUBLISH_TOKEN),
    });
    equal(revocation.status, 204);
    await advanceUntil(service.clock, until(() => calls.length === 2), 1000);
    await publish(service, "p_a", 3);
    await receive(service, collected, [1, 2, 3]);
    deepEqual(calls.map(({ reason }) => reason), ["start", "revoked"]);
    equal(calls[1]!.lastEventId !== "", true);
    equal(collected.error, null);
  });
}
