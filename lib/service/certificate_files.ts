/**
 * The certificate and the private key of HTTPS, in files that are read again when
 * they change.
 *
 * The files are compared, not watched: programs that renew certificates replace
 * links to files or to folders, of which a watch on a file says nothing.
 *
 * @module
 */

import { type LogFields, RunnelError, type Runtime } from "../base/mod.ts";
import {
  type Certificate,
  type CertificatePaths,
  describeProblem,
  type KeyPair,
  Problem,
  readCertificate,
} from "./certificate.ts";
import { type CertificateFacts, warningOfEnd } from "./certificate_facts.ts";

/** Interval between two looks at the files, in milliseconds. */
const LOOK_MS = 5000;

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
  #current: Certificate;
  #renewedAt = -Infinity;
  #timer: Disposable | null = null;
  #isClosed = false;
  /** Problem of the look before, if it had one. */
  #problem: string | null = null;
  #reported: string | null = null;
  /** Warning of the end of the certificate, once it was reported. */
  #warning: string | null = null;

  private constructor(options: Required<CertificateFilesOptions>, current: Certificate) {
    this.#options = options;
    this.#current = current;
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
      return new CertificateFiles(all, await readCertificate(all.paths, all.read));
    } catch (cause) {
      throw new RunnelError("invalid-setting", `Cannot start: ${describeProblem(cause)}`, {
        cause,
      });
    }
  }

  /** The newest valid pair. */
  get pair(): KeyPair {
    return this.#current.pair;
  }

  /** Facts of its certificate. */
  get facts(): CertificateFacts {
    return this.#current.facts;
  }

  /** Time of the last renewal, by the monotonic clock, in milliseconds; `-Infinity` before. */
  get renewedAt(): number {
    return this.#renewedAt;
  }

  #lookLater(): void {
    if (this.#isClosed) return;
    this.#timer = this.#options.runtime.clock.after(LOOK_MS, () => this.#look());
  }

  async #look(): Promise<void> {
    const { paths, read } = this.#options;
    try {
      const found = await readCertificate(paths, read);
      if (!isSame(found.pair, this.pair)) {
        this.#assertBetter(found);
        if (!this.#isClosed) this.#renew(found);
      } else if (this.#reported !== null) {
        this.#tell("The files of the certificate are valid again");
      }
      this.#problem = this.#reported = null;
    } catch (error) {
      this.#report(describeProblem(error));
    }
    this.#warn();
    this.#lookLater();
  }

  #renew(certificate: Certificate): void {
    this.#current = certificate;
    this.#renewedAt = this.#options.runtime.clock.monotonic();
    this.onRenewed(certificate.pair);
    this.#tell(`Uses the new certificate in ${this.#options.paths.cert} from now on`, {
      ends: formatTime(certificate.facts.endsAt),
    });
  }

  /** Throws if a certificate has ended, and the one in use has not, or did so later. */
  #assertBetter({ facts: { endsAt } }: Certificate): void {
    const { paths, runtime: { clock } } = this.#options;
    if (endsAt > clock.now() || endsAt >= this.facts.endsAt) return;
    throw new Problem(
      `the certificate in ${JSON.stringify(paths.cert)} ended at ${formatTime(endsAt)}`,
    );
  }

  #tell(message: string, fields: LogFields = {}): void {
    this.#options.runtime.report(message, undefined, { level: "info", fields });
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

  /** Warns of the end of the certificate: when it is near, and when it has come. */
  #warn(): void {
    const { paths, runtime: { clock, report } } = this.#options;
    const warning = warningOfEnd(paths.cert, this.facts, clock.now());
    if (this.#isClosed || warning === this.#warning) return;
    this.#warning = warning;
    if (warning) report(warning, undefined, { level: "warn" });
  }

  /** Ends the looks at the files. */
  [Symbol.dispose](): void {
    this.#isClosed = true;
    this.#timer?.[Symbol.dispose]();
  }
}

function formatTime(time: number): string {
  return new Date(time).toISOString();
}

function isSame(one: KeyPair, other: KeyPair): boolean {
  return one.cert === other.cert && one.key === other.key;
}
