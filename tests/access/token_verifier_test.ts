import {
  deepStrictEqual as deepEqual,
  ok,
  rejects,
  strictEqual as equal,
} from "node:assert/strict";
import { exportJWK, exportSPKI, generateKeyPair, SignJWT } from "jose";
import { type Bearer, InvalidToken, type TokenConfig } from "../../lib/access/bearer.ts";
import { NO_CREDENTIAL } from "../../lib/access/credential.ts";
import { TokenVerifier } from "../../lib/access/token_verifier.ts";
import { mint, PUBLISH_TOKEN, SECRET, sign } from "../support/clients/tokens.ts";
import { FakeClock } from "../support/fakes/clock.ts";
import { type LocalServer, serveLocally } from "../support/servers/local_server.ts";

const CLAIM = { publish: ["p_a"], subscribe: ["p_a_*"], channels: ["orders"] };

const clock = new FakeClock();
const now = clock.now() / 1000;
const { publicKey, privateKey } = await generateKeyPair("ES256");
const other = await generateKeyPair("ES256");
const spki = await exportSPKI(publicKey);

/** A server of public keys. */
interface KeyServer extends LocalServer {
  answer: (request: Request) => Response | Promise<Response>;
  /** Number of requests that it received. */
  asked: number;
}

async function serveKeys(): Promise<KeyServer> {
  const keys = [{ ...await exportJWK(publicKey), kid: "k1", alg: "ES256", use: "sig" }];
  const state = { asked: 0, answer: (_: Request): Response => Response.json({ keys }) };
  const server = serveLocally((request) => {
    state.asked++;
    return Promise.resolve(state.answer(request));
  });
  return Object.defineProperties(state, Object.getOwnPropertyDescriptors(server)) as
    & typeof state
    & KeyServer;
}

const CONFIG: TokenConfig = {
  publishTokens: [PUBLISH_TOKEN],
  tokenSecret: SECRET,
  jwksUrl: null,
  tokenAudience: null,
  tokenIssuer: null,
  tokenExpiry: "required",
};

function verifier(config: Partial<TokenConfig> = {}): TokenVerifier {
  return new TokenVerifier({ ...CONFIG, ...config }, { clock });
}

function part(value: unknown): string {
  return new TextEncoder().encode(JSON.stringify(value))
    .toBase64({ alphabet: "base64url", omitPadding: true });
}

/** Whether a token is accepted. */
async function isAccepted(verified: Promise<Bearer>): Promise<boolean> {
  try {
    await verified;
    return true;
  } catch (error) {
    if (error instanceof InvalidToken) return false;
    throw error;
  }
}

Deno.test("TokenVerifier.verify() grants static tokens all publishes, and no subscription", async () => {
  const publishTokens = ["the-token-of-before", "the-token-of-today"];
  for (const token of publishTokens) {
    const { grant } = await verifier({ publishTokens }).verify(token);
    deepEqual(grant, { publish: ["*"], subscribe: [], channels: null, endsAt: Infinity });
  }
  for (const token of ["", "the-token-of", "the-token-of-todayx", "THE-TOKEN-OF-TODAY"]) {
    await rejects(verifier({ publishTokens }).verify(token), InvalidToken);
  }
});

Deno.test("TokenVerifier.verify() reads the grant of a token until it expires", async () => {
  const token = await sign({ runnel: CLAIM, exp: now + 1, nbf: now });
  const bearer = await verifier().verify(token);
  deepEqual(bearer?.grant, { ...CLAIM, endsAt: (now + 31) * 1000 });
});

Deno.test("Bearer.id differs between tokens, and is not a token", async () => {
  const tokens = [PUBLISH_TOKEN, await mint({ publish: ["p_a"] }), await mint({ publish: ["*"] })];
  const ids = [];
  for (const token of tokens) ids.push((await verifier().verify(token)).id);
  equal(new Set(ids).size, 3);
  for (const id of ids) await rejects(verifier().verify(id), InvalidToken);
});

