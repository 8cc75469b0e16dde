/**
 * A certificate and the private key of HTTPS, read from their files and checked.
 *
 * @module
 */

import { dirname } from "node:path";
import { describeCause, startCommand } from "../base/mod.ts";
import { type CertificateFacts, readFacts } from "./certificate_facts.ts";

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

/** A pair that is valid, and the facts of its certificate. */
export interface Certificate {
  /** The pair. */
  readonly pair: KeyPair;
  /** Facts of its certificate. */
  readonly facts: CertificateFacts;
}

/**
 * Reads a pair from its files.
 *
 * @param read Reads a file.
 * @throws An error for {@linkcode describeProblem}, if a file cannot be read or is invalid,
 *   or if the key is that of another certificate.
 */
export async function readCertificate(
  paths: CertificatePaths,
  read: (path: string) => Promise<string>,
): Promise<Certificate> {
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
    return { pair: { cert, key }, facts: await readFacts(cert) };
  } catch (cause) {
    throw new Problem(describeInvalid(paths, cause));
  }
}

/** A problem with the files, as an operator reads it. */
export class Problem extends Error {}

/** Describes an error of {@linkcode readCertificate} to the operator. */
export function describeProblem(error: unknown): string {
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
