import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { openStream } from "../support/clients/stream_reader.ts";
import { DataFolder, Program, startCommand } from "../support/programs/program.ts";
import { readRaw, sendRaw } from "../support/servers/local_server.ts";
import { eventually } from "../support/wait.ts";

/** Maximum number of open files of the program: more than it needs without connections. */
const FILES = 256;

/** Connections that send nothing: more than the program may have. */
const SILENT = 600;

/** Starts the program with a limit of its open files. */
function start(settings: Record<string, string>): Promise<Program> {
  const limited = ["sh", "-c", `ulimit -n ${FILES} && exec "$0" "$@"`, ...startCommand()];
  return Program.start(settings, limited);
}

/** Opens connections that send nothing, and closes them when disposed. */
class SilentConnections implements Disposable {
  /** Number of connections that the program has closed. */
  ended = 0;
  readonly #port: number;
  readonly #open = new Set<Deno.TcpConn>();

  constructor(program: Program) {
    this.#port = Number(new URL(program.url).port);
  }

  /** Opens another one. It may be refused for a moment. */
  async add(): Promise<void> {
    try {
      const connection = await Deno.connect({ hostname: "127.0.0.1", port: this.#port });
      this.#open.add(connection);
      const end = () => this.ended++;
      connection.read(new Uint8Array(1)).then(end, end);
    } catch (error) {
      const { ConnectionRefused, ConnectionReset } = Deno.errors;
      if (!(error instanceof ConnectionRefused || error instanceof ConnectionReset)) throw error;
    }
  }

  [Symbol.dispose](): void {
    for (const connection of this.#open) connection.close();
  }
}

/** Publishes an event, and repeats it with its key until it is accepted. */
async function publish({ url }: Program, number: number): Promise<void> {
  await eventually(`event ${number} is accepted`, async () => {
    try {
      const response = await fetch(`${url}/ingest/p_a/events`, {
        method: "POST",
        headers: { "Content-Type": "application/json", "Idempotency-Key": String(number) },
        body: String(number),
      });
      await response.body?.cancel();
      ok([202, 503].includes(response.status), "a publisher repeats its request");
      return response.status === 202;
    } catch (error) {
      // The connection was refused or closed.
      if (error instanceof TypeError) return false;
      throw error;
    }
  });
}

for (const isolates of [1, 2]) {
  Deno.test(`The program goes on when it runs out of file descriptors, isolates: ${isolates}`, async () => {
    await using folder = new DataFolder();
    await using program = await start({
      RUNNEL_KV: folder.kv,
      RUNNEL_ISOLATES: String(isolates),
      RUNNEL_MAX_SUBSCRIBERS: "10",
    });
    const stream = await openStream(program, "p_a");
    await stream.until("runnel.live");
    const port = Number(new URL(program.url).port);
    const slow = await sendRaw(
      port,
      "POST /ingest/p_a/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhalf",
    );
    let number = 0;
    {
      using silent = new SilentConnections(program);
      for (let i = 0; i < SILENT; i++) {
        await silent.add();
        if (i % 10 === 0) await publish(program, ++number);
      }
      // They do not starve those that send a request.
      await eventually("the program closes connections", () => silent.ended > FILES / 2);
      await publish(program, ++number);
      // What still arrives after a second is cut off, and may be sent again.
      const answer = await readRaw(slow, (text) => text.endsWith("}"));
      match(answer, /^HTTP\/1\.1 503 [^]*\r\nretry-after: 1\r\n[^]*"type":"[^"]*overloaded"/i);
      slow.close();
    }
    const expected = Array.from({ length: number }, (_, index) => String(index + 1));
    // On the connection that was open all the time.
    deepEqual((await stream.events(number)).map(({ data }) => data), expected);
    await stream.cancel();
    const lines = program.complaints.filter((line) => line.startsWith("Cannot accept"));
    ok(lines.length >= 1 && lines.length <= isolates, program.errors);
    equal(program.complaints.length, lines.length, program.errors);
    program.kill("SIGTERM");
    equal(await program.exit(), 0);
  });
}

Deno.test("The program warns at its start if subscribers could use up its file descriptors", async () => {
  await using program = await start({ RUNNEL_KV: ":memory:" });
  const [warning, ...others] = program.complaints;
  match(
    warning!,
    /^RUNNEL_MAX_SUBSCRIBERS is 10000, but .* Set it to \d+, or allow 10300 open files/,
  );
  deepEqual(others, []);
});
