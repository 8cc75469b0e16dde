import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { VERSION, type WorkerMessage } from "../../lib/client/shared_messages.ts";
import { SharedStreams } from "../../lib/client/shared_streams.ts";
import { isShared, Tabs, URL } from "../support/shared/played_tabs.ts";

Deno.test("A tab alone keeps its own stream, and a second one makes them share", async () => {
  const tabs = new Tabs();
  const first = await tabs.open();
  deepEqual([isShared(first), tabs.service.requests], [false, 1]);
  equal(first.subscription.state.apart, "No other tab shares this stream yet");
  const second = await tabs.open();
  deepEqual([isShared(first), isShared(second)], [true, true]);
  deepEqual(tabs.service.openStreams.map(({ url }) => url.search), ["?history=0"]);
  await tabs.close();
});

Deno.test("Many tabs open few streams at once", async () => {
  const tabs = new Tabs();
  for (let i = 0; i < 20; i++) tabs.browser.open(URL, { pipelines: `p_${i % 4}`, onEvent() {} });
  await tabs.pass(30_000);
  ok(tabs.service.most <= 6, `${tabs.service.most} streams`);
  equal(tabs.service.openStreams.length, 1);
  equal([...tabs.browser.tabs].every(isShared), true);
  await tabs.close();
});

Deno.test("A stream has ten pipelines at most, and a further tab another one", async () => {
  const tabs = new Tabs();
  const some = (from: number, count: number) =>
    Array.from({ length: count }, (_, i) => `p_${from + i}`);
  await tabs.open({ pipelines: some(0, 6) });
  await tabs.open({ pipelines: some(4, 6) });
  equal(tabs.service.openStreams.length, 1);
  const alone = await tabs.open({ pipelines: some(9, 2) });
  deepEqual([isShared(alone), tabs.service.openStreams.length], [false, 2]);
  const other = await tabs.open({ pipelines: some(10, 2) });
  deepEqual([isShared(alone), isShared(other)], [true, true]);
  deepEqual(tabs.service.openStreams.map(({ pipelines }) => pipelines.length).sort(), [10, 3]);
  await tabs.close();
});

Deno.test("A pipeline leaves the stream some seconds after its last tab", async () => {
  const tabs = new Tabs();
  await tabs.open();
  await tabs.open();
  const last = await tabs.open({ pipelines: ["p_a", "p_b"] });
  deepEqual(tabs.service.openStreams[0]!.pipelines, ["p_a", "p_b"]);
  const { requests } = tabs.service;
  last.subscription.close();
  await tabs.pass(4500);
  equal(tabs.service.requests, requests);
  await tabs.pass(2000);
  deepEqual(tabs.service.openStreams.map(({ pipelines }) => pipelines), [["p_a"]]);
  await tabs.close();
});

Deno.test("A tab that is gone without a farewell is noticed", async () => {
  const tabs = new Tabs();
  await tabs.open();
  (await tabs.open({ pipelines: ["p_a", "p_b"] })).crash();
  await tabs.pass(12_000);
  deepEqual(tabs.service.openStreams.map(({ pipelines }) => pipelines), [["p_a"]]);
  await tabs.close();
});

Deno.test("A tab that takes nothing leaves the stream, and goes on after its last event", async () => {
  const tabs = new Tabs();
  const first = await tabs.open();
  const frozen = await tabs.open();
  frozen.isFrozen = true;
  await tabs.publish(3000);
  ok(frozen.inbox.length < 1100, `${frozen.inbox.length} messages wait`);
  const count = frozen.inbox.length;
  await tabs.publish(100);
  await tabs.pass(60_000);
  equal(frozen.inbox.length, count);
  equal(tabs.received.get(first)!.length, 3100);
  frozen.isFrozen = false;
  await tabs.pass(3000);
  deepEqual(tabs.received.get(frozen), tabs.received.get(first));
  equal(isShared(frozen), true);
  await tabs.close();
});

Deno.test("Long events count by their length", async () => {
  const tabs = new Tabs();
  await tabs.open();
  const frozen = await tabs.open();
  frozen.isFrozen = true;
  const log = tabs.service.log("p_a");
  for (let i = 1; i <= 40; i++) {
    log.events.push({ sequence: i, channel: "orders", data: JSON.stringify("x".repeat(50_000)) });
  }
  await tabs.publish(1);
  const length = frozen.inbox.reduce((sum, { message }) => sum + JSON.stringify(message).length, 0);
  ok(length < 1.2 * 1024 * 1024, `${length} characters wait`);
  await tabs.close();
});

