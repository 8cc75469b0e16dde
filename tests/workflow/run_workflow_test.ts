import {
  deepStrictEqual as deepEqual,
  match,
  ok,
  rejects,
  strictEqual as equal,
  throws,
} from "node:assert/strict";
import { type Actions, type Component, defineComponent } from "../../lib/workflow/component.ts";
import { DeliveryError } from "../../lib/workflow/delivery_error.ts";
import { runWorkflow } from "../../lib/workflow/run_workflow.ts";
import { StepError } from "../../lib/workflow/step_error.ts";
import type { Workflow } from "../../lib/workflow/workflow.ts";
import { FakeIngest } from "../support/fakes/ingest.ts";
import { flush } from "../support/wait.ts";

type Run = Component["run"];

/** Workflow whose steps are named s1, s2 and so on. */
function workflow(ingest: FakeIngest, ...runs: Run[]): Workflow {
  const steps = runs.map((run, index) => ({
    name: `s${index + 1}`,
    component: defineComponent({ run }),
  }));
  return { pipeline: "p_a", steps, delivery: ingest.delivery };
}

const send = (payload: unknown): Run => ({ $ }) => $.send.sse({ channel: "c", payload });

const payloads = ({ requests }: FakeIngest) =>
  requests.flatMap(({ events }) => events.map(({ payload }) => payload));

async function stepErrorOf(work: Promise<unknown>): Promise<StepError> {
  try {
    await work;
  } catch (error) {
    ok(error instanceof StepError);
    return error;
  }
  throw new Error("Expected a StepError");
}

// $.send.sse

Deno.test("$.send.sse() returns at once, and sends when the workflow has finished", async () => {
  const ingest = new FakeIngest();
  const { delivered } = await runWorkflow(workflow(
    ingest,
    async ({ $ }) => {
      equal($.send.sse({ channel: "c", payload: 1 }), undefined);
      await Promise.resolve();
      $.send.sse({ channel: "d", payload: 2 });
    },
    () => {
      equal(ingest.requests.length, 0);
    },
  ));
  equal(ingest.requests.length, 1);
  deepEqual(ingest.requests[0]!.events, [
    { pipeline: "p_a", channel: "c", payload: 1 },
    { pipeline: "p_a", channel: "d", payload: 2 },
  ]);
  deepEqual(delivered, [{ channel: "c", id: "E-1" }, { channel: "d", id: "E-2" }]);
});

Deno.test("$.send.sse() serializes the payload when it is called", async () => {
  const ingest = new FakeIngest();
  await runWorkflow(workflow(ingest, ({ $ }) => {
    const payload = { name: "Luke" };
    $.send.sse({ channel: "c", payload });
    payload.name = "Vader";
    $.send.sse({ channel: "c", payload });
  }));
  deepEqual(payloads(ingest), [{ name: "Luke" }, { name: "Vader" }]);
});

Deno.test("$.send.sse() keeps the order of calls over steps, promises and requests", async () => {
  const ingest = new FakeIngest();
  const called: number[] = [];
  const call = ($: Actions) => {
    called.push(called.length);
    $.send.sse({ channel: "c", payload: called.length - 1 });
  };
  await runWorkflow(workflow(
    ingest,
    async ({ $ }) => {
      await Promise.all(Array.from({ length: 700 }, async (_, index) => {
        for (let turn = index % 5; turn > 0; turn--) await Promise.resolve();
        call($);
      }));
    },
    ({ $ }) => {
      for (let index = 0; index < 700; index++) call($);
    },
  ));
  deepEqual(ingest.requests.map(({ events }) => events.length), [1000, 400]);
  deepEqual(payloads(ingest), called);
});

Deno.test("$.send.sse() works without its object", async () => {
  const ingest = new FakeIngest();
  await runWorkflow(
    workflow(ingest, ({ $: { send: { sse } } }) => sse({ channel: "c", payload: 1 })),
  );
  deepEqual(payloads(ingest), [1]);
});

Deno.test("$.send.sse() throws when it is called, and does not send a refused event", async () => {
  const ingest = new FakeIngest();
  await runWorkflow(workflow(ingest, ({ $ }) => {
    throws(() => $.send.sse({ channel: "c" } as never), /payload is missing/);
    throws(() => $.send.sse({ payload: 1 } as never), /channel is missing/);
    $.send.sse({ channel: "c", payload: 1 });
  }));
  deepEqual(payloads(ingest), [1]);
});

