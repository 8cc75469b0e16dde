/**
 * A small shop whose workflow runs a few times a second, for something to watch:
 * `deno task demo`.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { defineComponent, DeliveryError, runWorkflow, type Workflow } from "../workflow/mod.ts";

/** The least time between two runs of the workflow, in milliseconds; up to twice that. */
const PAUSE_MS = 300;

/** How long a newcomer waits to hear that there is no service, in milliseconds. */
const FIRST_DELIVERY_MS = 3000;

/** How long a service that was there may be away, in milliseconds. */
const DELIVERY_MS = 300_000;

/** How often an order that is open goes on, and no new one comes: it has two ways to go. */
const PROGRESS = 0.75;

const CUSTOMERS = ["Luke", "Han", "Leia", "Obi Wan", "Padmé", "Lando"];
const ITEMS = ["lightsaber", "droid", "cloak", "blaster", "hyperdrive"];
const CARRIERS = ["Falcon Express", "Bespin Cargo", "Tatooine Post"];

/** Makes the one step of the workflow: each run is something that happens to an order. */
function createShop(random: () => number) {
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)]!;
  const open: { order: number; state: "ordered" | "paid"; total: number }[] = [];
  let orders = 1000;
  return defineComponent({
    run({ $ }) {
      const next = random() < PROGRESS ? open.shift() : undefined;
      if (next?.state === "ordered") {
        const { order, total } = next;
        $.send.sse({ channel: "payments", payload: { order, amount: total, currency: "EUR" } });
        open.push({ ...next, state: "paid" });
      } else if (next) {
        const { order } = next;
        $.send.sse({ channel: "shipments", payload: { order, carrier: pick(CARRIERS) } });
      } else {
        const order = ++orders;
        const total = Math.round(random() * 20_000) / 100;
        const payload = { order, customer: pick(CUSTOMERS), item: pick(ITEMS), total };
        $.send.sse({ channel: "orders", payload });
        open.push({ order, state: "ordered", total });
      }
    },
  });
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      pipeline: { type: "string", default: "p_demo" },
      url: { type: "string", default: "http://localhost:8000" },
      token: { type: "string", default: Deno.env.get("RUNNEL_TOKEN") ?? "" },
    },
  });
  const onRetry = (reason: string) => console.error(`${reason}. Trying again`);
  const steps = [{ name: "shop", component: createShop(Math.random) }];
  const workflow: Workflow = { ...values, steps };
  await runWorkflow({ ...workflow, delivery: { maxMs: FIRST_DELIVERY_MS } });
  console.log(`Orders, payments and shipments of a small shop go to ${values.pipeline}.`);
  const stream = `${values.url.replace(/\/+$/, "")}/pipelines/${values.pipeline}/sse`;
  console.log(`Watch them: curl -N ${stream}`);
  console.log("Ctrl-C ends it.");
  while (true) {
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS * (1 + Math.random())));
    await runWorkflow({ ...workflow, delivery: { maxMs: DELIVERY_MS, onRetry } });
  }
}

if (import.meta.main) {
  try {
    await main();
  } catch (error) {
    if (!(error instanceof DeliveryError || error instanceof TypeError)) throw error;
    console.error(error.message);
    if (error instanceof DeliveryError && error.status === null) {
      console.error("Start the service first: deno task start");
    }
    Deno.exit(1);
  }
}
