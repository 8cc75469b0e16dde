import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { mint, SECRET } from "../support/clients/tokens.ts";
import { DataFolder, Program } from "../support/programs/program.ts";
import { testWithRequirements } from "../support/programs/requirements.ts";
import { DenoKv, denoKv } from "../support/stores/denokv.ts";
import { eventually } from "../support/wait.ts";

type Line = Record<string, unknown>;

/** All lines of a program, each of which is JSON. */
function linesOf(program: Program): Line[] {
  return `${program.output}${program.errors}`.split("\n").filter((line) => line !== "")
    .map((line) => JSON.parse(line));
}

const JSON_LINES = { RUNNEL_LOG_FORMAT: "auto", RUNNEL_LOG: "debug", RUNNEL_ACCESS_LOG: "on" };
const PUBLISH_TOKEN = "hush-publish-token-0123456789";

/** Texts of which no line may have a part. */
const HUSHED = ["hush", SECRET, "eyJ"];

for (const isolates of ["1", "2"]) {
  Deno.test(`no line of ${isolates} isolates has a payload, a token or a ticket`, async () => {
    await using folder = new DataFolder();
    await using program = await Program.start({
      ...JSON_LINES,
      RUNNEL_KV: folder.kv,
      RUNNEL_ISOLATES: isolates,
      RUNNEL_PUBLISH_TOKENS: PUBLISH_TOKEN,
      RUNNEL_TOKEN_SECRET: SECRET,
      RUNNEL_SUBSCRIBE: "token",
      RUNNEL_RETRY_MS: "0",
    });
    const statuses: Record<number, number> = {};
    const send = async (path: string, init: RequestInit = {}, reads = true) => {
      const response = await fetch(`${program.url}${path}`, init);
      statuses[response.status] = (statuses[response.status] ?? 0) + 1;
      if (reads && !response.headers.get("Content-Type")?.includes("stream")) {
        return await response.text();
      }
      await response.body?.cancel();
      return "";
    };
    const bearer = { Authorization: `Bearer ${PUBLISH_TOKEN}` };
    const post = (path: string, body: string, headers: HeadersInit = bearer) =>
      send(path, {
        method: "POST",
        body,
        headers: { "Content-Type": "application/json", ...headers },
      });
    const token = await mint({ subscribe: ["p_a"] });
    for (let i = 0; i < 20; i++) {
      await post("/ingest", JSON.stringify({ pipeline: "p_a", channel: "a", payload: "hush" }));
      await post("/ingest/p_a/a", '"hush"', { ...bearer, "Idempotency-Key": `hush-${i}` });
    }
    // Refusals of each kind, with secrets wherever a client can put them.
    await post("/ingest", '{"pipeline":"p_a","channel":"a","payload":hush}');
    await post("/ingest", '{"pipeline":"p_a","channel":"a","hush":1}');
    await post("/ingest", '{"pipeline":"hush","channel":"hush hush","payload":1}');
    await post("/ingest", "[]", { Authorization: "Bearer hush-wrong-token" });
    await post("/ingest/p_a/a", "1", { ...bearer, "Idempotency-Key": "hush hush" });
    await send(`/pipelines/p_a/sse?ticket=hush&history=hush`);
    await send(`/pipelines/p_a/sse?token=${token}`);
    await send(`/pipelines/p_a/events`, { headers: { Cookie: `runnel_token=${token}` } });
    await send(`/pipelines/p_a/events`, { headers: { Authorization: `Bearer ${token}` } });
    await send(`/hush/${token}?hush`);
    await send(`/pipelines/hush/sse`, { headers: { "X-Request-Id": "hush-request-id" } });
    // A ticket that is used, and used again.
    const { url } = JSON.parse(await post("/pipelines/p_a/tickets", '{"channels":["a"]}'));
    const ticket = new URL(url).searchParams.get("ticket")!;
    ok(ticket.length > 10);
    const path = url.slice(new URL(url).origin.length);
    await send(path);
    await send(path);
    program.kill("SIGTERM");
    equal(await program.exit(), 0);
    deepEqual(Object.keys(statuses), ["200", "201", "202", "400", "401", "404", "422"]);
    const text = `${program.output}${program.errors}`;
    for (const hushed of [...HUSHED, ticket]) ok(!text.includes(hushed), `${hushed} in ${text}`);
    const lines = linesOf(program);
    const requests = lines.filter(({ message }) => message === "Request");
    const sent = Object.values(statuses).reduce((sum, count) => sum + count, 0);
    equal(requests.length, sent);
    ok(lines.some(({ message }) => message === "Refused a request"));
    for (const line of lines) {
      match(String(line["@timestamp"]), /^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
      equal("isolate" in line, isolates !== "1");
    }
    if (isolates === "1") return;
    equal(lines.find(({ message }) => /listens on/.test(String(message)))?.["isolate"], 0);
    ok(requests.every(({ isolate }) => isolate === 1 || isolate === 2));
  });
}

Deno.test("the lines at the start and the end are JSON elsewhere than on a terminal", async () => {
  const settings = {
    RUNNEL_LOG_FORMAT: "",
    RUNNEL_KV: ":memory:",
    RUNNEL_PUBLISH_TOKENS: PUBLISH_TOKEN,
  };
  await using program = await Program.start(settings);
  program.kill("SIGTERM");
  equal(await program.exit(), 0);
  equal(program.errors, "");
  const [start, ...rest] = linesOf(program);
  match(String(start!["message"]), /^Runnel \S+ listens on http:/);
  equal(start!["settings"], "PORT=0 RUNNEL_KV=:memory: RUNNEL_PUBLISH_TOKENS=…");
  deepEqual(rest.map(({ level, message }) => [level, message]), [
    ["INFO", "SIGTERM: Runnel drains, within 5 seconds"],
    ["INFO", "Runnel has ended"],
  ]);
});

testWithRequirements(
  [denoKv],
  "a KV server that is gone is told of in some lines, counted, and again when it is back",
  async () => {
    await using kv = await DenoKv.start();
    await using program = await Program.start({
      ...kv.settings,
      RUNNEL_LOG_FORMAT: "json",
      RUNNEL_KV_TIMEOUT_MS: "500",
    });
    const publish = async () => {
      const response = await fetch(`${program.url}/ingest/p_a/a`, { method: "POST", body: "1" });
      await response.body?.cancel();
      return response.status;
    };
    equal(await publish(), 202);
    const streams = await Promise.all(
      Array.from({ length: 20 }, (_, i) => fetch(`${program.url}/pipelines/p_${i}/sse`)),
    );
    await kv.stop();
    const statuses = await Promise.all(Array.from({ length: 200 }, publish));
    ok(statuses.every((status) => status === 503));
    await kv.start();
    await eventually("it works again", async () => {
      await publish();
      return program.output.includes("works again");
    });
    await eventually("the repeated lines are counted", () => program.errors.includes("repeated"));
    const lines = program.errors.trimEnd().split("\n").map((line) => JSON.parse(line));
    ok(lines.some(({ message }) => message === "The store of the log fails"));
    const outages = lines.filter(({ message }) =>
      message === "Cannot POST /ingest/{pipeline}/{channel}"
    );
    ok(outages.length <= 10, `${outages.length} lines`);
    ok(lines.some(({ repeated }) => repeated >= 100), program.errors);
    ok(lines.length < 60, `${lines.length} lines`);
    for (const { body } of streams) await body!.cancel();
  },
);
