/**
 * The certificate and the private key of HTTPS, in files that are read again when
 * they change.
 *
 * The files are compared, not watched: programs that renew certificates replace
 * links to files or to folders, of which a watch on a file says nothing.
 *
 * @module
 */

import { dirname } from "node:path";
import { describeCause, RunnelError, type Runtime, startCommand } from "../base/mod.ts";

/** Interval between two looks at the files, in milliseconds. */
const LOOK_MS = 5000;

/** A certificate and its private key. */
export interface KeyPair {
  /** Certificate chain in PEM. */
  cert: string;
  /** Private key in PEM. */
  key: string;
}

/** Paths of a certificate and its private key. */
export interface CertificatePaths {
  /** Path of the certificate chain. */
  cert: string;
  /** Path of the private key. */
  key: string;
}

/** Options for {@linkcode CertificateFiles.open}. */
export interface CertificateFilesOptions {
  /** The files. */
  paths: CertificatePaths;
  /** Clock of the looks, and reporter of renewals and errors. */
  runtime: Pick<Runtime, "clock" | "report">;
  /** Reads a file. @default {Deno.readTextFile} */
  read?: (path: string) => Promise<string>;
}

/**
 * The files of a certificate. Disposing of it ends the looks at them.
 *
 * @example Usage
 * ```ts
 * import { rejects } from "node:assert/strict";
 * import { systemRuntime } from "../base/mod.ts";
 *
 * const paths = { cert: "none.crt", key: "none.key" };
 * await rejects(CertificateFiles.open({ paths, runtime: systemRuntime }), /there is no such file/);
 * ```
 */
export class CertificateFiles implements Disposable {
  /** Called with each pair that takes the place of the one before. */
  onRenewed: (pair: KeyPair) => void = () => {};
  readonly #options: Required<CertificateFilesOptions>;
  #pair: KeyPair;
  #timer: Disposable | null = null;
  #isClosed = false;
  /** Problem of the look before, if it had one. */
  #problem: string | null = null;
  #reported: string | null = null;

  private constructor(options: Required<CertificateFilesOptions>, pair: KeyPair) {
    this.#options = options;
    this.#pair = pair;
    this.#lookLater();
  }

  /**
   * Reads the files.
   *
   * @throws {RunnelError} `invalid-setting` if one cannot be read or is invalid, or if the
   *   key is that of another certificate.
   */
  static async open(options: CertificateFilesOptions): Promise<CertificateFiles> {
    const all = { read: Deno.readTextFile, ...options };
    try {
      return new CertificateFiles(all, await readPair(all));
    } catch (cause) {
      throw new RunnelError("invalid-setting", `Cannot start: ${describe(cause)}`, { cause });
    }
  }

  /** The newest valid pair. */
  get pair(): KeyPair {
    return this.#pair;
  }

  #lookLater(): void {
    if (this.#isClosed) return;
    this.#timer = this.#options.runtime.clock.after(LOOK_MS, () => this.#look());
  }

  async #look(): Promise<void> {
    try {
      const pair = await readPair(this.#options);
      this.#problem = this.#reported = null;
      if (!this.#isClosed && !isSame(pair, this.#pair)) this.#renew(pair);
    } catch (error) {
      this.#report(describe(error));
    }
    this.#lookLater();
  }

  #renew(pair: KeyPair): void {
    this.#pair = pair;
    this.onRenewed(pair);
    this.#options.runtime.report(
      `Uses the new certificate in ${this.#options.paths.cert} from now on`,
      undefined,
      { level: "info" },
    );
  }

  /** Reports a problem once, at the second look that finds it: the files are written one by one. */
  #report(problem: string): void {
    if (problem === this.#problem && problem !== this.#reported) {
      this.#reported = problem;
      this.#options.runtime.report(
        `Cannot renew the certificate, and keeps the one before: ${problem}`,
        undefined,
        { level: "error" },
      );
    }
    this.#problem = problem;
  }

  /** Ends the looks at the files. */
  [Symbol.dispose](): void {
    this.#isClosed = true;
    this.#timer?.[Symbol.dispose]();
  }
}

/** Returns the names in a certificate: DNS names, also with a wildcard, and IP addresses. */
export async function readNames({ cert }: KeyPair): Promise<string[]> {
  // Only when it is needed: it takes some milliseconds to load.
  const { X509Certificate } = await import("node:crypto");
  const { subjectAltName = "" } = new X509Certificate(cert);
  return [...subjectAltName.matchAll(/(?:DNS|IP Address):([^,\s"]+)/g)].map(([, name]) =>
    name!.toLowerCase()
  );
}

async function readPair(
  { paths, read }: Pick<Required<CertificateFilesOptions>, "paths" | "read">,
): Promise<KeyPair> {
  const readFile = async (name: string, path: string) => {
    try {
      return await read(path);
    } catch (cause) {
      throw new Problem(describeUnreadable(name, path, paths, cause));
    }
  };
  const cert = await readFile("RUNNEL_TLS_CERT", paths.cert);
  const key = await readFile("RUNNEL_TLS_KEY", paths.key);
  try {
    // Of what the runtime does with a pair, this alone takes no port.
    Deno.createHttpClient({ cert, key }).close();
  } catch (cause) {
    throw new Problem(describeInvalid(paths, cause));
  }
  return { cert, key };
}

/** A problem with the files, as an operator reads it. */
class Problem extends Error {}

function describe(error: unknown): string {
  return error instanceof Problem ? error.message : describeCause(error);
}

function describeUnreadable(
  name: string,
  path: string,
  paths: CertificatePaths,
  cause: unknown,
): string {
  const is = `${name} is ${JSON.stringify(path)}`;
  if (cause instanceof Deno.errors.NotCapable) {
    const command = startCommand({ read: [".data", ...[paths.cert, paths.key].map(dirname)] });
    return `${is}, for which Deno has no permission. Copy both files into .data, or start with: ` +
      command;
  }
  if (cause instanceof Deno.errors.NotFound) return `${is}, and there is no such file`;
  if (cause instanceof Deno.errors.PermissionDenied) {
    return `${is}, which the user of this process may not read`;
  }
  return `${is}, which cannot be read (${describeCause(cause)})`;
}

function describeInvalid({ cert, key }: CertificatePaths, cause: unknown): string {
  const reason = cause instanceof Error ? cause.message : String(cause);
  if (reason.includes("No certificates found")) {
    return `RUNNEL_TLS_CERT is ${JSON.stringify(cert)}, which has no certificate in PEM`;
  }
  if (reason.includes("No keys found")) {
    return `RUNNEL_TLS_KEY is ${JSON.stringify(key)}, which has no private key in PEM ` +
      "without a passphrase";
  }
  if (reason.includes("KeyMismatch")) {
    return `the key in ${JSON.stringify(key)} is not that of the certificate in ` +
      `${JSON.stringify(cert)}. In a chain, the server's own certificate is the first`;
  }
  return `the certificate in ${JSON.stringify(cert)} or the key in ${JSON.stringify(key)} ` +
    `is invalid (${reason})`;
}

function isSame(one: KeyPair, other: KeyPair): boolean {
  return one.cert === other.cert && one.key === other.key;
}
