import { strictEqual as equal, throws } from "node:assert/strict";
import { SubscriberPlaces } from "../../lib/hub/subscriber_quota.ts";

const FULL = { type: "overloaded", message: "Cannot subscribe: this instance is full. Try again" };
const PIPELINE_FULL = {
  type: "overloaded",
  message: "Cannot subscribe: this pipeline is full here. Try again",
};
const ADDRESS_FULL = {
  type: "too-many-requests",
  message: "Cannot subscribe: this address has too many streams. Close one",
};

function places(): SubscriberPlaces {
  return new SubscriberPlaces({
    maxSubscribers: 4,
    maxPipelineSubscribers: 3,
    maxAddressSubscribers: 2,
  });
}

Deno.test("SubscriberPlaces.take() refuses one too many in all", () => {
  const all = places();
  for (const pipeline of ["p_a", "p_b", "p_c", "p_d"]) all.take(pipeline, null);
  throws(() => all.take("p_e", null), FULL);
  equal(all.taken, 4);
});

Deno.test("SubscriberPlaces.take() refuses one too many of a pipeline, and takes those of others", () => {
  const all = places();
  for (let i = 0; i < 3; i++) all.take("p_a", null);
  throws(() => all.take("p_a", null), PIPELINE_FULL);
  all.take("p_b", null);
});

Deno.test("SubscriberPlaces.take() refuses one too many of an address, whatever their pipelines", () => {
  const all = places();
  all.take("p_a", "192.0.2.1");
  all.take("p_b", "192.0.2.1");
  throws(() => all.take("p_c", "192.0.2.1"), ADDRESS_FULL);
  all.take("p_c", "192.0.2.2");
});

Deno.test("SubscriberPlaces.take() does not count by the address who has none", () => {
  const all = places();
  for (const pipeline of ["p_a", "p_b", "p_c"]) all.take(pipeline, null);
  equal(all.taken, 3);
});

Deno.test("SubscriberPlaces.take() keeps no place of whom it refuses", () => {
  const all = places();
  const leaves = [all.take("p_a", "192.0.2.1"), all.take("p_a", "192.0.2.1")];
  for (let i = 0; i < 10; i++) throws(() => all.take("p_a", "192.0.2.1"), ADDRESS_FULL);
  equal(all.taken, 2);
  // A place that was kept would be missing here.
  leaves.push(all.take("p_a", "192.0.2.2"));
  throws(() => all.take("p_a", "192.0.2.2"), PIPELINE_FULL);
  for (const leave of leaves) leave();
  equal(all.taken, 0);
});

Deno.test("SubscriberPlaces.take() gives all places back, once", () => {
  const all = places();
  const leave = all.take("p_a", "192.0.2.1");
  all.take("p_a", "192.0.2.1");
  leave();
  leave();
  equal(all.taken, 1);
  all.take("p_b", "192.0.2.1");
  throws(() => all.take("p_c", "192.0.2.1"), ADDRESS_FULL);
});
