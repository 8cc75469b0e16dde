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
  for (const settings of [{}, { RUNNEL_PUBLISH_TOKENS: " , " }, { RUNNEL_TOKEN_SECRET: "" }]) {
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
  [{ RUNNEL_PUBLISH_TOKENS: "one with spaces in it" }, /^RUNNEL_PUBLISH_TOKENS: .*visible ASCII/],
  [{ RUNNEL_PUBLISH_TOKENS: "ein-Schlüssel-für-alle" }, /^RUNNEL_PUBLISH_TOKENS: .*visible ASCII/],
  [{ RUNNEL_TOKEN_SECRET: "thirty-one characters are short" }, /^RUNNEL_TOKEN_SECRET: .*32/],
  [{ RUNNEL_JWKS_URL: "example.com/keys" }, /^RUNNEL_JWKS_URL: expected an http or https URL$/],
  [{ RUNNEL_JWKS_URL: "file:///keys.json" }, /^RUNNEL_JWKS_URL: expected an http or https URL$/],
  [{ RUNNEL_SUBSCRIBE: "nobody" }, /^RUNNEL_SUBSCRIBE: expected public or token$/],
  [{ RUNNEL_SUBSCRIBE: "token" }, /nobody can have one\. Set RUNNEL_TOKEN_SECRET or RUNNEL_JWKS_U/],
];

for (const [settings, says] of refusals) {
  const [[name, value]] = Object.entries(settings) as [[string, string]];
  Deno.test(`readAccessConfig() refuses ${name} of "${value}" without showing it`, () => {
    throws(() => readAccessConfig(settings), (error: Error & { type: string }) => {
      equal(error.type, "invalid-setting");
      const [, said] = /^Cannot start: (.*)$/.exec(error.message)!;
      ok(says.test(said!), said);
      ok(name === "RUNNEL_SUBSCRIBE" || !said!.includes(value), said);
      return true;
    });
  });
}
