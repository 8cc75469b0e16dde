/**
 * Runs the workflow of a small shop a few times a second, so that there is a
 * stream to watch: `deno task demo`.
 *
 * @module
 */

import { type Arguments, runCommand } from "../base/mod.ts";
import {
  defineComponent,
  DeliveryError,
  type DeliveryOptions,
  runWorkflow,
  type SseEvent,
  type Workflow,
} from "../workflow/mod.ts";
import { createRetryReport } from "./retry_report.ts";

const USAGE = `Runs the workflow of a small shop a few times a second, until Ctrl-C.

  deno task demo [options]

  --pipeline ID  pipeline to send to; the ID starts with p_ (default: p_demo)
  --url URL      URL of the service (default: http://localhost:8000)
  --token TOKEN  token of a publisher (default: RUNNEL_TOKEN)
  -h, --help     print this help`;

/** Shortest pause between two runs of the workflow, in milliseconds. The longest is twice that. */
const PAUSE_MS = 300;

/** Time limit of the first delivery, in milliseconds: a user without a service learns it soon. */
const FIRST_DELIVERY_MS = 3000;

/** Time limit of each later delivery, in milliseconds: longer than a restart of the service. */
const DELIVERY_MS = 300_000;

/**
 * Probability that a run continues an open order instead of adding one. An order
 * takes two such runs, so above two thirds the open orders do not pile up.
 */
const PROGRESS = 0.75;

const CUSTOMERS = ["Luke", "Han", "Leia", "Obi Wan", "Padmé", "Lando"];
const ITEMS = ["lightsaber", "droid", "cloak", "blaster", "hyperdrive"];
const CARRIERS = ["Falcon Express", "Bespin Cargo", "Tatooine Post"];

/**
 * Creates the one step of the workflow. In each run, an order is placed, paid or
 * shipped, which `onEvent` is told.
 */
function createShop(random: () => number, onEvent: (event: SseEvent) => void) {
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)]!;
  const open: { order: number; state: "ordered" | "paid"; total: number }[] = [];
  let orders = 1000;
  return defineComponent({
    run({ $ }) {
      const send = (event: SseEvent) => {
        $.send.sse(event);
        onEvent(event);
      };
      const next = random() < PROGRESS ? open.shift() : undefined;
      if (next?.state === "ordered") {
        const { order, total } = next;
        send({ channel: "payments", payload: { order, amount: total, currency: "EUR" } });
        open.push({ ...next, state: "paid" });
      } else if (next) {
        const { order } = next;
        send({ channel: "shipments", payload: { order, carrier: pick(CARRIERS) } });
      } else {
        const order = ++orders;
        const total = Math.round(random() * 20_000) / 100;
        const payload = { order, customer: pick(CUSTOMERS), item: pick(ITEMS), total };
        send({ channel: "orders", payload });
        open.push({ order, state: "ordered", total });
      }
    },
  });
}

async function run({ values }: Arguments<ReturnType<typeof createOptions>>): Promise<void> {
  let event: SseEvent;
  const component = createShop(Math.random, (sent) => event = sent);
  const workflow: Workflow = { ...values, steps: [{ name: "shop", component }] };
  const deliver = async (delivery: DeliveryOptions) => {
    const { delivered: [sent] } = await runWorkflow({ ...workflow, delivery });
    return `${sent!.id} ${sent!.channel} ${JSON.stringify(event.payload)}`;
  };
  const first = await deliver({ maxMs: FIRST_DELIVERY_MS });
  console.log(`Sending orders, payments and shipments of a small shop to ${values.pipeline}.`);
  const stream = `${values.url.replace(/\/+$/, "")}/pipelines/${values.pipeline}/sse`;
  console.log(`Watch them: curl -N ${stream}`);
  console.log("Press Ctrl-C to stop.");
  console.log(first);
  while (true) {
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS * (1 + Math.random())));
    // A report for each: a service that is gone again is told again.
    console.log(await deliver({ maxMs: DELIVERY_MS, onRetry: createRetryReport(console.error) }));
  }
}

function createOptions() {
  return {
    pipeline: { type: "string", default: "p_demo" },
    url: { type: "string", default: "http://localhost:8000" },
    token: { type: "string", default: Deno.env.get("RUNNEL_TOKEN") ?? "" },
  } as const;
}

if (import.meta.main) {
  try {
    await runCommand({ usage: USAGE, options: createOptions() }, run);
  } catch (error) {
    if (!(error instanceof DeliveryError || error instanceof TypeError)) throw error;
    console.error(error.message);
    if (error instanceof DeliveryError && error.status === null) {
      console.error("Start the service first: deno task start");
    }
    Deno.exit(1);
  }
}
