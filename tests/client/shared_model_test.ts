import { deepStrictEqual as deepEqual, ok, strictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import type { ClientEvent } from "../../lib/client/event_types.ts";
import { SeededRandom } from "../support/generators/random.ts";
import { repetitions } from "../support/model/repetitions.ts";
import { PlayedBrowser, type PlayedTab } from "../support/shared/played_browser.ts";
import { type PlayedLog, PlayedService } from "../support/shared/played_service.ts";

const PIPELINES = ["p_a", "p_b", "p_c", "p_d"];
const CHANNELS = ["orders", "paid"];
const STEPS = 200;
const RUNS = 100;

/** Everything that one tab received, checked against all logs that ever were. */
class TabRecord {
  readonly channels: readonly string[];
  readonly pipelines: readonly string[];
  readonly ended = new Set<string>();
  delivered = 0;
  readonly #logs: ReadonlyMap<string, PlayedLog>;
  readonly #positions = new Map<string, { epoch: string; sequence: number }>();
  /** Number of events since the last connection, by pipeline. */
  readonly #replayed = new Map<string, number>();

  constructor(
    logs: ReadonlyMap<string, PlayedLog>,
    pipelines: readonly string[],
    channels: readonly string[],
  ) {
    this.#logs = logs;
    this.pipelines = pipelines;
    this.channels = channels;
  }

  take(event: ClientEvent): void {
    const { pipeline } = event;
    const part = event.id.split(".")[this.pipelines.indexOf(pipeline)]!;
    const split = part.lastIndexOf("-");
    const [epoch, sequence] = [part.slice(0, split), Number(part.slice(split + 1))];
    const before = this.#positions.get(pipeline);
    this.#positions.set(pipeline, { epoch, sequence });
    if (event.type === "gap") {
      if (event.reason === "unknown") {
        ok(before === undefined || before.epoch !== epoch, "a gap of another log");
        this.#replayed.delete(pipeline);
        this.ended.delete(pipeline);
        return;
      }
      // It had a position before its first event.
      if (!before) return;
      equal(before.epoch, epoch);
      const log = this.#logs.get(epoch)!;
      ok(log.first > before.sequence + 1, `a gap before ${part} in vain`);
      const to = sequence - event.missed!;
      deepEqual(this.#between(epoch, before.sequence, to), [], "lost before a gap");
      ok(event.missed! > 0);
      return;
    }
    if (before) {
      equal(before.epoch, epoch, "another log without a gap");
      const until = event.type === "event" ? sequence - 1 : sequence;
      deepEqual(this.#between(epoch, before.sequence, until), [], `lost before ${part}`);
      // A pipeline that has ended tells so on each connection.
      ok(sequence >= before.sequence + (event.type === "event" ? 1 : 0), `${part} once more`);
    }
    if (event.type === "end") return void this.ended.add(pipeline);
    if (event.type === "live") {
      equal(event.replayed, this.#replayed.get(pipeline) ?? 0, `replayed before ${part}`);
      return;
    }
    this.delivered++;
    this.#replayed.set(pipeline, (this.#replayed.get(pipeline) ?? 0) + 1);
    const logged = this.#logs.get(epoch)!.events[sequence - 1]!;
    deepEqual([event.channel, event.data], [logged.channel, logged.data]);
  }

  /** Begins to count the events before the next marker. */
  connect(): void {
    this.#replayed.clear();
  }

  /** Checks that nothing is missing at the end. */
  verify(pipeline: string, log: PlayedLog): void {
    const position = this.#positions.get(pipeline);
    ok(position, `no position in ${pipeline}`);
    if (this.ended.has(pipeline)) return;
    equal(position.epoch, log.epoch, pipeline);
    if (log.hasEnded) equal(this.ended.has(pipeline), true, `no end of ${pipeline}`);
    deepEqual(this.#between(log.epoch, position.sequence, Infinity), [], `missing in ${pipeline}`);
  }

  #between(epoch: string, after: number, upTo: number): number[] {
    const { events } = this.#logs.get(epoch)!;
    return events.filter(({ sequence, channel }) =>
      sequence > after && sequence <= upTo &&
      (this.channels.length === 0 || this.channels.includes(channel))
    ).map(({ sequence }) => sequence);
  }
}

/** Random tabs, publishers, an operator and a network, with their checks. */
class Model {
  readonly #random: SeededRandom;
  readonly #service = new PlayedService();
  readonly #browser: PlayedBrowser;
  readonly #records = new Map<PlayedTab, TabRecord>();
  /** Logs by their epochs. */
  readonly #logs = new Map<string, PlayedLog>();
  readonly #failures: unknown[] = [];
  /** Probability of a step that is not plain. */
  readonly #trouble: number;
  #kills = 0;
  /** Number of tabs that were fed at some time. */
  fed = new Set<PlayedTab>();

  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
    this.#trouble = this.#random.pick([0, 0.03, 0.1, 0.25]);
    this.#browser = new PlayedBrowser(this.#service, this.#random.next);
    for (const pipeline of PIPELINES) this.#note(pipeline);
  }

  async run(): Promise<void> {
    for (let i = 0; i < STEPS; i++) {
      await this.#act();
      await turn();
      if (this.#failures.length > 0) throw this.#failures[0];
    }
    await this.#settle();
    if (this.#failures.length > 0) throw this.#failures[0];
    for (const [tab, record] of this.#records) {
      if (tab.isGone || tab.subscription.state.name === "ended") continue;
      for (const pipeline of record.pipelines) {
        record.verify(pipeline, this.#service.log(pipeline));
      }
    }
    // One stream for the tabs of each group, apart from those that are alone.
    const groups = new Map<string, PlayedTab[]>();
    let polls = 0;
    for (const [tab, record] of this.#records) {
      if (tab.isGone || tab.subscription.state.name === "ended") continue;
      // A tab that was frozen for long takes its network for one that holds streams back.
      if (tab.subscription.state.transport === "poll") {
        polls++;
        continue;
      }
      const key = record.channels.join();
      groups.set(key, [...groups.get(key) ?? [], tab]);
    }
    equal(this.#service.openStreams.length, groups.size + polls, this.#describe());
    for (const tabs of groups.values()) {
      for (const tab of tabs) {
        // The last one of several stays on the stream that they shared.
        ok(tabs.length === 1 || tab.subscription.state.isShared, this.#describe());
        equal(tab.subscription.state.name, "live");
      }
    }
    for (const tab of this.#browser.tabs) tab.subscription.close();
    await turn();
  }

  #describe(): string {
    const tabs = [...this.#records].filter(([tab]) => !tab.isGone).map(([tab, record]) =>
      `${record.pipelines} ${record.channels} ${JSON.stringify(tab.subscription.state)}`
    );
    const streams = this.#service.openStreams.map(({ url }) => url.href);
    return [...tabs, ...streams].join("\n");
  }

  async #act(): Promise<void> {
    const random = this.#random;
    const tabs = [...this.#browser.tabs];
    if (tabs.length < 2 || tabs.length < 6 && random.chance(0.08)) return this.#open();
    const tab = random.pick(tabs);
    if (random.chance(this.#trouble)) return await this.#disturb(tab);
    const choice = random.integer(0, 9);
    if (choice < 3) this.#publish(random.integer(1, 3));
    else if (choice < 6) this.#advance(random.pick([20, 60, 300]));
    else this.#deliver();
  }

  async #disturb(tab: PlayedTab): Promise<void> {
    const random = this.#random;
    const pipeline = random.pick(PIPELINES);
    switch (random.integer(0, 11)) {
      case 0:
        return tab.crash();
      case 1:
        return this.#close(tab);
      case 2:
      case 3:
        tab.isFrozen = !tab.isFrozen;
        return;
      case 4:
        // After a few, tabs share no more.
        if (this.#kills++ < 3) this.#browser.killWorker();
        return;
      case 5:
        return this.#service.trim(
          pipeline,
          random.integer(0, 2),
          random.pick(["evicted", "cleared"]),
        );
      case 6:
        return random.chance(0.5) ? this.#delete(pipeline) : this.#service.end(pipeline);
      case 7:
      case 8:
        return this.#cut();
      case 9:
        this.#service.failure = this.#service.failure ? 0 : 502;
        return;
      case 10:
        return this.#hide(tab);
      case 11:
        return await this.#pass(random.pick([1000, 3000, 12_000]));
    }
  }

  #open(): void {
    const random = this.#random;
    const pipelines = random.shuffled(PIPELINES).slice(0, random.integer(1, 3));
    const channels = random.chance(0.3) ? ["paid"] : [];
    const record = new TabRecord(this.#logs, pipelines, channels);
    const take = (event: ClientEvent) => {
      try {
        record.take(event);
      } catch (error) {
        this.#failures.push(error);
      }
    };
    const tab = this.#browser.open("http://localhost:8000", {
      pipelines,
      channels,
      random: random.next,
      ...random.chance(0.3) && { history: random.pick([0, 1, 2, "all"]) },
      onEvent: take,
      onLive: take,
      onGap: take,
      onEnd: take,
      onState: ({ name, isShared }) => {
        if (name === "connecting") record.connect();
        if (isShared) this.fed.add(tab);
      },
    });
    this.#records.set(tab, record);
  }

  #close(tab: PlayedTab): void {
    if (tab.isFrozen) return;
    tab.subscription.close();
    this.#browser.tabs.delete(tab);
    tab.isGone = true;
  }

  /** Leaves a page, and comes back to it. */
  #hide(tab: PlayedTab): void {
    if (tab.isFrozen) return;
    tab.page.dispatchEvent(new Event("pagehide"));
    tab.page.dispatchEvent(new Event("pageshow"));
  }

  #publish(count: number): void {
    for (let i = 0; i < count; i++) {
      const pipeline = this.#random.pick(PIPELINES);
      this.#service.publish(pipeline, this.#random.pick(CHANNELS));
    }
  }

  #delete(pipeline: string): void {
    this.#service.delete(pipeline);
    this.#note(pipeline);
  }

  #note(pipeline: string): void {
    const log = this.#service.log(pipeline);
    this.#logs.set(log.epoch, log);
  }

  #cut(): void {
    const streams = this.#service.openStreams;
    if (streams.length > 0) this.#random.pick(streams).cut(this.#random.chance(0.5));
  }

  #advance(ms: number): void {
    this.#browser.worker?.clock.advance(ms);
    for (const tab of this.#browser.tabs) if (!tab.isFrozen) tab.clock.advance(ms);
  }

  /** Lets time pass on a network that delivers everything within a second. */
  async #pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 1000) {
      this.#advance(Math.min(left, 1000));
      await turn();
      if (ms >= 1000) await this.#deliverAll();
    }
    if (ms > 5000) this.#service.keepAlive();
  }

  async #deliverAll(): Promise<void> {
    const frozen = [...this.#browser.tabs].filter(({ isFrozen }) => isFrozen);
    for (const stream of this.#service.openStreams) {
      if (!frozen.some(({ streams }) => streams.has(stream))) stream.deliver(Infinity);
    }
    await turn();
    this.#browser.receive(Infinity);
    await turn();
    for (const tab of this.#browser.tabs) tab.receive(Infinity);
    await turn();
    this.#browser.receive(Infinity);
    await turn();
  }

  #deliver(): void {
    const random = this.#random;
    this.#browser.receive(random.integer(0, 3));
    for (const tab of this.#browser.tabs) if (random.chance(0.5)) tab.receive(random.integer(0, 3));
    const frozen = [...this.#browser.tabs].filter(({ isFrozen }) => isFrozen);
    for (const stream of this.#service.openStreams) {
      if (frozen.some(({ streams }) => streams.has(stream))) continue;
      if (random.chance(0.6)) stream.deliver(random.integer(1, 4));
    }
  }

  /** Thaws everything, and waits until nothing happens any more. */
  async #settle(): Promise<void> {
    this.#service.failure = 0;
    for (const tab of this.#browser.tabs) tab.isFrozen = false;
    for (let i = 0; i < 160; i++) {
      await this.#deliverAll();
      this.#advance(i < 20 ? 50 : 1000);
      if (i % 12 === 0) this.#service.keepAlive();
    }
  }
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

Deno.test("tabs that share a stream receive what streams of their own would bring, whatever happens", async () => {
  let fed = 0;
  await fc.assert(
    fc.asyncProperty(fc.integer(), async (seed) => {
      const model = new Model(seed);
      await model.run();
      fed += model.fed.size;
    }),
    { ...repetitions(RUNS), endOnFailure: true },
  );
  ok(fed > RUNS, `${fed} tabs were fed`);
});
