/**
 * Self-signed certificates of this machine, with keys that protect nothing:
 *
 * ```sh
 * openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36500 \
 *   -keyout first.key -out first.crt -subj /CN=first -addext basicConstraints=critical,CA:FALSE \
 *   -addext "subjectAltName=DNS:localhost,DNS:*.example.com,IP:127.0.0.1,IP:::1"
 * ```
 *
 * The one that has ended is of 2025, by `openssl ca -selfsign -startdate … -enddate …`.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import type { CertificatePaths, KeyPair } from "../../../lib/service/certificate.ts";

const pathOf = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** Files of the first certificate. */
export const FIRST_PATHS: CertificatePaths = {
  cert: pathOf("first.crt"),
  key: pathOf("first.key"),
};

/** The first certificate. */
export const FIRST: KeyPair = readPair("first");

/** The second certificate, for the same names. */
export const SECOND: KeyPair = readPair("second");

/** A certificate for the same names that was valid from the 1st to the 31st of January 2025. */
export const ENDED: KeyPair = readPair("ended");

function readPair(name: string): KeyPair {
  return {
    cert: Deno.readTextFileSync(pathOf(`${name}.crt`)),
    key: Deno.readTextFileSync(pathOf(`${name}.key`)),
  };
}
