import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { block, Collected, live, startScripted } from "../support/clients/scripted_service.ts";
import { flush, until } from "../support/wait.ts";

/** A storage of one page. */
function createStorage(items: Record<string, string> = {}) {
  return {
    items,
    getItem: (key: string) => items[key] ?? null,
    setItem: (key: string, value: string) => void (items[key] = value),
  };
}

Deno.test("subscribe() keeps the last ID under its key, and continues after it", async () => {
  const storage = createStorage();
  const first = startScripted({ resumeKey: "orders", storage });
  const collected = new Collected(first.subscription);
  const request = await first.service.next();
  equal(request.lastEventId, null);
  request.send(block("orders", 1, "e-1"), live("e-1"), ":keepalive\nid: e-3\n\n");
  await collected.until(2);
  await flush();
  deepEqual(storage.items, { orders: "e-3" });
  first.subscription.close();

  const second = startScripted({ resumeKey: "orders", storage });
  equal(second.subscription.lastEventId, "e-3");
  void new Collected(second.subscription);
  equal((await second.service.next()).lastEventId, "e-3");
  second.subscription.close();

  const other = startScripted({ resumeKey: "paid", storage });
  equal(other.subscription.lastEventId, "");
  const explicit = startScripted({ resumeKey: "orders", storage, lastEventId: "e-9" });
  equal(explicit.subscription.lastEventId, "e-9");
});

Deno.test("subscribe() stores an ID when its event was consumed, and not before", async () => {
  const storage = createStorage();
  const { service, subscription } = startScripted({ resumeKey: "k", storage });
  const iterator = subscription[Symbol.asyncIterator]();
  const first = iterator.next();
  (await service.next()).send(block("orders", 1, "e-1"), block("orders", 2, "e-2"));
  await first;
  await flush();
  equal(subscription.lastEventId, "e-1");
  deepEqual(storage.items, {});
  await iterator.next();
  deepEqual(storage.items, { k: "e-1" });
  subscription.close();
});

Deno.test("subscribe() does without a storage that is full, forbidden or missing", async () => {
  const full = {
    getItem: () => null,
    setItem() {
      throw new DOMException("full", "QuotaExceededError");
    },
  };
  const forbidden = {
    getItem() {
      throw new DOMException("forbidden", "SecurityError");
    },
    setItem() {
      throw new DOMException("forbidden", "SecurityError");
    },
  };
  const descriptor = Object.getOwnPropertyDescriptor(globalThis, "sessionStorage")!;
  try {
    for (const storage of [full, forbidden, undefined]) {
      Object.defineProperty(globalThis, "sessionStorage", {
        configurable: true,
        get() {
          throw new DOMException("forbidden", "SecurityError");
        },
      });
      const { service, subscription } = startScripted({ resumeKey: "k", storage });
      const collected = new Collected(subscription);
      (await service.next()).send(block("orders", 1, "e-1"), live("e-1"));
      await collected.until(2);
      equal(collected.isOver, false);
      subscription.close();
      await until(() => collected.isOver);
      equal(collected.error, null);
    }
  } finally {
    Object.defineProperty(globalThis, "sessionStorage", descriptor);
  }
});
