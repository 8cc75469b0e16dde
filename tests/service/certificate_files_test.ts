import {
  deepStrictEqual as deepEqual,
  match,
  rejects,
  strictEqual as equal,
} from "node:assert/strict";
import type { KeyPair } from "../../lib/service/certificate.ts";
import { readFacts, warningOfEnd } from "../../lib/service/certificate_facts.ts";
import { CertificateFiles } from "../../lib/service/certificate_files.ts";
import { ENDED, FIRST, SECOND } from "../support/certificates/certificates.ts";
import { FakeClock } from "../support/fakes/clock.ts";
import { flush } from "../support/wait.ts";

const PATHS = { cert: "a/cert.pem", key: "b/key.pem" };

/** Opens files whose content or error a test sets. */
async function open(content: Record<"cert" | "key", string | Error> = { ...FIRST }) {
  const clock = new FakeClock();
  const lines: string[] = [];
  const renewed: KeyPair[] = [];
  const files = await CertificateFiles.open({
    paths: PATHS,
    runtime: { clock, report: (line) => lines.push(line) },
    read(path) {
      const found = path === PATHS.cert ? content.cert : content.key;
      return found instanceof Error ? Promise.reject(found) : Promise.resolve(found);
    },
  });
  files.onRenewed = (pair) => renewed.push(pair);
  const look = async () => {
    clock.advance(5000);
    await flush();
  };
  return { files, content, clock, lines, renewed, look };
}

