import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import { VERSION } from "../../lib/client/shared_messages.ts";
import type { PlayedTab } from "../support/shared/played_browser.ts";
import { isShared, Tabs, URL } from "../support/shared/played_tabs.ts";

/** Lets a tab, or the worker to it, introduce itself with another version. */
function withVersion(
  kind: "hello" | "welcome",
  version: number | undefined,
  seen: unknown[],
): PlayedTab["alter"] {
  return (message) => {
    if (message.type === "welcome") seen.push(message.version);
    return message.type === kind ? { ...message, version } : message;
  };
}

/** Opens a tab whose messages are altered, beside two that share a stream. */
async function openBeside(alter: PlayedTab["alter"]): Promise<{ tabs: Tabs; all: PlayedTab[] }> {
  const tabs = new Tabs();
  const all = [await tabs.open(), await tabs.open()];
  tabs.alter = alter;
  all.push(await tabs.open());
  return { tabs, all };
}

for (const version of [VERSION + 1, VERSION - 1, undefined]) {
  for (const kind of ["hello", "welcome"] as const) {
    const end = kind === "hello" ? "A tab" : "A worker";
    Deno.test(`${end} of version ${version} leaves each side its own streams, and no event is lost`, async () => {
      const welcomes: unknown[] = [];
      const { tabs, all } = await openBeside(withVersion(kind, version, welcomes));
      // Without an answer, the tab would wait for one.
      deepEqual(welcomes, [VERSION]);
      const [first, , other] = all as [PlayedTab, PlayedTab, PlayedTab];
      await tabs.publish(3);
      deepEqual(all.map(isShared), [true, true, false]);
      equal(tabs.service.openStreams.length, 2);
      // A cut, too, makes it wait for nobody.
      for (const stream of tabs.service.openStreams) stream.cut(false);
      await tabs.pass(5000);
      await tabs.publish(3);
      for (const tab of all) equal(tab.subscription.state.name, "live");
      deepEqual(all.map(isShared), [true, true, false]);
      equal(tabs.received.get(first)!.length, 6);
      for (const tab of all) deepEqual(tabs.received.get(tab), tabs.received.get(first));
      if (kind === "welcome") {
        equal(
          other.subscription.state.apart,
          "The shared worker has another version of the client",
        );
      }
      await tabs.close();
    });
  }
}

const POSITIONS = new Map([["p_a", "mSa2Rkz0vHY-2"]]);

/** A message by which a tab joins. */
const JOIN: Record<string, unknown> = {
  type: "join",
  join: 1000,
  url: URL,
  pipelines: ["p_a"],
  channels: [],
  token: undefined,
  share: undefined,
  positions: POSITIONS,
  hasStream: true,
};

const MALFORMED: [name: string, message: unknown][] = [
  ["nothing", undefined],
  ["null", null],
  ["a text", "join"],
  ["a list", [JOIN]],
  ["an empty object", {}],
  ["an unknown type", { type: "toString" }],
  ["an acknowledgment of nothing", { type: "acknowledge" }],
  ["a join of nothing", { type: "join" }],
  ...Object.entries({
    join: ["1", NaN],
    url: [undefined, "nowhere", "ftp://localhost"],
    pipelines: [undefined, "p_a", [], [7], Array(11).fill("p_a"), ["p_a", "p_b"]],
    channels: [undefined, "orders", [null]],
    token: [null, 17],
    share: [null, {}],
    positions: [undefined, {}, [["p_a", "e-1"]], new Map(), new Map([["p_a", 1]])],
    hasStream: [undefined, 1],
  }).flatMap(([name, values]) =>
    values.map((value): [string, unknown] => [
      `a join with ${name} ${String(JSON.stringify(value))}`,
      { ...JOIN, [name]: value },
    ])
  ),
];

for (const [index, [name, message]] of MALFORMED.entries()) {
  Deno.test(`A worker that gets ${name} goes on for all others, ${index}`, async () => {
    const tabs = new Tabs();
    const all = [await tabs.open(), await tabs.open(), await tabs.open()];
    const [first, , broken] = all as [PlayedTab, PlayedTab, PlayedTab];
    broken.post(message);
    await tabs.publish(2);
    await tabs.pass(5000);
    await tabs.publish(2);
    const late = await tabs.open();
    await tabs.publish(1);
    deepEqual([...all, late].map(isShared), [true, true, false, true]);
    equal(broken.subscription.state.name, "live");
    equal(tabs.received.get(first)!.length, 5);
    for (const tab of all) deepEqual(tabs.received.get(tab), tabs.received.get(first));
    await tabs.close();
  });
}

Deno.test("A tab that gets a message of no known form goes on by itself", async () => {
  const event = { type: "event", pipeline: "p_a", id: "e-1", channel: "orders", data: 7 };
  for (
    const message of [
      undefined,
      "feed",
      { type: "none" },
      { type: "feed", feed: 1 },
      { type: "events", feed: 1, events: [event] },
      { type: "stop", feed: 1, reason: "because" },
    ]
  ) {
    const tabs = new Tabs();
    const [first, second] = [await tabs.open(), await tabs.open()];
    await tabs.publish(2);
    const alter = second.alter;
    let altered = 0;
    second.alter = (original) => original.type === "events" && altered++ === 0 ? message : original;
    await tabs.publish(2);
    await tabs.pass(5000);
    second.alter = alter;
    await tabs.publish(2);
    ok(altered > 0);
    deepEqual([isShared(first), isShared(second)], [true, false]);
    equal(
      second.subscription.state.apart,
      "The shared worker does not send what this client understands",
    );
    equal(tabs.received.get(first)!.length, 6);
    deepEqual(tabs.received.get(second), tabs.received.get(first));
    await tabs.close();
  }
});
