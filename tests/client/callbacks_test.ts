import {
  deepStrictEqual as deepEqual,
  rejects,
  strictEqual as equal,
  throws,
} from "node:assert/strict";
import { SubscribeError } from "../../lib/client/mod.ts";
import { block, live, startScripted } from "../support/clients/scripted_service.ts";
import { flush, until } from "../support/wait.ts";

/** Collects the errors that nobody catches, which would end the test, while `run` runs. */
async function collectUncaught(run: () => Promise<void>): Promise<unknown[]> {
  const errors: unknown[] = [];
  const onError = (event: ErrorEvent | PromiseRejectionEvent) => {
    event.preventDefault();
    errors.push(event instanceof ErrorEvent ? event.error : event.reason);
  };
  globalThis.addEventListener("error", onError);
  globalThis.addEventListener("unhandledrejection", onError);
  try {
    await run();
    await flush();
  } finally {
    globalThis.removeEventListener("error", onError);
    globalThis.removeEventListener("unhandledrejection", onError);
  }
  return errors;
}

Deno.test("subscribe() calls each callback with its events, in order", async () => {
  const seen: unknown[] = [];
  const see = (event: { type: string; id: string }) => void seen.push(`${event.type} ${event.id}`);
  const { service, subscription } = startScripted({
    onEvent: see,
    onLive: see,
    onGap: see,
    onEnd: see,
  });
  deepEqual(seen, []);
  (await service.next()).send(
    block("runnel.gap", { missed: 2, reason: "evicted" }, "e-2"),
    block("orders", 1, "e-3"),
    live("e-3", 1),
    block("runnel.end", { events: 3 }, "e-4"),
  );
  await subscription.closed;
  deepEqual(seen, ["gap e-2", "event e-3", "live e-3", "end e-4"]);
});

Deno.test("subscribe() goes on after a callback that throws or rejects, and the error is uncaught", async () => {
  const seen: unknown[] = [];
  const errors = await collectUncaught(async () => {
    const { service, subscription } = startScripted({
      onEvent({ payload }) {
        seen.push(payload);
        if (payload === 1) throw new Error("of event 1");
        return payload === 2 ? Promise.reject(new Error("of event 2")) : undefined;
      },
      onState({ name }) {
        if (name === "catching-up") throw new Error("of a state");
      },
    });
    (await service.next()).send(...[1, 2, 3].map((number) => block("x", number, `e-${number}`)));
    await until(() => seen.length === 3);
    equal(subscription.lastEventId, "e-3");
    subscription.close();
  });
  deepEqual(seen, [1, 2, 3]);
  deepEqual(errors.map((error) => (error as Error).message), [
    "of a state",
    "of event 1",
    "of event 2",
  ]);
});

Deno.test("subscribe() with callbacks rejects a refusal, which is not silent", async () => {
  const onLive = () => {};
  const refuse = async (options: Parameters<typeof startScripted>[0]) => {
    const { service, subscription } = startScripted(options);
    (await service.next()).answer(Response.json({ detail: "No" }, { status: 404 }));
    return subscription;
  };
  const silent = await collectUncaught(async () => {
    const subscription = await refuse({ onLive, onState: undefined });
    await until(() => subscription.state.name === "refused");
  });
  deepEqual(silent.map((error) => (error as SubscribeError).status), [404]);
  const told = await collectUncaught(async () => {
    const subscription = await refuse({ onLive });
    await until(() => subscription.state.name === "refused");
    await rejects(subscription.closed, SubscribeError);
  });
  deepEqual(told, []);
});

Deno.test("subscribe() with callbacks cannot be iterated as well", async () => {
  const { subscription } = startScripted({ onEvent: () => {} });
  throws(() => subscription[Symbol.asyncIterator](), TypeError);
  subscription.close();
  await subscription.closed;
});

Deno.test("subscribe() closes from inside of a callback", async () => {
  const seen: unknown[] = [];
  const { service, subscription, clock } = startScripted({
    onEvent({ payload }) {
      seen.push(payload);
      subscription.close();
    },
  });
  const request = await service.next();
  request.send(block("x", 1, "e-1"), block("x", 2, "e-2"));
  await subscription.closed;
  await flush();
  deepEqual(seen, [1]);
  equal(request.signal.aborted, true);
  equal(clock.liveTimers, 0);
});
