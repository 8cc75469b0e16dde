/**
 * Fuzz test of the HTTP interface: sends malformed HTTP, bodies of all kinds and
 * nearly valid requests to the real program, while well-behaved clients use it. In
 * the end the log is compared with the answers.
 *
 * Run it with `deno task test:fuzz --seed 7 --seconds 60`. The same seed makes
 * the same choices. With `--tls yes`, all of it goes through HTTPS.
 *
 * @module
 */

import { ok, strictEqual as equal } from "node:assert/strict";
import { dirname } from "node:path";
import { SignJWT } from "jose";
import { formatEventId, parseEventId } from "../../lib/protocol/event.ts";
import { StreamReader } from "../support/clients/stream_reader.ts";
import { fillPipeline, misuse, type MisuseOptions } from "../support/clients/misuses.ts";
import { percentiles, WellBehavedClients } from "../support/clients/well_behaved.ts";
import { type Attack, Attacks, type Target } from "../support/generators/attacks.ts";
import type { ExpectedEvent } from "../support/generators/json_text.ts";
import { SeededRandom } from "../support/generators/random.ts";
import {
  ANSWER_BOUND_MS,
  type AttackOutcome,
  requiresAnswer,
  sendAttack,
} from "../support/generators/send_attack.ts";
import { FIRST, FIRST_PATHS } from "../support/certificates/certificates.ts";
import { readOptions } from "../support/programs/long_program.ts";
import {
  DataFolder,
  type Environment,
  Program,
  startCommandReading,
  UNFINISHED_LINE,
} from "../support/programs/program.ts";

/** Number of concurrent attackers. */
const LANES = 16;

/** Number of concurrent clients that misuse the service over valid HTTP. */
const MISUSERS = 8;

/** Number of attacks before the log is compared: a log retains only 32 MiB. */
const ROUND = 60;

/** Maximum latency for well-behaved clients, in milliseconds. */
const MAX_LATENCY_MS = 8000;

/** Maximum growth of memory from the first round to the end, in bytes. */
const MEMORY_TOLERANCE = 192 * 1024 * 1024;

/** Time limit for memory to fall within the tolerance, in milliseconds. */
const REST_MS = 20_000;

const SECRET = "a secret of thirty-two characters";

