import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { openStream } from "../support/clients/stream_reader.ts";
import { DataFolder, Program, startCommand } from "../support/programs/program.ts";
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
      if (!(error instanceof Deno.errors.ConnectionRefused)) throw error;
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
