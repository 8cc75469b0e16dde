import { deepStrictEqual as deepEqual, match, rejects } from "node:assert/strict";
import { CertificateFiles, type KeyPair, readNames } from "../../lib/service/certificate_files.ts";
import { FIRST, SECOND } from "../support/certificates/certificates.ts";
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

Deno.test("readNames() returns the DNS names and the IP addresses of a certificate", async () => {
  deepEqual(await readNames(FIRST), ["localhost", "*.example.com", "127.0.0.1", "::1"]);
});