Deno.test("$.send.sse() throws with the name of its step when the workflow has finished", async () => {
  const ingest = new FakeIngest();
  let late: Actions;
  await runWorkflow(workflow(ingest, ({ $ }) => void (late = $), send(1)));
  throws(() => late.send.sse({ channel: "c", payload: 2 }), {
    message: "Cannot send: the workflow has finished. " +
      "Await everything in the step s1 that calls $.send.sse()",
  });
  deepEqual(payloads(ingest), [1]);
});

Deno.test("$.send.sse() accepts calls that a step did not await while a later step runs", async () => {
  const ingest = new FakeIngest();
  let unawaited: Promise<void>;
  await runWorkflow(workflow(
    ingest,
    ({ $ }) => {
      unawaited = Promise.resolve().then(() => $.send.sse({ channel: "c", payload: "late" }));
    },
    async ({ $ }) => {
      await unawaited;
      $.send.sse({ channel: "c", payload: "later" });
    },
  ));
  deepEqual(payloads(ingest), ["late", "later"]);
});

Deno.test("runWorkflow() makes no request without events", async () => {
  const ingest = new FakeIngest();
  const { delivered } = await runWorkflow(workflow(ingest, () => {}));
  deepEqual([delivered, ingest.requests], [[], []]);
});

// live

Deno.test("$.send.sse() sends at once with live, in order over steps and promises", async () => {
  const ingest = new FakeIngest();
  const called: number[] = [];
  const call = ($: Actions) => {
    called.push(called.length);
    equal($.send.sse({ channel: "c", payload: called.length - 1 }), undefined);
  };
  const { delivered } = await runWorkflow({
    ...workflow(
      ingest,
      async ({ $ }) => {
        await Promise.all(Array.from({ length: 100 }, async (_, index) => {
          for (let turn = index % 5; turn > 0; turn--) await flush();
          call($);
        }));
        await flush();
        deepEqual(payloads(ingest), called);
      },
      async ({ $ }) => {
        call($);
        await flush();
        deepEqual(payloads(ingest), called);
        for (let index = 0; index < 1200; index++) call($);
      },
    ),
    live: true,
  });
  deepEqual(payloads(ingest), called);
  ok(ingest.requests.length > 3);
  deepEqual(delivered.map(({ id }) => id), called.map((index) => `E-${index + 1}`));
});

Deno.test("$.send.sse() with live does not throw after a failed delivery, but runWorkflow()", async () => {
  const ingest = new FakeIngest(202, 403);
  const error = await runWorkflow({
    ...workflow(ingest, send(1), () => flush(), send(2), () => flush(), send(3)),
    live: true,
  }).catch((error) => error);
  ok(error instanceof DeliveryError);
  equal(error.message, "Cannot deliver 2 of 3 events: http://localhost:8000/ingest answered 403");
  equal(ingest.requests.length, 2);
  deepEqual(error.unsent.flatMap(({ events }) => events.map(({ payload }) => payload)), [2, 3]);
});

Deno.test("runWorkflow() rejects with both errors when a step and a live delivery fail", async () => {
  const cause = new Error("no more droids");
  const error = await stepErrorOf(runWorkflow({
    ...workflow(new FakeIngest(403), send(1), async () => {
      await flush();
      throw cause;
    }),
    live: true,
  }));
  equal(error.cause, cause);
  equal(
    error.message,
    "The step s2 failed: no more droids. " +
      "Cannot deliver 1 of 1 events: http://localhost:8000/ingest answered 403",
  );
  equal(error.delivery!.unsent.length, 1);
});

// $.send.sse.stream

Deno.test("$.send.sse.stream() sends what was deferred and its source while the step runs", async () => {
  const ingest = new FakeIngest();
  const { steps, delivered } = await runWorkflow(workflow(
    ingest,
    send(1),
    async ({ $: { send: { sse: { stream } } } }) => {
      equal(ingest.requests.length, 0);
      const source = ReadableStream.from([2, 3]);
      const count = await stream({ channel: "tokens", source });
      deepEqual(payloads(ingest), [1, 2, 3]);
      return count;
    },
    async ({ $ }) => {
      $.send.sse({ channel: "c", payload: 4 });
      await flush();
      deepEqual(payloads(ingest), [1, 2, 3]);
    },
  ));
  deepEqual(payloads(ingest), [1, 2, 3, 4]);
  equal(steps["s2"]!["$return_value"], 2);
  deepEqual(delivered.map(({ channel }) => channel), ["c", "tokens", "tokens", "c"]);
});

