import {
  deepStrictEqual as deepEqual,
  ok,
  rejects,
  strictEqual as equal,
} from "node:assert/strict";
import { KvConnection } from "../../lib/kv/kv_connection.ts";
import {
  deleteTickets,
  KvTicketStore,
  ticketRecordTimeLeft,
} from "../../lib/access/kv_ticket_store.ts";
import type { Ticket, TicketEntry } from "../../lib/access/ticket_store.ts";
import { MAX_SESSION_MS, MAX_TICKET_MS } from "../../lib/config/access_config.ts";
import { FakeClock } from "../support/fakes/clock.ts";
import { fail, FaultyKv } from "../support/fakes/kv.ts";

const TICKET: Ticket = {
  pipeline: "p_a",
  channels: ["orders"],
  spendBy: 5,
  endsAt: Infinity,
  session: null,
};

async function createStore() {
  const kv = new FaultyKv(await Deno.openKv(":memory:"));
  const connection = await KvConnection.open({
    open: () => Promise.resolve(kv),
    runtime: { clock: new FakeClock(), report() {} },
    timeoutMs: 3000,
    remote: false,
  });
  return {
    kv,
    connection,
    store: new KvTicketStore(connection),
    [Symbol.dispose]: () => kv.close(),
  };
}

function write(
  store: KvTicketStore,
  hash: string,
  ticket: Ticket,
  versionstamp: string | null = null,
  expireIn = 1000,
): Promise<string | null> {
  return store.write([{ hash, ticket, versionstamp, expireIn }]);
}

async function read(store: KvTicketStore): Promise<TicketEntry | null> {
  const [entry] = await store.read([{ hash: "h", pipeline: "p_a" }]);
  return entry!;
}

function session(generation: number): Ticket {
  const from = { epoch: "AAECAwQFBgc", sequence: 0 };
  return { ...TICKET, session: { generation, openedAt: 0, from } };
}

Deno.test("KvTicketStore.write() creates a ticket once, and replaces the version that was read", async () => {
  using made = await createStore();
  const { store } = made;
  equal(await read(store), null);
  const written = await write(store, "h", TICKET);
  equal(await write(store, "h", TICKET), null);
  const { ticket, versionstamp } = (await read(store))!;
  deepEqual([ticket, versionstamp], [TICKET, written]);
  const next = await write(store, "h", session(1), versionstamp);
  equal(await write(store, "h", session(2), versionstamp), null);
  deepEqual((await read(store))!.ticket, session(1));
  // The version that a write returns can be replaced, too.
  ok(await write(store, "h", session(3), next));
});

Deno.test("KvTicketStore.revoke() keeps the newest revocation of each pipeline", async () => {
  using made = await createStore();
  const { kv, store } = made;
  await write(store, "h", TICKET);
  equal((await read(store))!.revocation, null);
  for (const revocation of ["r1", "r2"]) await store.revoke("p_a", revocation, 1234);
  equal((await read(store))!.revocation, "r2");
  deepEqual(await store.revocations(["p_b", "p_a"]), [null, "r2"]);
  deepEqual(kv.written.at(-1), { key: ["ticket-revocation", "p_a"], expireIn: 1234 });
});

Deno.test("KvTicketStore.write() has the store delete a ticket when it is of no more use", async () => {
  using made = await createStore();
  await write(made.store, "h", TICKET, null, 1234);
  deepEqual(made.kv.written.map(({ key, expireIn }) => [key, expireIn]), [[["ticket", "h"], 1234]]);
});

Deno.test("KvTicketStore.generations() reads more than the store does in one call", async () => {
  using made = await createStore();
  const { store } = made;
  const hashes = Array.from({ length: 23 }, (_, index) => `h${index}`);
  for (const [index, hash] of hashes.entries()) {
    if (index % 3 === 0) await write(store, hash, session(index));
    if (index % 3 === 1) await write(store, hash, TICKET);
  }
  deepEqual(
    await store.generations(hashes),
    hashes.map((_, index) => index % 3 === 0 ? index : null),
  );
  deepEqual(await store.generations([]), []);
});

Deno.test("KvTicketStore rejects with log-unavailable if the store fails", async () => {
  using made = await createStore();
  const { kv, store } = made;
  kv.fallback = () => fail();
  const failure = { type: "log-unavailable" };
  await rejects(read(store), failure);
  await rejects(store.generations(["h"]), failure);
  await rejects(store.revocations(["p_a"]), failure);
  await rejects(write(store, "h", TICKET), failure);
  await rejects(store.revoke("p_a", "r", 1000), failure);
});

Deno.test("deleteTickets() deletes all tickets, and nothing else", async () => {
  using made = await createStore();
  await made.kv.atomic().set(["head", "p_a"], 1).commit();
  for (let i = 0; i < 1200; i++) await write(made.store, `h${i}`, session(1));
  await deleteTickets(made.connection);
  const left = await Array.fromAsync(made.kv.list({ prefix: [] }));
  deepEqual(left.map(({ key }) => key), [["head", "p_a"]]);
});

Deno.test("ticketRecordTimeLeft() returns the time of the first use, and then of the session", () => {
  const ticket = { spendBy: 1000, endsAt: 5000, session: null };
  equal(ticketRecordTimeLeft(["ticket", "hash"], ticket, 400), 600);
  equal(ticketRecordTimeLeft(["ticket", "hash"], { ...ticket, session: {} }, 400), 4600);
  const revocation = ticketRecordTimeLeft(["ticket-revocation", "p_a"], "id", 400);
  equal(revocation, MAX_TICKET_MS + MAX_SESSION_MS);
  equal(ticketRecordTimeLeft(["head", "p_a"], {}, 400), null);
});