Deno.test("Tabs share with the same token only, or the same name", async () => {
  const tabs = new Tabs();
  const mine = [await tabs.open({ token: "mine" }), await tabs.open({ token: "mine" })];
  const yours = await tabs.open({ token: "yours" });
  const nobodys = await tabs.open();
  deepEqual([...mine, yours, nobodys].map(isShared), [true, true, false, false]);
  const named = [
    await tabs.open({ token: "a", share: "me" }),
    await tabs.open({ token: "b", share: "me" }),
  ];
  deepEqual(named.map(isShared), [true, true]);
  const tokens = tabs.service.openStreams.map(({ token }) => token);
  deepEqual(new Set(tokens), new Set(["mine", "yours", null, "b"]));
  equal(tokens.length, 4);
  await tabs.close();
});

Deno.test("Tabs with a cookie share only under the name of its user", async () => {
  const tabs = new Tabs();
  tabs.service.hasCookie = true;
  const tab = await tabs.open();
  const others = [tab, await tabs.open()];
  await tabs.publish(1);
  deepEqual(others.map(isShared), [false, false]);
  match(tab.subscription.state.apart, /cookie/);
  // Nor does a tab whose stream was cut ask the worker.
  for (const stream of tabs.service.openStreams) stream.cut(true);
  await tabs.pass(10_000);
  await tabs.publish(1);
  deepEqual(others.map((each) => tabs.received.get(each)!.length), [2, 2]);
  equal(tabs.service.openStreams.length, 2);
  const named = [await tabs.open({ share: "me" }), await tabs.open({ share: "me" })];
  deepEqual(named.map(isShared), [true, true]);
  await tabs.close();
});

Deno.test("The name of the worker has the version of its messages", async () => {
  const source = await Deno.readTextFile(
    new globalThis.URL("../../lib/client/shared_platform.ts", import.meta.url),
  );
  const names = source.match(/name: "runnel-[^"]*"/g);
  deepEqual(names, Array(2).fill(`name: "runnel-${VERSION}"`));
});

Deno.test("When the token of a stream has ended, each tab brings its next one", async () => {
  const tabs = new Tabs();
  tabs.service.tokens = new Set(["first"]);
  let current = "first";
  const asked: string[] = [];
  const getToken = (tab: string) => ({ reason }: { reason: string }) => {
    asked.push(`${tab} ${reason}`);
    return current;
  };
  const pages = [
    await tabs.open({ getToken: getToken("a") }),
    await tabs.open({ getToken: getToken("b") }),
  ];
  await tabs.publish(1);
  current = "second";
  tabs.service.tokens = new Set([current]);
  for (const stream of tabs.service.openStreams) stream.cut(true);
  await tabs.pass(10_000);
  await tabs.publish(1);
  deepEqual(asked.sort(), ["a 401", "a start", "b 401", "b start"]);
  deepEqual(pages.map(isShared), [true, true]);
  for (const page of pages) deepEqual(tabs.received.get(page), ["p_a 1", "p_a 2"]);
  equal(tabs.service.openStreams.length, 1);
  await tabs.close();
});

Deno.test("A tab that gets no answer of the worker goes on by itself, and tells why", async () => {
  const tabs = new Tabs();
  const first = await tabs.open();
  await tabs.open();
  // The worker hangs: it takes no message any more.
  const { receive } = tabs.browser;
  tabs.browser.receive = () => {};
  const late = await tabs.open();
  await tabs.pass(10_000);
  deepEqual([late.subscription.state.name, isShared(late)], ["live", false]);
  equal(late.subscription.state.apart, "The shared worker does not answer");
  tabs.browser.receive = receive;
  await tabs.pass(8000);
  deepEqual([isShared(first), isShared(late)], [true, true]);
  await tabs.close();
});

Deno.test("Workers that end again and again are not started for ever", async () => {
  const tabs = new Tabs();
  const tab = await tabs.open();
  // Over days, any number may end.
  for (let i = 0; i < 8; i++) {
    tabs.browser.killWorker();
    tab.clock.advance(11 * 60_000);
    await tabs.pass(1000);
  }
  equal(tabs.browser.worker === null, false);
  for (let i = 0; i < 8; i++) {
    tabs.browser.killWorker();
    await tabs.pass(7000);
  }
  equal(tabs.browser.worker, null);
  deepEqual(tab.subscription.state.apart, "The shared worker has ended");
  equal(tab.subscription.state.name, "live");
  await tabs.close();
});

