/**
 * Real proxies in front of a service, each in its own process with TLS and HTTP/2.
 *
 * @module
 */

import { type Requirement, requireProgram } from "./requirements.ts";
import { ServerProcess } from "./server_process.ts";
import type { TempFolder } from "./temp_folder.ts";

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
  readonly #process: ServerProcess;

  private constructor(url: string, process: ServerProcess) {
    this.url = url;
    this.#process = process;
  }

  /** Starts a proxy on a free port, and waits until it listens. */
  static async start(
    configure: (port: number, folder: string) => ProxyCommand,
  ): Promise<Proxy> {
    let protocol = "";
    const process = await ServerProcess.start((port, folder) => {
      const { command, files, ...rest } = configure(port, folder);
      protocol = rest.protocol;
      return { command, files, env: { HOME: folder }, log: "error.log" };
    });
    return new Proxy(`${protocol}://127.0.0.1:${process.port}`, process);
  }

  /** What it has written so far, and whether it has exited. */
  get state(): string {
    return `${this.#process.ended ? "It has exited" : "It runs"}: ${this.#process.output}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]();
  }
}