/** Internal details that no answer may reveal: paths of the code, and stack traces. */
const INTERNAL = /\.ts\b|file:\/\/|node_modules|\bat \S+ \(|\/home\/|\/tmp\/|SQLITE|TypeError/;

/** Lines for the operator that attacks and deletions bring about. */
const HINTS = [
  // Some attacks have the headers of a proxy, and come from this machine.
  /^A proxy of this machine forwards requests, and all its clients are counted as one/,
  // The log of this test is larger than what is erased while the service runs. On a busy
  // machine the file may be in use for longer than that waits; it is tried again.
  /^The text of deleted events stays in the file of the log, which is too large/,
  /^Cannot remove deleted events from the file of the log: Error: \S+ is still in use$/,
  UNFINISHED_LINE,
];

/** Attacks of a round and their results. */
interface Round {
  pipeline: string;
  /** Events of requests answered 202, by pipeline and ID; each was stored once. */
  accepted: Map<string, { attack: Attack; events: ExpectedEvent[] }>;
  /** All attacks, with their outcomes. */
  strikes: { attack: Attack; outcome: AttackOutcome }[];
  /** Events that may have been stored although no answer confirmed it. */
  unsure: ExpectedEvent[];
}

/** Counts of occurrences, by name. */
class Tally {
  readonly #counts = new Map<string, number>();

  add(what: string): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1);
  }

  toJSON(): Record<string, number> {
    return Object.fromEntries([...this.#counts].sort(([a], [b]) => a < b ? -1 : 1));
  }
}

/** A failure, with the bytes and answers that reproduce it. */
class Defect extends Error {
  constructor(what: string, attack: Attack, answers: unknown = []) {
    const bytes = attack.parts.flatMap((part) => [...part.subarray(0, 2000)]).slice(0, 2000);
    const sent = JSON.stringify(String.fromCharCode(...bytes));
    super(`${what}\n  ${attack.kind}, sent: ${sent}\n  answered: ${JSON.stringify(answers)}`);
  }
}

class Lane {
  readonly #name: string;
  readonly #url: string;
  readonly #credentials: Record<string, string>;
  readonly #attacks: Attacks;
  readonly #tally: Tally;

  constructor(
    name: string,
    program: Program,
    credentials: Record<string, string>,
    random: SeededRandom,
    tally: Tally,
  ) {
    this.#name = name;
    this.#url = program.url;
    this.#credentials = credentials;
    this.#attacks = new Attacks(random);
    this.#tally = tally;
  }

  async run(isOver: () => boolean): Promise<void> {
    for (let number = 0; !isOver(); number++) {
      const pipeline = `p_${this.#name}_${number}`;
      const first = await this.#publish(pipeline);
      const round: Round = { pipeline, accepted: new Map(), strikes: [], unsure: [] };
      for (let i = 0; i < ROUND && !isOver(); i++) {
        try {
          await this.#attack(round);
        } catch (error) {
          throw new Error(`Lane ${this.#name}, round ${number}, attack ${i}`, { cause: error });
        }
      }
      await this.#compare(round, first);
    }
  }

  async #attack(round: Round): Promise<void> {
    const { hostname, port, host } = new URL(this.#url);
    equal(hostname, "127.0.0.1");
    const lines = Object.entries(this.#credentials).map(([name, value]) => `${name}: ${value}\r\n`);
    const target: Target = { host, pipeline: round.pipeline, credentials: lines.join("") };
    const attack = this.#attacks.next(target);
    const outcome = await sendAttack(Number(port), attack, caCertsOf(this.#url));
    round.strikes.push({ attack, outcome });
    this.#tally.add(attack.kind);
    this.#judge(attack, outcome, round);
  }

  #judge(attack: Attack, { answers, isUnsure, isSilent }: AttackOutcome, round: Round): void {
    if (isSilent && requiresAnswer(attack)) {
      throw new Defect(`Neither answered nor closed within ${ANSWER_BOUND_MS} ms`, attack);
    }
    let isKnown = !isUnsure;
    for (const { status, headers, body } of answers) {
      this.#tally.add(String(status));
      if (status >= 500 && status !== 503) throw new Defect(`A ${status}`, attack, answers);
      if (status === 503) isKnown = false;
      if (headers.has("X-Injected")) throw new Defect("An injected header", attack, answers);
      if (INTERNAL.test(body)) {
        throw new Defect("An answer that reveals internal details", attack, answers);
      }
      if (status === 202) this.#accept(attack, body, round);
      if (attack.kind.startsWith("append")) this.#acceptAppend(attack, status, body, round);
    }
    if (!isKnown) round.unsure.push(...attack.events);
  }

  #accept(attack: Attack, body: string, round: Round): void {
    const { events } = JSON.parse(body) as { events: { pipeline: string; id: string }[] };
    if (attack.isExact && events.length !== attack.events.length) {
      throw new Defect(`Expected ${attack.events.length} events to be taken`, attack, body);
    }
    for (const [index, { pipeline, id }] of events.entries()) {
      if (pipeline !== round.pipeline) this.#tally.add("elsewhere");
      const expected = attack.isExact ? [attack.events[index]!] : attack.events;
      round.accepted.set(`${pipeline} ${id}`, { attack, events: expected });
    }
  }

  /** Takes what stands of an append: the last events of the log when it was answered. */
  #acceptAppend(attack: Attack, status: number, body: string, round: Round): void {
    const { accepted, lastEventId } = JSON.parse(body);
    if (accepted === undefined) return;
    const { length } = attack.events;
    if (accepted > length || status === 200 && attack.isExact && accepted < length) {
      throw new Defect(`Expected ${length} events to be appended`, attack, body);
    }
    for (const [index, event] of attack.events.slice(0, accepted).entries()) {
      const { epoch, sequence } = parseEventId(lastEventId)!;
      const id = formatEventId({ epoch, sequence: sequence - accepted + 1 + index });
      round.accepted.set(`${round.pipeline} ${id}`, { attack, events: [event] });
    }
  }

  /** Reads the log from its beginning and compares it with the answers. */
  async #compare({ pipeline, accepted, strikes, unsure }: Round, first: string): Promise<void> {
    const last = await this.#publish(pipeline);
    const answer = await fetch(`${this.#url}/pipelines/${pipeline}/sse`, {
      headers: { ...this.#credentials, "Last-Event-ID": first },
    });
    equal(answer.status, 200);
    const reader = new StreamReader(answer);
    while (true) {
      const event = await reader.event();
      ok(event, "the log's stream ended");
      if (event.id === last) break;
      const key = `${pipeline} ${event.id}`;
      const known = accepted.get(key);
      accepted.delete(key);
      const expected = known?.events ?? unsure;
      if (!expected.some((one) => isSame(one, event.type, event.data))) {
        const stored = JSON.stringify(event).slice(0, 2000);
        const wanted = JSON.stringify(expected).slice(0, 2000);
        if (!known) {
          const { attack, outcome } = strikes.find(({ attack }) =>
            attack.events.some((one) => isSame(one, event.type, event.data))
          )!;
          throw new Defect(`Stored, but no answer confirmed it: ${stored}`, attack, outcome);
        }
        throw new Defect(`Stored ${stored}, expected ${wanted}`, known.attack);
      }
      this.#tally.add(known ? "stored" : "stored, unsure");
    }
    await reader.cancel();
    for (const [key, { attack }] of accepted) {
      if (key.startsWith(`${pipeline} `)) throw new Defect(`Lost ${key}`, attack);
    }
  }

  async #publish(pipeline: string): Promise<string> {
    const answer = await fetch(`${this.#url}/ingest/${pipeline}/mark`, {
      method: "POST",
      headers: this.#credentials,
      body: "mark",
    });
    equal(answer.status, 202);
    return (await answer.json()).events[0].id;
  }
}

