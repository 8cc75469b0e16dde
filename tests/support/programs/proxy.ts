/**
 * Real proxies in front of a service, each in its own process with TLS and HTTP/2.
 *
 * @module
 */

import { eventually } from "../wait.ts";
import { type Requirement, requireProgram } from "./requirements.ts";
import { TempFolder } from "./temp_folder.ts";

/** Time for a proxy to end by itself before it is killed, in milliseconds. */
const END_MS = 10_000;

/** Requirements of {@linkcode createCertificate}. */
export const openssl: Requirement = await requireProgram(
  "/usr/bin/openssl",
  "apt-get install -y openssl",
);

/** Paths of a certificate for this machine. */
export interface Certificate {
  cert: string;
  key: string;
  /** Path of a file with both. */
  both: string;
  /** The certificate itself, for clients that trust it. */
  pem: string;
}

/** Creates a certificate for this machine in a folder. */
export async function createCertificate({ path }: TempFolder): Promise<Certificate> {
  const [cert, key, both] = [`${path}/cert.pem`, `${path}/key.pem`, `${path}/both.pem`];
  const { success, stderr } = await new Deno.Command("/usr/bin/openssl", {
    args: [
      ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2".split(" "),
      ..."-subj /CN=localhost -addext basicConstraints=critical,CA:FALSE".split(" "),
      ..."-addext subjectAltName=IP:127.0.0.1,DNS:localhost".split(" "),
      ...["-keyout", key, "-out", cert],
    ],
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  const pem = await Deno.readTextFile(cert);
  await Deno.writeTextFile(both, pem + await Deno.readTextFile(key));
  return { cert, key, both, pem };
}

/** Command of a proxy, and the files that it reads. */
export interface ProxyCommand {
  command: readonly string[];
  /** Files of its folder, by name. */
  files: Record<string, string>;
  protocol: "http" | "https";
}

/** A running proxy. */
export class Proxy implements AsyncDisposable {
  /** Address of the proxy. */
  readonly url: string;
  readonly #child: Deno.ChildProcess;
  readonly #folder: TempFolder;
  readonly #collected: Promise<unknown>;
  #output = "";
  #ended = false;

  private constructor(url: string, folder: TempFolder, [program, ...args]: readonly string[]) {
    this.url = url;
    this.#folder = folder;
    this.#child = new Deno.Command(program!, {
      args,
      cwd: folder.path,
      env: { HOME: folder.path },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    void this.#child.status.then(() => this.#ended = true);
    this.#collected = Promise.all(
      [this.#child.stdout, this.#child.stderr].map(async (stream) => {
        for await (const text of stream.pipeThrough(new TextDecoderStream())) this.#output += text;
      }),
    );
  }

  /** Starts a proxy on a free port, and waits until it listens. */
  static async start(
    configure: (port: number, folder: string) => ProxyCommand,
  ): Promise<Proxy> {
    const folder = new TempFolder();
    const port = freePort();
    const { command, files, protocol } = configure(port, folder.path);
    for (const [name, content] of Object.entries(files)) await folder.write(name, content);
    const proxy = new Proxy(`${protocol}://127.0.0.1:${port}`, folder, command);
    try {
      await eventually("the proxy listens", () => proxy.#ended || listens(port));
      if (proxy.#ended) throw new Error("It has ended");
      return proxy;
    } catch (cause) {
      const log = await Deno.readTextFile(`${folder.path}/error.log`).catch(() => "");
      await proxy[Symbol.asyncDispose]();
      throw new Error(`${command[0]} did not start: ${proxy.#output}${log}`, { cause });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Workers end with their parent, which they would not on SIGKILL.
    this.#kill("SIGTERM");
    const timer = setTimeout(() => this.#kill("SIGKILL"), END_MS);
    await this.#child.status;
    clearTimeout(timer);
    await this.#collected;
    await this.#folder[Symbol.asyncDispose]();
  }

  #kill(signal: Deno.Signal): void {
    try {
      this.#child.kill(signal);
    } catch (error) {
      // It has exited by itself.
      if (!(error instanceof TypeError)) throw error;
    }
  }
}

function listens(port: number): Promise<boolean> {
  return Deno.connect({ hostname: "127.0.0.1", port }).then((connection) => {
    connection.close();
    return true;
  }, () => false);
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}