Deno.test("Bearer.id is the same for each way to write the signature of a token", async () => {
  const token = await mint(CLAIM);
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const others = [...letters].map((letter) => token.slice(0, -1) + letter);
  const bearers: (Bearer | null)[] = [];
  for (const other of [token, ...others]) {
    bearers.push(await verifier().verify(other).catch(() => null));
  }
  equal(new Set(bearers.filter((bearer) => bearer).map((bearer) => bearer!.id)).size, 1);
});

Deno.test("TokenVerifier.verify() lets clocks differ by 30 s", async () => {
  for (const claims of [{ exp: now - 29 }, { nbf: now + 30 }]) {
    ok(await verifier().verify(await sign({ runnel: CLAIM, ...claims })));
  }
});

Deno.test("TokenVerifier.verify() accepts a token without an end if that is optional", async () => {
  const token = await sign({ runnel: CLAIM, exp: undefined });
  const { grant } = await verifier({ tokenExpiry: "optional" }).verify(token);
  equal(grant.endsAt, Infinity);
  const expired = await sign({ runnel: CLAIM, exp: now - 30 });
  await rejects(verifier({ tokenExpiry: "optional" }).verify(expired), InvalidToken);
});

for (
  const [claim, setting] of [["aud", "tokenAudience"], ["iss", "tokenIssuer"]] as const
) {
  Deno.test(`TokenVerifier.verify() accepts only the ${claim} of the settings`, async () => {
    const strict = verifier({ [setting]: "runnel.example" });
    const verify = async (claims: Record<string, unknown>) =>
      await isAccepted(strict.verify(await sign({ runnel: CLAIM, ...claims })));
    equal(await verify({ [claim]: "runnel.example" }), true);
    equal(await verify({ aud: ["another", "runnel.example"], iss: "runnel.example" }), true);
    for (const wrong of [undefined, "", "runnel", "RUNNEL.example", 1, ["another"], {}]) {
      equal(await verify({ [claim]: wrong }), false, String(wrong));
    }
    ok(await strict.verify(PUBLISH_TOKEN), "a static token has no claims");
    ok(await verifier().verify(await sign({ runnel: CLAIM, [claim]: "another" })));
  });
}

const unsigned = `${part({ alg: "none" })}.${part({ runnel: CLAIM })}.`;
const signed = await mint(CLAIM);
const [header, , signature] = signed.split(".");

/** Invalid tokens, by their fault. */
const refused: Record<string, string> = {
  "no token": "x",
  "three parts of nothing": "..",
  "a header that is no JSON": `x.${signed.split(".").slice(1).join(".")}`,
  "a header without an algorithm": `${part({})}.${part({ runnel: CLAIM })}.${signature}`,
  "no signature": unsigned,
  "a signature for none": unsigned + signature,
  "None in another case": `${part({ alg: "nOnE" })}.${part({ runnel: CLAIM })}.`,
  "another's signature": `${header}.${part({ runnel: { publish: ["*"] } })}.${signature}`,
  "another secret": await sign({ runnel: CLAIM }, {
    key: new TextEncoder().encode("another secret that has 32 characters"),
  }),
  "a stronger algorithm than is agreed": await sign({ runnel: CLAIM }, { alg: "HS512" }),
  "an unknown extension that it calls critical": await new SignJWT({ runnel: CLAIM })
    .setProtectedHeader({ alg: "HS256", crit: ["x"], x: 1 })
    .sign(new TextEncoder().encode(SECRET), { crit: { x: true } }),
  "an end that came 30 s ago": await sign({ runnel: CLAIM, exp: now - 30 }),
  "no end": await sign({ runnel: CLAIM, exp: undefined }),
  "an end that is no number": `${header}.${part({ runnel: CLAIM, exp: "never" })}.${signature}`,
  "a beginning to come in more than 30 s": await sign({ runnel: CLAIM, nbf: now + 31 }),
  "no claim": await sign({}),
  "a malformed claim": await mint({ publish: "*" }),
  "a claim with a word more": await mint({ ...CLAIM, not: ["p_a"] }),
  "a public key's algorithm": await sign({ runnel: CLAIM }, { key: privateKey, alg: "ES256" }),
};