/**
 * Whether a stored event is the expected one. A mutated request may name any
 * channel, and its body may begin and end elsewhere.
 */
function isSame({ channel, payload }: ExpectedEvent, type: string, data: string): boolean {
  const escaped = escapeSeparators(payload);
  if (channel !== "*") return channel === type && escaped === data;
  const value: unknown = JSON.parse(data);
  return typeof value === "string" ? payload.includes(value) : escaped.includes(data);
}

/** Escapes the characters that a stream contains as escapes only. */
function escapeSeparators(json: string): string {
  return json.replace(
    /[\u0085\u2028\u2029]/g,
    (separator) => `\\u${separator.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** The certificates with which raw connections reach a URL; `fetch` has them of `DENO_CERT`. */
function caCertsOf(url: string): string[] | undefined {
  return url.startsWith("https:") ? [FIRST.cert] : undefined;
}

async function fuzz(
  name: string,
  settings: Environment,
  credentials: Record<string, string>,
  random: SeededRandom,
  seconds: number,
): Promise<void> {
  await using folder = new DataFolder();
  await folder.make(".");
  await using program = await Program.start({
    RUNNEL_KV: folder.kv,
    RUNNEL_BODY_TIMEOUT_MS: "1000",
    RUNNEL_APPEND_IDLE_MS: "1000",
    RUNNEL_PUBLISH_RATE: "1000000",
    RUNNEL_RETENTION: "100000",
    ...settings,
  }, "RUNNEL_TLS_CERT" in settings ? startCommandReading(dirname(FIRST_PATHS.cert)) : undefined);
  await fillPipeline(program.url, credentials);
  const wellBehaved = new WellBehavedClients(program.url, { headers: credentials });
  const endsAt = performance.now() + seconds * 1000;
  const warmAt = performance.now() + Math.min(30, seconds / 2) * 1000;
  const tally = new Tally();
  let baseline = 0;
  let most = 0;
  const watch = setInterval(async () => {
    const memory = await program.memory();
    most = Math.max(most, memory);
    if (performance.now() < warmAt) baseline = Math.max(baseline, memory);
  }, 200);
  try {
    const lanes = Array.from(
      { length: LANES },
      (_, index) =>
        new Lane(
          `${name}${index}`,
          program,
          credentials,
          new SeededRandom(random.integer(0, 2 ** 31)),
          tally,
        ),
    );
    const isOver = () => performance.now() >= endsAt;
    const misusers = Array.from({ length: MISUSERS }, (_, index): MisuseOptions => ({
      url: program.url,
      credentials,
      isSecured: "Authorization" in credentials,
      random: new SeededRandom(random.integer(0, 2 ** 31)),
      name: `${name}${index}`,
      caCerts: caCertsOf(program.url),
    }));
    await Promise.all([
      ...lanes.map((lane) => lane.run(isOver)),
      ...misusers.map((options) => misuse(options, isOver, (kind) => tally.add(kind))),
    ]);
    await wellBehaved.stop();
  } catch (error) {
    throw new Error(`The program said: ${program.errors}`, { cause: error });
  } finally {
    clearInterval(watch);
  }
  const restedBy = performance.now() + REST_MS;
  let rested = await program.memory();
  while (rested > baseline + MEMORY_TOLERANCE && performance.now() < restedBy) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    rested = await program.memory();
  }
  const mib = (bytes: number) => Math.round(bytes / 2 ** 20);
  console.log(
    JSON.stringify(
      {
        mode: name,
        tally,
        wellBehaved: {
          publishMs: percentiles(wellBehaved.publishMs),
          deliveryMs: percentiles(wellBehaved.deliveryMs),
        },
        memoryMiB: { warm: mib(baseline), most: mib(most), rested: mib(rested) },
      },
      null,
      2,
    ),
  );
  const complaints = program.complaints.filter((line) => !HINTS.some((hint) => hint.test(line)));
  equal(complaints.join("\n"), "", "the program writes nothing else to standard error");
  ok(program.complaints.filter((line) => HINTS[0]!.test(line)).length <= 1, "it hints once");
  for (const times of [wellBehaved.publishMs, wellBehaved.deliveryMs]) {
    ok(percentiles(times).max < MAX_LATENCY_MS, "well-behaved clients are served all the time");
  }
  ok(
    rested <= baseline + MEMORY_TOLERANCE,
    `memory falls within the tolerance: ${mib(rested)} MiB`,
  );
  program.kill("SIGTERM");
  equal(await program.exit(), 0);
}

if (import.meta.main) {
  const values = readOptions("test:fuzz", {
    seed: String(Math.floor(Math.random() * 1e9)),
    seconds: "20",
    tls: "no",
  });
  const command = `deno task test:fuzz --seed ${values.seed} --seconds ${values.seconds} ` +
    `--tls ${values.tls}`;
  console.log(command);
  const random = new SeededRandom(Number(values.seed));
  const token = await new SignJWT({ runnel: { publish: ["*"], subscribe: ["*"] } })
    .setProtectedHeader({ alg: "HS256" })
    .setExpirationTime("1d")
    .sign(new TextEncoder().encode(SECRET));
  const secured = { RUNNEL_TOKEN_SECRET: SECRET, RUNNEL_SUBSCRIBE: "token" };
  const seconds = Number(values.seconds) / 2;
  const tls: Environment = values.tls === "no"
    ? {}
    : { RUNNEL_TLS_CERT: FIRST_PATHS.cert, RUNNEL_TLS_KEY: FIRST_PATHS.key };
  try {
    await fuzz("open", tls, {}, random, seconds);
    await fuzz(
      "secured",
      { ...secured, ...tls },
      { Authorization: `Bearer ${token}` },
      random,
      seconds,
    );
  } catch (error) {
    console.error(error);
    console.error(`Failed: ${command}`);
    Deno.exit(1);
  }
}