Deno.test("$.send.sse.stream() keeps the order of each of two streams and of calls", async () => {
  const ingest = new FakeIngest();
  async function* generate(name: string) {
    for (let count = 0; count < 50; count++) {
      await flush();
      yield `${name}${count}`;
    }
  }
  await runWorkflow(workflow(ingest, async ({ $ }) => {
    const streams = ["a", "b"].map((name) =>
      $.send.sse.stream({ channel: "c", source: generate(name) })
    );
    for (let count = 0; count < 50; count++) {
      await flush();
      $.send.sse({ channel: "c", payload: `c${count}` });
    }
    await Promise.all(streams);
  }));
  ok(ingest.requests.length > 10);
  for (const name of ["a", "b", "c"]) {
    deepEqual(
      payloads(ingest).filter((payload) => String(payload).startsWith(name)),
      Array.from({ length: 50 }, (_, count) => `${name}${count}`),
    );
  }
});

Deno.test("$.send.sse.stream() rejects in its step, which fails with one message", async () => {
  const error = await stepErrorOf(runWorkflow(workflow(
    new FakeIngest(403),
    send(1),
    ({ $ }) => $.send.sse.stream({ channel: "c", source: ReadableStream.from([2]) }),
  )));
  ok(error.cause instanceof DeliveryError);
  ok(error.delivery);
  match(
    error.message,
    /^The step s2 failed: Cannot deliver \d of \d events: http:\S+ answered 403$/,
  );
});

Deno.test("$.send.sse.stream() leaves what it sent when a later step fails", async () => {
  const ingest = new FakeIngest();
  const error = await stepErrorOf(runWorkflow(workflow(
    ingest,
    ({ $ }) => $.send.sse.stream({ channel: "c", source: ReadableStream.from([1]) }),
    () => {
      throw new Error("no more droids");
    },
  )));
  equal(error.delivered.length, 1);
});

Deno.test("$.send.sse.stream() stops with the name of its step when it was not awaited", async () => {
  const ingest = new FakeIngest();
  let wasCanceled = false;
  let stream: Promise<number>;
  await runWorkflow(workflow(
    ingest,
    ({ $ }) => {
      const source = new ReadableStream({ cancel: () => void (wasCanceled = true) });
      stream = $.send.sse.stream({ channel: "c", source });
      stream.catch(() => {});
    },
    send(1),
  ));
  await rejects(stream!, {
    message: "Cannot send: the workflow has finished. " +
      "Await everything in the step s1 that calls $.send.sse.stream()",
  });
  ok(wasCanceled);
  deepEqual(payloads(ingest), [1]);
});

// announceSteps

const step1 = { step: "s1", number: 1, of: 2 };
const step2 = { step: "s2", number: 2, of: 2 };

const outcomes: [what: string, runs: Run[], events: unknown[]][] = [
  ["finish", [send("a"), send("b")], [
    { ...step1, state: "started" },
    "a",
    { ...step1, state: "finished" },
    { ...step2, state: "started" },
    "b",
    { ...step2, state: "finished" },
  ]],
  ["fail", [() => {
    throw new Error("x".repeat(2000), { cause: new Error("secret") });
  }, send("b")], [
    { ...step1, state: "started" },
    { ...step1, state: "failed", error: "x".repeat(1000) },
  ]],
  ["exit", [({ $ }) => $.flow.exit("enough"), send("b")], [
    { ...step1, state: "started" },
    { ...step1, state: "exited" },
  ]],
];

for (const live of [false, true]) {
  for (const [what, runs, events] of outcomes) {
    Deno.test(`runWorkflow() announces steps that ${what}, with live ${live}`, async () => {
      const ingest = new FakeIngest();
      const announced = { ...workflow(ingest, ...runs), announceSteps: true, live };
      await runWorkflow(announced).catch(() => {});
      deepEqual(payloads(ingest), events);
      for (const { channel, payload } of ingest.requests.flatMap(({ events }) => events)) {
        equal(channel, typeof payload === "string" ? "c" : "steps");
      }
    });
  }
}

