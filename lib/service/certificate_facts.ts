/**
 * Facts that a certificate states: its names, and its end.
 *
 * @module
 */

/** Time before the end of a certificate in which the operator is warned, in milliseconds. */
const WARN_MS = 14 * 24 * 60 * 60 * 1000;

/** Part of a lifetime in which the operator is warned, if that is shorter. */
const WARN_PART = 1 / 4;

/** Facts of a certificate. */
export interface CertificateFacts {
  /** Names: DNS names, also with a wildcard, and IP addresses. */
  readonly names: readonly string[];
  /** Start of its validity, in milliseconds since the Unix epoch. */
  readonly startsAt: number;
  /** End of its validity, in milliseconds since the Unix epoch. */
  readonly endsAt: number;
}

/**
 * Reads the facts of the first certificate of a chain, which is the server's own.
 *
 * @param chain Certificate chain in PEM.
 * @throws The error of a certificate that cannot be read.
 */
export async function readFacts(chain: string): Promise<CertificateFacts> {
  // Only when it is needed: it takes some milliseconds to load.
  const { X509Certificate } = await import("node:crypto");
  const { subjectAltName = "", validFrom, validTo } = new X509Certificate(chain);
  const names = [...subjectAltName.matchAll(/(?:DNS|IP Address):([^,\s"]+)/g)];
  return {
    names: names.map(([, name]) => name!.toLowerCase()),
    startsAt: Date.parse(validFrom),
    endsAt: Date.parse(validTo),
  };
}

/**
 * Returns the line that warns of the end of a certificate: in its last 14 days, or in the
 * last quarter of one that is valid for less than eight weeks. `null` before.
 *
 * @param now Time of the wall clock, in milliseconds since the Unix epoch.
 */
export function warningOfEnd(
  path: string,
  { startsAt, endsAt }: CertificateFacts,
  now: number,
): string | null {
  if (now < endsAt - Math.min(WARN_MS, WARN_PART * (endsAt - startsAt))) return null;
  const end = new Date(endsAt).toISOString();
  const what = now < endsAt ? `ends at ${end}` : `ended at ${end}, and clients refuse it`;
  return `The certificate in ${path} ${what}. Renew its files: a restart is not needed`;
}
