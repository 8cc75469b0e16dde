import { strictEqual as equal, throws } from "node:assert/strict";
import { SubscriberQuota } from "../../lib/hub/subscriber_quota.ts";

const FULL = { type: "overloaded", message: "Cannot subscribe: this instance is full. Try again" };
const PIPELINE_FULL = {
  type: "overloaded",
  message: "Cannot subscribe: the pipeline p_a is full here. Try again",
};
const ADDRESS_FULL = {
  type: "too-many-requests",
  message: "Cannot subscribe: this address has too many streams. Close one",
};

function createQuota(): SubscriberQuota {
  return new SubscriberQuota({
    maxSubscribers: 4,
    maxPipelineSubscribers: 3,
    maxAddressSubscribers: 2,
  });
}

Deno.test("SubscriberQuota.acquire() refuses one subscriber too many in total", () => {
  const quota = createQuota();
  for (const pipeline of ["p_a", "p_b", "p_c", "p_d"]) quota.acquire([pipeline], null);
  throws(() => quota.acquire(["p_e"], null), FULL);
  equal(quota.inUse, 4);
});

Deno.test("SubscriberQuota.acquire() refuses one too many of a pipeline, not of others", () => {
  const quota = createQuota();
  for (let i = 0; i < 3; i++) quota.acquire(["p_a"], null);
  throws(() => quota.acquire(["p_a"], null), PIPELINE_FULL);
  quota.acquire(["p_b"], null);
});

Deno.test("SubscriberQuota.acquire() refuses one too many of an address over all pipelines", () => {
  const quota = createQuota();
  quota.acquire(["p_a"], "192.0.2.1");
  quota.acquire(["p_b"], "192.0.2.1");
  throws(() => quota.acquire(["p_c"], "192.0.2.1"), ADDRESS_FULL);
  quota.acquire(["p_c"], "192.0.2.2");
});

Deno.test("SubscriberQuota.acquire() counts no client by its address that has none", () => {
  const quota = createQuota();
  for (const pipeline of ["p_a", "p_b", "p_c"]) quota.acquire([pipeline], null);
  equal(quota.inUse, 3);
});

Deno.test("SubscriberQuota.acquire() holds nothing for a subscriber that it refuses", () => {
  const quota = createQuota();
  const held = [quota.acquire(["p_a"], "192.0.2.1"), quota.acquire(["p_a"], "192.0.2.1")];
  for (let i = 0; i < 10; i++) throws(() => quota.acquire(["p_a"], "192.0.2.1"), ADDRESS_FULL);
  equal(quota.inUse, 2);
  // A quota that was held would be missing here.
  held.push(quota.acquire(["p_a"], "192.0.2.2"));
  throws(() => quota.acquire(["p_a"], "192.0.2.2"), PIPELINE_FULL);
  for (const each of held) each[Symbol.dispose]();
  equal(quota.inUse, 0);
});

Deno.test("SubscriberQuota.acquire() releases each quota once, however often it is disposed", () => {
  const quota = createQuota();
  const held = quota.acquire(["p_a"], "192.0.2.1");
  quota.acquire(["p_a"], "192.0.2.1");
  held[Symbol.dispose]();
  held[Symbol.dispose]();
  equal(quota.inUse, 1);
  quota.acquire(["p_b"], "192.0.2.1");
  throws(() => quota.acquire(["p_c"], "192.0.2.1"), ADDRESS_FULL);
});

Deno.test("SubscriberQuota.assertRoom() counts nobody", () => {
  const quota = createQuota();
  for (let i = 0; i < 10; i++) quota.assertRoom(["p_a"], "192.0.2.1");
  equal(quota.inUse, 0);
  for (let i = 0; i < 2; i++) quota.acquire(["p_a"], "192.0.2.1");
  throws(() => quota.assertRoom(["p_a"], "192.0.2.1"), ADDRESS_FULL);
  quota.acquire(["p_a"], null);
  throws(() => quota.assertRoom(["p_a"], null), PIPELINE_FULL);
  quota.acquire(["p_b"], null);
  throws(() => quota.assertRoom(["p_b"], null), FULL);
});