// end

for (
  const [what, run, requests] of [
    ["finishes", send(1), ["ingest", "end"]],
    ["sends nothing", () => {}, ["end"]],
    ["fails", () => {
      throw new Error("no more droids");
    }, ["end"]],
  ] as const
) {
  Deno.test(`runWorkflow() ends the run when the workflow ${what}`, async () => {
    const ingest = new FakeIngest();
    await runWorkflow({ ...workflow(ingest, run), end: true }).catch(() => {});
    deepEqual(ingest.requests.map(({ url }) => url.split("/").at(-1)), requests);
  });
}

Deno.test("runWorkflow() does not end the run when the delivery fails", async () => {
  const ingest = new FakeIngest(403);
  await rejects(runWorkflow({ ...workflow(ingest, send(1)), end: true }), DeliveryError);
  equal(ingest.requests.length, 1);
});

Deno.test("runWorkflow() rejects with the delivered events when the run is not ended", async () => {
  const error = await runWorkflow({ ...workflow(new FakeIngest(202, 403), send(1)), end: true })
    .catch((error) => error);
  match(error.message, /^Cannot end the run: http:\S+\/pipelines\/p_a\/end answered 403$/);
  deepEqual([error.delivered.length, error.unsent], [1, []]);
});

// Exports of steps

Deno.test("runWorkflow() passes on the exports of the trigger and of earlier steps", async () => {
  const seen: unknown[] = [];
  const calls: unknown[] = [];
  const { steps, exit } = await runWorkflow({
    ...workflow(
      new FakeIngest(),
      ({ steps, $ }) => {
        seen.push(structuredClone(steps));
        $.export("count", 1);
        $.export("count", 2);
        return "one";
      },
      async ({ steps }) => {
        await Promise.resolve();
        seen.push(structuredClone(steps));
      },
      ({ steps }) => {
        seen.push(structuredClone(steps));
        return null;
      },
    ),
    event: { body: { name: "Luke" } },
    onStep: (name, exports) => calls.push([name, exports]),
  });
  const trigger = { event: { body: { name: "Luke" } } };
  const s1 = { count: 2, $return_value: "one" };
  const all = { trigger, s1, s2: {}, s3: { $return_value: null } };
  deepEqual(seen, [{ trigger }, { trigger, s1 }, { trigger, s1, s2: {} }]);
  deepEqual(steps, all);
  deepEqual(calls, [["s1", s1], ["s2", {}], ["s3", { $return_value: null }]]);
  equal(exit, null);
});

Deno.test("runWorkflow() runs a component with its props and methods as this", async () => {
  const ingest = new FakeIngest();
  const component = defineComponent({
    props: { name: { type: "string" }, greeting: { type: "string", default: "Hello" } },
    methods: {
      greet() {
        return `${this.greeting}, ${this.name}`;
      },
    },
    run({ $ }) {
      $.send.sse({ channel: "c", payload: this.greet() });
    },
  });
  await runWorkflow({
    pipeline: "p_a",
    steps: [
      { name: "one", component, props: { name: "Luke" } },
      { name: "two", component, props: { name: "Han", greeting: "Hi" } },
    ],
    delivery: ingest.delivery,
  });
  deepEqual(payloads(ingest), ["Hello, Luke", "Hi, Han"]);
});

for (const reason of ["nothing to do", undefined]) {
  Deno.test(`$.flow.exit(${reason ?? ""}) ends the workflow after its step`, async () => {
    const ingest = new FakeIngest();
    const { steps, delivered, exit } = await runWorkflow(workflow(
      ingest,
      send(1),
      ({ $ }) => {
        $.flow.exit(reason);
        $.send.sse({ channel: "c", payload: 2 });
        return "bye";
      },
      send(3),
    ));
    deepEqual(payloads(ingest), [1, 2]);
    equal(delivered.length, 2);
    deepEqual(Object.keys(steps), ["trigger", "s1", "s2"]);
    deepEqual(steps["s2"], { $return_value: "bye" });
    deepEqual(exit, { reason });
  });
}

// Failures