Deno.test("A page that was left requests nothing, and goes on when the user comes back", async () => {
  const tabs = new Tabs();
  const [left, other] = [await tabs.open(), await tabs.open()];
  const { requests } = tabs.service;
  left.page.dispatchEvent(new Event("pagehide"));
  await tabs.pass(60_000);
  await tabs.publish(2);
  deepEqual([tabs.received.get(left), tabs.service.requests], [[], requests]);
  left.page.dispatchEvent(new Event("pageshow"));
  await tabs.pass(5000);
  deepEqual(tabs.received.get(left), tabs.received.get(other));
  deepEqual([left, other].map(isShared), [true, true]);
  await tabs.close();
});

Deno.test("After an interruption, the tabs go on without streams of their own", async () => {
  const tabs = new Tabs();
  const pages = [await tabs.open(), await tabs.open(), await tabs.open()];
  const { requests } = tabs.service;
  for (const stream of tabs.service.openStreams) stream.cut(false);
  for (let i = 0; i < 5; i++) tabs.service.publish("p_a", "orders");
  await tabs.pass(5000);
  equal(tabs.service.requests, requests + 1);
  for (const page of pages) {
    equal(tabs.received.get(page)!.length, 5);
    deepEqual([page.subscription.state.name, isShared(page)], ["live", true]);
  }
  await tabs.close();
});

Deno.test("A stream that replaces a slow one brings all that the slow one did not", async () => {
  const tabs = new Tabs();
  const first = await tabs.open();
  await tabs.open();
  tabs.slow.add(tabs.service.openStreams[0]!);
  await tabs.publish(20);
  const other = await tabs.open({ pipelines: "p_b" });
  deepEqual([isShared(other), tabs.service.openStreams.length], [true, 1]);
  equal(tabs.received.get(first)!.length, 20);
  // More than a stream records until it is live: then it cannot replace the slow one.
  tabs.slow.add(tabs.service.openStreams[0]!);
  await tabs.publish(2500);
  const third = await tabs.open({ pipelines: "p_c" });
  equal(isShared(third), false);
  equal(tabs.received.get(first)!.length, 20);
  tabs.slow.clear();
  await tabs.pass(40_000);
  equal(isShared(third), true);
  const numbers = tabs.received.get(first)!.map((data) => Number(data.split(" ")[1]));
  deepEqual(numbers, Array.from({ length: 2520 }, (_, index) => index + 1));
  await tabs.close();
});

Deno.test("Tabs whose shared stream is refused keep their own, and try again later", async () => {
  const tabs = new Tabs();
  let refusals = 0;
  tabs.service.refuses = (url) => {
    const isShared = url.searchParams.get("history") === "0";
    if (isShared) refusals++;
    return isShared;
  };
  const pages = [await tabs.open(), await tabs.open()];
  await tabs.pass(60_000);
  deepEqual(pages.map(isShared), [false, false]);
  equal(refusals, 3);
  tabs.service.refuses = () => false;
  await tabs.pass(31_000);
  deepEqual(pages.map(isShared), [true, true]);
  await tabs.close();
});

Deno.test("A worker shares the streams of 200 tabs at most", () => {
  const streams = new SharedStreams({
    subscribe: () => ({
      lastEventId: "",
      retryNow() {},
      close() {},
      closed: new Promise(() => {}),
    }),
    clock: { now: () => 0, after: () => () => {} },
  });
  const posted: WorkerMessage[] = [];
  const tabs = Array.from(
    { length: 201 },
    () => streams.connect({ postMessage: (message) => void posted.push(message) }),
  );
  const join = {
    type: "join",
    join: 1,
    url: URL,
    pipelines: ["p_a"],
    channels: [],
    token: undefined,
    share: undefined,
    positions: new Map([["p_a", "mSa2Rkz0vHY-2"]]),
    hasStream: true,
  } as const;
  for (const tab of tabs) streams.take(tab, join);
  deepEqual(posted, [{ type: "alone", join: 1 }]);
  streams.disconnect(tabs[0]!);
  streams.take(streams.connect({ postMessage() {} }), join);
  equal(posted.length, 1);
});
