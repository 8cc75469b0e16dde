import { deepStrictEqual as deepEqual, rejects, throws } from "node:assert/strict";
import { Access, type AccessOptions } from "../../lib/access/access.ts";
import { InvalidToken } from "../../lib/access/bearer.ts";
import { FULL_ACCESS, type Grant } from "../../lib/access/grant.ts";
import { createTickets, refused, SCOPE } from "../support/tickets.ts";

const PIPELINES = ["p_a", "p_b", "p_c"];

/** Creates access to a service whose tokens have one grant. */
function createAccess(grant: Partial<Grant> | null, others: Partial<AccessOptions> = {}) {
  const calls = { verified: 0, counted: 0 };
  const bearer = {
    id: "a",
    publisher: undefined,
    grant: { ...FULL_ACCESS, subscribe: [], ...grant },
    tickets: grant?.subscribe ?? [],
    credential: "token:a",
  };
  const access = new Access({
    config: { subscribe: "token", allowsAnonymous: false },
    allowOrigins: "*",
    verifier: {
      verify() {
        calls.verified++;
        return grant ? Promise.resolve(bearer) : Promise.reject(new InvalidToken("it is not one"));
      },
    },
    invalidTokens: { count: () => calls.counted++, discount: () => calls.counted-- },
    ...others,
  } as unknown as AccessOptions);
  return { access, bearer, calls };
}

function clientWith(token: string, headers: HeadersInit = {}) {
  return {
    headers: new Headers({ Authorization: `Bearer ${token}`, ...headers }),
    address: "10.0.0.1",
  };
}

function notGranted(pipeline: string) {
  return {
    type: "forbidden",
    message: `Cannot subscribe to "${pipeline}": the token does not grant that. ` +
      "Use a token that does",
  };
}

Deno.test("Access verifies the token of a stream once, for all of its pipelines", async () => {
  const { access, calls } = createAccess({ subscribe: ["p_*"], channels: ["a", "b"], endsAt: 7 });
  const requested = { pipelines: PIPELINES, channels: ["b"] };
  const granted = { channels: ["b"], endsAt: 7 };
  deepEqual(await access.authorizeRead(clientWith("x"), requested), granted);
  const client = clientWith("x", { "Last-Event-ID": "1.2.3" });
  deepEqual(
    await access.authorizeStream(client, {
      ...requested,
      ticket: undefined,
      lastEventIdInUrl: "4",
    }),
    { ...granted, lastEventId: "1.2.3", sessions: [] },
  );
  deepEqual(calls, { verified: 2, counted: 0 });
});

Deno.test("Access says what a publish token is for, and not of any other token", async () => {
  const requested = { pipelines: PIPELINES, channels: [] };
  const { access } = createAccess({ subscribe: [] });
  await rejects(access.authorizeRead(clientWith("x"), requested), {
    type: "forbidden",
    message: "Cannot subscribe: a publish token does not grant that. Request a ticket with it",
  });
  const other = createAccess({ subscribe: [] });
  Object.assign(other.bearer, { credential: "secret:a" });
  await rejects(other.access.authorizeRead(clientWith("x"), requested), notGranted("p_a"));
});

Deno.test("Access counts the invalid token of a stream of several pipelines once", async () => {
  const { access, calls } = createAccess(null);
  const requested = { pipelines: PIPELINES, channels: [] };
  await rejects(access.authorizeRead(clientWith("x"), requested), { type: "unauthorized" });
  deepEqual(calls, { verified: 1, counted: 1 });
});

Deno.test("Access names the first pipeline that a token does not grant", async () => {
  const { access, bearer } = createAccess({ subscribe: ["p_a", "p_c"] });
  for (
    const [pipelines, named] of [
      [["p_a", "p_c", "p_b"], "p_b"],
      [["p_d", "p_a", "p_b"], "p_d"],
      [["p_b"], "p_b"],
    ] as const
  ) {
    const requested = { pipelines, channels: [] };
    const inUrl = { ticket: undefined, lastEventIdInUrl: undefined };
    const client = clientWith("x");
    await rejects(access.authorizeRead(client, requested), notGranted(named));
    await rejects(access.authorizeStream(client, { ...requested, ...inUrl }), notGranted(named));
    throws(() => access.authorizeTicket(bearer, requested), notGranted(named));
  }
  const granted = { channels: [], endsAt: Infinity };
  const requested = { pipelines: ["p_c", "p_a"], channels: [] };
  deepEqual(access.authorizeTicket(bearer, requested), { ...granted, credential: "token:a" });
});

Deno.test("Access opens a stream by the ticket of several pipelines, and by no position in its URL", async () => {
  await using made = await createTickets();
  const { tickets } = made;
  const { access } = createAccess(null, { tickets });
  const { secret: ticket } = await tickets.issue({ ...SCOPE, pipelines: PIPELINES });
  const client = { headers: new Headers(), address: null };
  const requested = { pipelines: PIPELINES, channels: [], ticket };
  await rejects(
    access.authorizeStream(client, { ...requested, lastEventIdInUrl: "1.2.3" }),
    { type: "malformed-request" },
  );
  await rejects(
    access.authorizeStream(client, {
      ...requested,
      pipelines: ["p_a", "p_d"],
      lastEventIdInUrl: undefined,
    }),
    refused("p_d"),
  );
  const { sessions } = await access.authorizeStream(client, {
    ...requested,
    lastEventIdInUrl: undefined,
  });
  deepEqual(sessions.map(({ revoked }) => revoked.aborted), [false, false, false]);
  for (const { close } of sessions) close();
});