const failures: [what: string, run: (error: unknown) => Run][] = [
  ["throws", (error) => ({ $ }) => {
    $.send.sse({ channel: "c", payload: 2 });
    throw error;
  }],
  ["rejects", (error) => async ({ $ }) => {
    await Promise.resolve();
    $.send.sse({ channel: "c", payload: 2 });
    throw error;
  }],
];

for (const [what, run] of failures) {
  Deno.test(`runWorkflow() delivers the events before a step ${what}, then rejects`, async () => {
    const ingest = new FakeIngest();
    const cause = new Error("no more droids");
    const error = await stepErrorOf(runWorkflow(workflow(ingest, send(1), run(cause), send(3))));
    deepEqual(payloads(ingest), [1, 2]);
    equal(error.name, "StepError");
    equal(error.message, "The step s2 failed: no more droids");
    equal(error.step, "s2");
    equal(error.cause, cause);
    equal(error.delivery, null);
    deepEqual(error.delivered, [{ channel: "c", id: "E-1" }, { channel: "c", id: "E-2" }]);
  });
}

for (const thrown of ["no", undefined, null, { message: "no" }]) {
  Deno.test(`runWorkflow() rejects with a StepError when a step throws ${JSON.stringify(thrown)}`, async () => {
    const error = await stepErrorOf(runWorkflow(workflow(new FakeIngest(), () => {
      throw thrown;
    })));
    match(error.message, /^The step s1 failed: /);
    equal(error.cause, thrown);
  });
}

Deno.test("runWorkflow() rejects with both errors when a step and the delivery fail", async () => {
  const ingest = new FakeIngest(202, 403);
  const cause = new Error("no more droids");
  const error = await stepErrorOf(runWorkflow(workflow(ingest, ({ $ }) => {
    for (let index = 0; index < 1001; index++) $.send.sse({ channel: "c", payload: index });
    throw cause;
  })));
  equal(
    error.message,
    "The step s1 failed: no more droids. " +
      "Cannot deliver 1 of 1001 events: http://localhost:8000/ingest answered 403",
  );
  equal(error.cause, cause);
  equal(error.delivered.length, 1000);
  ok(error.delivery instanceof DeliveryError);
  deepEqual(error.delivery.unsent[0]!.events, [{ channel: "c", payload: 1000 }]);
});

Deno.test("runWorkflow() rejects with the error of the delivery", async () => {
  const work = runWorkflow(workflow(new FakeIngest(401), send(1)));
  await rejects(work, { name: "DeliveryError", status: 401 });
});

Deno.test("runWorkflow() treats an error of onStep as an error of its step", async () => {
  const ingest = new FakeIngest();
  const onStep = () => {
    throw new Error("no paper");
  };
  const error = await stepErrorOf(runWorkflow({ ...workflow(ingest, send(1)), onStep }));
  equal(error.message, "The step s1 failed: no paper");
  deepEqual(payloads(ingest), [1]);
});

const ran: Run = () => {
  throw new Error("It ran");
};
const step = (name: string, component: unknown = { run: ran }, props = {}) => ({
  name,
  component: component as Component,
  props,
});

const unfit: [what: string, workflow: Partial<Workflow>, message: RegExp][] = [
  ["an invalid pipeline", { pipeline: "aBcDeF" }, /^Cannot send to pipeline "aBcDeF": expected p_/],
  [
    "an invalid URL",
    { url: "localhost" },
    /^Cannot send to "localhost": expected an http or https/,
  ],
  ["an invalid token", { token: "a b" }, /^Cannot send: the token: expected visible ASCII/],
  [
    "a repeated step name",
    { steps: [step("a"), step("a")] },
    /the step name a is already used\. Rename/,
  ],
  [
    "the step name trigger",
    { steps: [step("trigger")] },
    /the step name trigger is already used\. Rename/,
  ],
  [
    "a component without run",
    { steps: [step("a", { default: {} })] },
    /^Cannot run the step a: its component/,
  ],
  [
    "an unknown prop",
    { steps: [step("a"), step("b", { run: ran }, { c: 1 })] },
    /step b: it has no prop c/,
  ],
];

for (const [what, changes, message] of unfit) {
  Deno.test(`runWorkflow() refuses ${what} before any step runs`, async () => {
    const work = runWorkflow({ pipeline: "p_a", steps: [step("s1")], ...changes });
    await rejects(work, { name: "TypeError", message });
  });
}