for (const [what, token] of Object.entries(refused)) {
  Deno.test(`TokenVerifier.verify() rejects a token with ${what}`, async () => {
    await rejects(verifier().verify(token), InvalidToken);
  });
}

const reasons: [token: string, reason: string][] = [
  ["a-misspelt-publish-token", "it is neither a token of this service nor a JSON Web Token"],
  [refused["another secret"]!, "it is signed with another secret or key"],
  [refused["another's signature"]!, "it is signed with another secret or key"],
  [refused["a public key's algorithm"]!, "it is signed in a way that this service does not accept"],
  [refused["an end that came 30 s ago"]!, "it has expired"],
  [refused["a beginning to come in more than 30 s"]!, "it is not valid yet"],
  [refused["no end"]!, "its claim exp is missing, or not what this service expects"],
  [refused["no claim"]!, "its claim runnel is missing or invalid"],
  // The signature comes first: claims are told to the bearer of a signed token alone.
  [
    `${header}.${part({ runnel: CLAIM, exp: now - 99 })}.${signature}`,
    "it is signed with another secret or key",
  ],
];

for (const [token, reason] of reasons) {
  Deno.test(`TokenVerifier.verify() tells ${token.slice(-20)} that ${reason}`, async () => {
    await rejects(verifier().verify(token), new InvalidToken(reason));
  });
}

Deno.test("TokenVerifier.verify() accepts signatures of published keys, and no others", async () => {
  await using server = await serveKeys();
  const verifierOfKeys = verifier({ tokenSecret: null, jwksUrl: server.url });
  const claims = { runnel: CLAIM, exp: now };
  const es256 = { key: privateKey, alg: "ES256", kid: "k1" };
  const { grant } = await verifierOfKeys.verify(await sign(claims, es256));
  deepEqual(grant, { ...CLAIM, endsAt: (now + 30) * 1000 });

  // A public key is not a secret, in whatever form it is used as one.
  const known = [spki, spki.trim(), JSON.stringify(await exportJWK(publicKey)), "k1".repeat(16)];
  const wrong = [
    ...await Promise.all(
      known.map((text) => sign(claims, { key: new TextEncoder().encode(text), kid: "k1" })),
    ),
    await sign(claims, { key: other.privateKey, alg: "ES256", kid: "k1" }),
    await sign(claims, { key: other.privateKey, alg: "ES256", kid: "k2" }),
    await sign({ ...claims, exp: now - 30 }, es256),
    await sign({ ...claims, exp: undefined }, es256),
    await sign({ ...claims, nbf: now + 31 }, es256),
    await mint(CLAIM),
    unsigned,
  ];
  for (const token of wrong) await rejects(verifierOfKeys.verify(token), InvalidToken);
  equal(server.asked, 1, "strangers' tokens do not make it ask again and again");
});

Deno.test("TokenVerifier.verify() fetches the keys again after a transient error", async () => {
  await using server = await serveKeys();
  const jwksUrl = server.url;
  const { answer } = server;
  const token = await sign({ runnel: CLAIM }, { key: privateKey, alg: "ES256", kid: "k1" });
  const failures: (() => Response)[] = [
    () => new Response(null, { status: 500 }),
    () => new Response("busy"),
    () => Response.json({ keys: "none" }),
  ];
  const verifierOfKeys = verifier({ jwksUrl });
  for (const failure of failures) {
    server.answer = failure;
    await rejects(verifierOfKeys.verify(token), { type: "keys-unavailable" });
    equal((await verifierOfKeys.verify(await mint(CLAIM))).grant.publish[0], "p_a");
  }
  server.answer = answer;
  deepEqual((await verifierOfKeys.verify(token)).grant.publish, ["p_a"]);
});

Deno.test("TokenVerifier.verify() throws keys-unavailable when the key server is down", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const verifierOfKeys = verifier({ jwksUrl: `http://127.0.0.1:${port}/` });
  const token = await sign({ runnel: CLAIM }, { key: privateKey, alg: "ES256", kid: "k1" });
  await rejects(verifierOfKeys.verify(token), { type: "keys-unavailable" });
});