const unusable: [what: string, content: Record<"cert" | "key", string | Error>, message: RegExp][] =
  [
    [
      "a missing certificate",
      { ...FIRST, cert: new Deno.errors.NotFound() },
      /^Cannot start: RUNNEL_TLS_CERT is "a\/cert.pem", and there is no such file$/,
    ],
    [
      "a missing key",
      { ...FIRST, key: new Deno.errors.NotFound() },
      /^Cannot start: RUNNEL_TLS_KEY is "b\/key.pem", and there is no such file$/,
    ],
    [
      "a key of another user",
      { ...FIRST, key: new Deno.errors.PermissionDenied() },
      /RUNNEL_TLS_KEY is "b\/key.pem", which the user of this process may not read$/,
    ],
    [
      "files without a permission of Deno",
      { ...FIRST, cert: new Deno.errors.NotCapable() },
      /no permission\. Copy both files into \.data, or start with: deno run -q -P --allow-read=\.data,a,b,\S+\/lib,\S+ \S+\/main\.ts$/,
    ],
    [
      "a folder",
      { ...FIRST, cert: new Error("Is a directory") },
      /RUNNEL_TLS_CERT is "a\/cert.pem", which cannot be read \(Error: Is a directory\)$/,
    ],
    [
      "a certificate that is none",
      { ...FIRST, cert: "text" },
      /RUNNEL_TLS_CERT is "a\/cert.pem", which has no certificate in PEM$/,
    ],
    [
      "an encrypted key",
      { ...FIRST, key: FIRST.key.replaceAll("PRIVATE", "ENCRYPTED PRIVATE") },
      /RUNNEL_TLS_KEY is "b\/key.pem", which has no private key in PEM without a passphrase$/,
    ],
    [
      "a key of another certificate",
      { ...FIRST, key: SECOND.key },
      /the key in "b\/key.pem" is not that of the certificate in "a\/cert.pem"\./,
    ],
    [
      "a damaged certificate",
      { ...FIRST, cert: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" },
      /the certificate in "a\/cert.pem" or the key in "b\/key.pem" is invalid \(.+\)$/,
    ],
  ];

for (const [what, content, message] of unusable) {
  Deno.test(`CertificateFiles.open() refuses ${what}`, async () => {
    await rejects(open(content), (error: Error) => {
      match(error.message, message);
      deepEqual("type" in error && error.type, "invalid-setting");
      return true;
    });
  });
}

Deno.test("CertificateFiles tells of a new pair once, and of the one before as long as it is", async () => {
  const { files, content, clock, lines, renewed, look } = await open();
  await look();
  deepEqual([files.pair, renewed, lines], [FIRST, [], []]);
  Object.assign(content, SECOND);
  await look();
  deepEqual([files.pair, renewed], [SECOND, [SECOND]]);
  deepEqual(lines, ["Uses the new certificate in a/cert.pem from now on"]);
  await look();
  deepEqual([renewed.length, lines.length], [1, 1]);
  files[Symbol.dispose]();
  deepEqual(clock.liveTimers, 0);
});

Deno.test("CertificateFiles keeps a pair while the next is written, without a line", async () => {
  const { files, content, lines, renewed, look } = await open();
  content.cert = SECOND.cert;
  await look();
  deepEqual([files.pair, renewed, lines], [FIRST, [], []]);
  content.key = SECOND.key;
  await look();
  deepEqual([files.pair, renewed], [SECOND, [SECOND]]);
  files[Symbol.dispose]();
});

Deno.test("CertificateFiles keeps a pair and reports a bad one once, at the second look", async () => {
  const { files, content, lines, renewed, look } = await open();
  content.key = SECOND.key;
  await look();
  deepEqual(lines, []);
  for (let looks = 0; looks < 3; looks++) await look();
  deepEqual(lines.length, 1);
  match(lines[0]!, /^Cannot renew the certificate, and keeps the one before: the key in "b\/key/);
  content.cert = new Deno.errors.NotFound();
  for (let looks = 0; looks < 3; looks++) await look();
  match(lines[1]!, /: RUNNEL_TLS_CERT is "a\/cert.pem", and there is no such file$/);
  deepEqual([files.pair, renewed, lines.length], [FIRST, [], 2]);
  Object.assign(content, SECOND);
  await look();
  deepEqual([files.pair, renewed], [SECOND, [SECOND]]);
  files[Symbol.dispose]();
});

Deno.test("CertificateFiles does not renew after it is disposed of", async () => {
  const { files, content, clock, renewed } = await open();
  Object.assign(content, SECOND);
  clock.advance(5000);
  files[Symbol.dispose]();
  await flush();
  deepEqual([renewed, clock.liveTimers], [[], 0]);
});

Deno.test("CertificateFiles warns of an end that is near, and of one that has come, once each", async () => {
  const { files, content, clock, lines, look } = await open({ ...ENDED });
  clock.set(Date.UTC(2025, 0, 20));
  await look();
  deepEqual(lines, []);
  clock.set(Date.UTC(2025, 0, 24));
  for (let looks = 0; looks < 3; looks++) await look();
  deepEqual(lines, [
    "The certificate in a/cert.pem ends at 2025-01-31T00:00:00.000Z. " +
    "Renew its files: a restart is not needed",
  ]);
  clock.set(Date.UTC(2025, 0, 31));
  for (let looks = 0; looks < 3; looks++) await look();
  deepEqual(lines.slice(1), [
    "The certificate in a/cert.pem ended at 2025-01-31T00:00:00.000Z, and clients refuse it. " +
    "Renew its files: a restart is not needed",
  ]);
  Object.assign(content, FIRST);
  await look();
  deepEqual(lines.slice(2), ["Uses the new certificate in a/cert.pem from now on"]);
  files[Symbol.dispose]();
});

Deno.test("CertificateFiles tells the facts of its certificate, and when it was renewed", async () => {
  const { files, content, clock, look } = await open({ ...ENDED });
  deepEqual([files.facts, files.renewedAt], [await readFacts(ENDED.cert), -Infinity]);
  Object.assign(content, FIRST);
  await look();
  deepEqual([files.facts, files.renewedAt], [await readFacts(FIRST.cert), clock.monotonic()]);
  files[Symbol.dispose]();
});

Deno.test("CertificateFiles keeps a valid pair if the new certificate has ended", async () => {
  const { files, content, lines, renewed, look } = await open();
  Object.assign(content, ENDED);
  for (let looks = 0; looks < 2; looks++) await look();
  deepEqual([files.pair, renewed, lines.length], [FIRST, [], 1]);
  match(lines[0]!, /before: the certificate in "a\/cert.pem" ended at 2025-01-31T/);
  files[Symbol.dispose]();
});

Deno.test("CertificateFiles tells when the files are those of the pair in use again", async () => {
  const { files, content, lines, look } = await open();
  content.key = SECOND.key;
  for (let looks = 0; looks < 2; looks++) await look();
  content.key = FIRST.key;
  for (let looks = 0; looks < 2; looks++) await look();
  deepEqual(lines.slice(1), ["The files of the certificate are valid again"]);
  files[Symbol.dispose]();
});

Deno.test("readFacts() returns the names and the validity of the first certificate of a chain", async () => {
  const names = ["localhost", "*.example.com", "127.0.0.1", "::1"];
  deepEqual(await readFacts(ENDED.cert + FIRST.cert), {
    names,
    startsAt: Date.UTC(2025, 0, 1),
    endsAt: Date.UTC(2025, 0, 31),
  });
});

const DAY_MS = 24 * 60 * 60 * 1000;

for (
  const [validDays, warnDays] of [[365, 14], [90, 14], [56, 14], [45, 11.25], [6, 1.5]] as const
) {
  Deno.test(`warningOfEnd() warns ${warnDays} days before the end of ${validDays}`, () => {
    const facts = { names: [], startsAt: 0, endsAt: validDays * DAY_MS };
    const warnAt = facts.endsAt - warnDays * DAY_MS;
    equal(warningOfEnd("cert.pem", facts, warnAt - 1), null);
    match(warningOfEnd("cert.pem", facts, warnAt)!, /^The certificate in cert\.pem ends at 19/);
  });
}
