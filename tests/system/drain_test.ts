import { match, strictEqual as equal } from "node:assert/strict";
import { DataFolder, Program } from "../support/programs/program.ts";
import { encodeUtf8 } from "../support/generators/text.ts";
import { readRaw, sendRaw } from "../support/servers/local_server.ts";

const EVENT = '{"pipeline":"p_a","channel":"events","payload":1}';

const uploads: [name: string, head: string, rest: string][] = [
  [
    "of a known length",
    `Content-Length: ${EVENT.length}\r\n\r\n${EVENT.slice(0, 10)}`,
    EVENT.slice(10),
  ],
  [
    "in chunks",
    `Transfer-Encoding: chunked\r\n\r\na\r\n${EVENT.slice(0, 10)}\r\n`,
    `${(EVENT.length - 10).toString(16)}\r\n${EVENT.slice(10)}\r\n0\r\n\r\n`,
  ],
];

function post(rest: string): string {
  return `POST /ingest HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n${rest}`;
}

/** Starts the program with a number of isolates. */
async function start(folder: DataFolder, isolates: number): Promise<[Program, port: number]> {
  const program = await Program.start({
    RUNNEL_KV: folder.kv,
    RUNNEL_ISOLATES: String(isolates),
    RUNNEL_MAX_SUBSCRIBERS: "1000",
  });
  return [program, Number(new URL(program.url).port)];
}

for (const isolates of [1, 2]) {
  for (const [name, head, rest] of uploads) {
    Deno.test(`a drain of ${isolates} isolates refuses an upload ${name} so that it is repeated`, async () => {
      await using folder = new DataFolder();
      const [program, port] = await start(folder, isolates);
      await using _program = program;
      using connection = await sendRaw(port, post(head));
      program.kill("SIGTERM");
      const answer = await readRaw(connection, (text) => text.includes("}"));
      match(answer, /^HTTP\/1\.1 503 /);
      match(answer, /^retry-after: 1\r$/im);
      match(answer, /urn:runnel:problem:draining.*Nothing was stored; send it again/);
      // A client may send the rest before it reads the answer.
      await connection.write(encodeUtf8(rest));
      equal(await readRaw(connection), "");
      equal(await program.exit(), 0);
      equal(program.complaints.join("\n"), "");
    });
  }

  Deno.test(`a drain of ${isolates} isolates answers each request on a kept connection, and tells the client to leave it`, async () => {
    await using folder = new DataFolder();
    const [program, port] = await start(folder, isolates);
    await using _program = program;
    const request = post(`Content-Length: ${EVENT.length}\r\n\r\n${EVENT}`);
    using connection = await sendRaw(port, request);
    let answer = await readRaw(connection, (text) => text.includes("}"));
    match(answer, /^HTTP\/1\.1 202 /);
    program.kill("SIGTERM");
    while (!/^connection: close\r$/im.test(answer)) {
      await connection.write(encodeUtf8(request));
      answer = await readRaw(connection, (text) => text.includes("}"));
      match(answer, /^HTTP\/1\.1 (202|503) /);
    }
    equal(await readRaw(connection), "");
    equal(await program.exit(), 0);
  });
}
