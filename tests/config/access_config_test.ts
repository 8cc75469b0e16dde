import { deepStrictEqual as deepEqual, ok, strictEqual as equal, throws } from "node:assert/strict";
import { type AccessSettings, readAccessConfig } from "../../lib/config/access_config.ts";
import { PUBLISH_TOKEN, SECRET } from "../support/clients/tokens.ts";

Deno.test("readAccessConfig() returns an open service only without any secret", () => {
  const secrets: AccessSettings[] = [
    { RUNNEL_PUBLISH_TOKENS: PUBLISH_TOKEN },
    { RUNNEL_TOKEN_SECRET: SECRET },
    { RUNNEL_JWKS_URL: "https://example.com/keys" },
  ];
  for (const settings of secrets) equal(readAccessConfig(settings).allowsAnonymous, false);
  for (
    const settings of [
      {},
      { RUNNEL_PUBLISH_TOKENS: " , " },
      { RUNNEL_TOKEN_SECRET: "" },
      { RUNNEL_METRICS_TOKEN: PUBLISH_TOKEN },
    ]
  ) {
    equal(readAccessConfig(settings).allowsAnonymous, true);
  }
});

Deno.test("readAccessConfig() accepts several tokens, with commas and spaces between them", () => {
  const other = "another-token-of-a-publisher";
  const { publishTokens } = readAccessConfig({
    RUNNEL_PUBLISH_TOKENS: ` ${PUBLISH_TOKEN}, ${other},`,
  });
  deepEqual(publishTokens, [PUBLISH_TOKEN, other]);
});

const refusals: [settings: AccessSettings, says: RegExp][] = [
  [{ RUNNEL_PUBLISH_TOKENS: `${PUBLISH_TOKEN},fifteen-letters` }, /^RUNNEL_PUBLISH_TOKENS: .*16/],
  [{ RUNNEL_PUBLISH_TOKENS: "x".repeat(8193) }, /^RUNNEL_PUBLISH_TOKENS: .*16 to 8192/],
  [{ RUNNEL_PUBLISH_TOKENS: "one with spaces in it" }, /^RUNNEL_PUBLISH_TOKENS: .*visible ASCII/],
  [{ RUNNEL_PUBLISH_TOKENS: "ein-Schlüssel-für-alle" }, /^RUNNEL_PUBLISH_TOKENS: .*visible ASCII/],
  [{ RUNNEL_METRICS_TOKEN: "fifteen-letters" }, /^RUNNEL_METRICS_TOKEN: .*16 to 8192/],
  [{ RUNNEL_METRICS_TOKEN: `${PUBLISH_TOKEN} x` }, /^RUNNEL_METRICS_TOKEN: .*visible ASCII/],
  [{ RUNNEL_TOKEN_SECRET: "thirty-one characters are short" }, /^RUNNEL_TOKEN_SECRET: .*32/],
  ...[
    "example.com/keys",
    "file:///keys.json",
    "http://example.com/keys",
    "http://127.0.0.1.example",
  ]
    .map((url): [AccessSettings, RegExp] => [
      { RUNNEL_JWKS_URL: url },
      /^RUNNEL_JWKS_URL: expected an https URL, or an http URL of this machine$/,
    ]),
  [{ RUNNEL_SUBSCRIBE: "nobody" }, /^RUNNEL_SUBSCRIBE: expected public or token$/],
  [{ RUNNEL_SUBSCRIBE: "token" }, /nobody can have one\. Set RUNNEL_TOKEN_SECRET or RUNNEL_JWKS_U/],
];

for (const [settings, says] of refusals) {
  const [[name, value]] = Object.entries(settings) as [[string, string]];
  Deno.test(`readAccessConfig() refuses ${name} of "${value.slice(0, 40)}" without showing it`, () => {
    throws(() => readAccessConfig(settings), (error: Error & { type: string }) => {
      equal(error.type, "invalid-setting");
      const [, said] = /^Cannot start: (.*)$/.exec(error.message)!;
      ok(says.test(said!), said);
      ok(name === "RUNNEL_SUBSCRIBE" || !said!.includes(value), said);
      return true;
    });
  });
}

Deno.test("readAccessConfig() accepts public keys by https, and by http of this machine", () => {
  const urls = [
    "https://example.com/keys",
    "http://localhost:1/",
    "http://127.1.2.3/",
    "http://[::1]/",
  ];
  for (const url of urls) equal(readAccessConfig({ RUNNEL_JWKS_URL: url }).jwksUrl, url);
});

Deno.test("readAccessConfig() requires an expiry of tokens, and names neither audience nor issuer", () => {
  const { tokenExpiry, tokenAudience, tokenIssuer } = readAccessConfig({});
  deepEqual([tokenExpiry, tokenAudience, tokenIssuer], ["required", null, null]);
});

Deno.test("readAccessConfig() refuses an unknown RUNNEL_TOKEN_EXPIRY, and spaces around names", () => {
  throws(
    () => readAccessConfig({ RUNNEL_TOKEN_EXPIRY: "never" }),
    /expected required or optional$/,
  );
  for (const name of ["RUNNEL_TOKEN_AUDIENCE", "RUNNEL_TOKEN_ISSUER"]) {
    throws(() => readAccessConfig({ [name]: " a" }), /expected a text without spaces around it$/);
  }
});