Deno.test("TokenVerifier.verify() throws keys-unavailable when the key server is silent", async () => {
  const { fetch } = globalThis;
  globalThis.fetch = () => Promise.reject(new DOMException("Timed out", "TimeoutError"));
  try {
    const token = await sign({ runnel: CLAIM }, { key: privateKey, alg: "ES256", kid: "k1" });
    const verifierOfKeys = verifier({ jwksUrl: "http://127.0.0.1/" });
    await rejects(verifierOfKeys.verify(token), { type: "keys-unavailable" });
  } finally {
    globalThis.fetch = fetch;
  }
});

Deno.test("TokenVerifier.isValid() accepts the credentials of the settings, and no others", async () => {
  const credentialOf = async (by: TokenVerifier, token: string) =>
    (await by.verify(token)).credential;
  const today = verifier();
  const ofToken = await credentialOf(today, PUBLISH_TOKEN);
  const ofSecret = await credentialOf(today, await mint(CLAIM));
  equal(await credentialOf(today, await mint({ publish: ["p_b"] })), ofSecret);
  equal((await today.verify(PUBLISH_TOKEN)).id === ofToken, false);
  const verifiers = {
    "the same settings": [verifier(), [true, true, false]],
    "one more token": [
      verifier({ publishTokens: ["another-token-of-a-publisher", PUBLISH_TOKEN] }),
      [true, true, false],
    ],
    "another token": [
      verifier({ publishTokens: ["another-token-of-a-publisher"] }),
      [false, true, false],
    ],
    "another secret": [verifier({ tokenSecret: `${SECRET}.` }), [true, false, false]],
    "the token as secret": [
      verifier({ publishTokens: [], tokenSecret: PUBLISH_TOKEN }),
      [false, false, false],
    ],
    "no settings": [verifier({ publishTokens: [], tokenSecret: null }), [false, false, true]],
  } as const;
  for (const [settings, [by, expected]] of Object.entries(verifiers)) {
    const credentials = [ofToken, ofSecret, NO_CREDENTIAL];
    const answers = await Promise.all(credentials.map((credential) => by.isValid(credential)));
    deepEqual(answers, expected, settings);
    for (const wrong of ["", "key:", "key:x", PUBLISH_TOKEN, SECRET]) {
      equal(await by.isValid(wrong), false);
    }
  }
});

Deno.test("TokenVerifier.isValid() notices within a minute that a key is no longer published", async () => {
  await using server = await serveKeys();
  const clock = new FakeClock();
  const settings = { ...CONFIG, publishTokens: [], tokenSecret: null, jwksUrl: server.url };
  const by = new TokenVerifier(settings, { clock });
  const token = await sign({ runnel: CLAIM }, { key: privateKey, alg: "ES256", kid: "k1" });
  const { credential } = await by.verify(token);
  equal(await by.isValid(credential), true);
  const { asked } = server;
  const keys = [{ ...await exportJWK(other.publicKey), kid: "k1", alg: "ES256" }, { kty: "new" }];
  server.answer = () => Response.json({ keys });
  clock.advance(59_999);
  equal(await by.isValid(credential), true);
  equal(server.asked, asked, "the keys are fetched once a minute at most");
  clock.advance(1);
  equal(await by.isValid(credential), false);
  equal(await by.isValid(NO_CREDENTIAL), false);
});

Deno.test("TokenVerifier.isValid() goes by the known keys while they cannot be fetched", async () => {
  await using server = await serveKeys();
  const clock = new FakeClock();
  const settings = { ...CONFIG, publishTokens: [], tokenSecret: null, jwksUrl: server.url };
  const by = new TokenVerifier(settings, { clock });
  const token = await sign({ runnel: CLAIM }, { key: privateKey, alg: "ES256", kid: "k1" });
  const { credential } = await by.verify(token);
  server.answer = () => new Response(null, { status: 500 });
  for (let minute = 0; minute < 3; minute++) {
    const { asked } = server;
    for (let i = 0; i < 3; i++) equal(await by.isValid(credential), true);
    equal(server.asked, asked + 1);
    clock.advance(60_000);
  }
  const started = new TokenVerifier(settings, { clock });
  await rejects(started.isValid(credential), { type: "keys-unavailable" });
});
