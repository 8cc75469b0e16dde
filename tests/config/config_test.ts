import { deepStrictEqual as deepEqual, ok, strictEqual as equal, throws } from "node:assert/strict";
import {
  type Config,
  readConfig,
  type SettingName,
  type Settings,
} from "../../lib/config/config.ts";

const MiB = 1024 * 1024;
const TOKEN = "a-token-of-a-publisher";
const SECRET = "a secret that has 32 characters at least";

interface WholeNumber {
  name: SettingName;
  key: keyof Config;
  fallback: number;
  min: number;
  max: number;
}

const numbers: WholeNumber[] = [
  { name: "PORT", key: "port", fallback: 8000, min: 0, max: 65_535 },
  { name: "RUNNEL_ISOLATES", key: "isolates", fallback: 1, min: 1, max: 64 },
  { name: "RUNNEL_HISTORY", key: "history", fallback: 100, min: 0, max: 400 },
  { name: "RUNNEL_RETENTION", key: "retention", fallback: 1000, min: 100, max: 1_000_000 },
  { name: "RUNNEL_KEEPALIVE_MS", key: "keepAliveMs", fallback: 15_000, min: 100, max: 600_000 },
  { name: "RUNNEL_RETRY_MS", key: "retryMs", fallback: 2000, min: 0, max: 600_000 },
  { name: "RUNNEL_KV_TIMEOUT_MS", key: "kvTimeoutMs", fallback: 3000, min: 100, max: 60_000 },
  {
    name: "RUNNEL_MAX_STREAM_AGE_MS",
    key: "maxStreamAgeMs",
    fallback: 3_600_000,
    min: 1000,
    max: 86_400_000,
  },
  {
    name: "RUNNEL_MAX_SUBSCRIBERS",
    key: "maxSubscribers",
    fallback: 10_000,
    min: 1,
    max: 1_000_000,
  },
  {
    name: "RUNNEL_MAX_PIPELINE_SUBSCRIBERS",
    key: "maxPipelineSubscribers",
    fallback: 10_000,
    min: 1,
    max: 1_000_000,
  },
  {
    name: "RUNNEL_MAX_ADDRESS_SUBSCRIBERS",
    key: "maxAddressSubscribers",
    fallback: 1000,
    min: 1,
    max: 1_000_000,
  },
  { name: "RUNNEL_MAX_PIPELINES", key: "maxPipelines", fallback: 10_000, min: 1, max: 1_000_000 },
  { name: "RUNNEL_PUBLISH_RATE", key: "publishRate", fallback: 1000, min: 1, max: 1_000_000 },
  {
    name: "RUNNEL_MAX_BODY_BYTES",
    key: "maxBodyBytes",
    fallback: 512 * 1024,
    min: 1024,
    max: 512 * 1024,
  },
  {
    name: "RUNNEL_BODY_TIMEOUT_MS",
    key: "bodyTimeoutMs",
    fallback: 10_000,
    min: 100,
    max: 600_000,
  },
  { name: "RUNNEL_MAX_EVENTS", key: "maxEvents", fallback: 1000, min: 1, max: 1000 },
  {
    name: "RUNNEL_MAX_PAYLOAD_BYTES",
    key: "maxPayloadBytes",
    fallback: 60 * 1024,
    min: 64,
    max: 60 * 1024,
  },
  { name: "RUNNEL_TRUSTED_PROXIES", key: "trustedProxies", fallback: 0, min: 0, max: 10 },
  {
    name: "RUNNEL_MAX_WAITING_BYTES",
    key: "maxWaitingBytes",
    fallback: 16 * MiB,
    min: MiB,
    max: 1024 * MiB,
  },
  {
    name: "RUNNEL_MAX_TAIL_BYTES",
    key: "maxTailBytes",
    fallback: 256 * MiB,
    min: MiB,
    max: 16_384 * MiB,
  },
];

function refuses(name: SettingName, got: string, expected: string): void {
  throws(() => readConfig({ [name]: got }), {
    name: "RunnelError",
    type: "invalid-setting",
    message: `Cannot start: ${name} is ${JSON.stringify(got)}, expected ${expected}`,
  });
}

for (const { name, key, fallback, min, max } of numbers) {
  Deno.test(`readConfig() accepts ${name} from ${min} to ${max}, and defaults to ${fallback}`, () => {
    equal(readConfig({})[key], fallback);
    equal(readConfig({ [name]: "" })[key], fallback);
    equal(readConfig({ [name]: String(min) })[key], min);
    equal(readConfig({ [name]: String(max) })[key], max);
  });

  Deno.test(`readConfig() refuses an invalid ${name}, and shows it with the accepted values`, () => {
    const words = ["x", "-1", "+1", "1.5", "1e3", "0x10", " 10", "10\n", "٣", "1_000", "NaN"];
    const bounds = [String(max + 1), "9".repeat(400), ...min > 0 ? [String(min - 1)] : []];
    for (const text of [...words, ...bounds]) {
      refuses(name, text, `a whole number from ${min} to ${max}`);
    }
  });
}

Deno.test("readConfig() refuses a retention below the history", () => {
  equal(readConfig({ RUNNEL_HISTORY: "400", RUNNEL_RETENTION: "400" }).retention, 400);
  throws(() => readConfig({ RUNNEL_HISTORY: "400", RUNNEL_RETENTION: "399" }), {
    message: /RUNNEL_RETENTION is "399", expected a whole number from 400 to /,
  });
});

Deno.test("readConfig() defaults to an address of this machine alone", () => {
  equal(readConfig({}).host, "127.0.0.1");
  equal(readConfig({ HOST: "" }).host, "127.0.0.1");
  for (const HOST of ["localhost", "127.0.0.2", "::1"]) equal(readConfig({ HOST }).host, HOST);
});

Deno.test("readConfig() refuses an address that others reach without a secret, and names the remedy", () => {
  const onDeploy = { DENO_DEPLOYMENT_ID: "d" };
  const reached = [
    { HOST: "0.0.0.0" },
    { HOST: "::" },
    onDeploy,
    { ...onDeploy, HOST: "127.0.0.1" },
  ];
  for (const open of reached) {
    throws(() => readConfig(open), {
      type: "invalid-setting",
      message:
        /^Cannot start: HOST is ".*", where others.*RUNNEL_PUBLISH_TOKENS or RUNNEL_TOKEN_SE/,
    });
    readConfig({ ...open, RUNNEL_PUBLISH_TOKENS: TOKEN });
    readConfig({ ...open, RUNNEL_TOKEN_SECRET: SECRET });
    readConfig({ ...open, RUNNEL_JWKS_URL: "https://id.example/jwks.json" });
  }
});

Deno.test("readConfig() defaults to a file as the log", () => {
  equal(readConfig({}).kv, ".data/runnel.sqlite");
  equal(readConfig({ RUNNEL_KV: ":memory:" }).kv, ":memory:");
});

Deno.test("readConfig() uses the defaults for Deno Deploy, with keep-alives within 5 s", () => {
  const { kv, host, keepAliveMs } = readConfig({
    DENO_DEPLOYMENT_ID: "d",
    RUNNEL_TOKEN_SECRET: SECRET,
  });
  deepEqual([kv, host], [undefined, "0.0.0.0"]);
  ok(keepAliveMs < 5000);
});

Deno.test("readConfig() prefers what is set to the defaults for Deno Deploy", () => {
  const set = {
    DENO_DEPLOYMENT_ID: "d",
    RUNNEL_TOKEN_SECRET: SECRET,
    RUNNEL_KV: "https://kv.example",
    RUNNEL_KEEPALIVE_MS: "200",
  };
  const { kv, keepAliveMs } = readConfig(set);
  deepEqual([kv, keepAliveMs], ["https://kv.example", 200]);
});

Deno.test("readConfig() refuses a log that does not outlive an instance on Deno Deploy", () => {
  for (const RUNNEL_KV of [":memory:", ".data/runnel.sqlite"]) {
    readConfig({ RUNNEL_TOKEN_SECRET: SECRET, RUNNEL_KV });
    throws(() => readConfig({ DENO_DEPLOYMENT_ID: "d", RUNNEL_TOKEN_SECRET: SECRET, RUNNEL_KV }), {
      type: "invalid-setting",
      message: /^Cannot start: RUNNEL_KV is ".*", which does not outlive .* Remove it, to use the /,
    });
  }
});

const origins: [text: string, taken: Config["allowOrigins"]][] = [
  ["", "*"],
  ["*", "*"],
  ["null", ["null"]],
  ["https://example.com", ["https://example.com"]],
  ["https://a.test , http://localhost:5173", ["https://a.test", "http://localhost:5173"]],
];

for (const [text, taken] of origins) {
  Deno.test(`readConfig() accepts RUNNEL_ALLOW_ORIGINS ${JSON.stringify(text)}`, () => {
    deepEqual(readConfig({ RUNNEL_ALLOW_ORIGINS: text }).allowOrigins, taken);
  });
}

Deno.test("readConfig() refuses origins that a browser never sends, and names the accepted ones", () => {
  for (
    const text of [
      "example.com",
      "https://example.com/",
      "https://example.com/page",
      "https://EXAMPLE.com",
      "https://example.com:443",
      "https://user@example.com",
      "file:///page.html",
      "https://a.test,",
      "https://a.test,*",
      "https://a.test https://b.test",
      " ",
    ]
  ) {
    refuses(
      "RUNNEL_ALLOW_ORIGINS",
      text,
      "* or a list of origins such as https://example.com,http://localhost:5173",
    );
  }
});

Deno.test("readConfig() refuses a wildcard inside an origin, which would match no page", () => {
  throws(() => readConfig({ RUNNEL_ALLOW_ORIGINS: "https://*.example.com" }), {
    type: "invalid-setting",
  });
});

Deno.test("readConfig() returns a frozen configuration", () => {
  const config = readConfig({ RUNNEL_ALLOW_ORIGINS: "https://a.test" });
  ok(Object.isFrozen(config));
  ok(Object.isFrozen(config.allowOrigins));
  ok(Object.isFrozen(config.access));
});

Deno.test("readConfig() refuses several isolates in memory, and says why", () => {
  throws(() => readConfig({ RUNNEL_ISOLATES: "2", RUNNEL_KV: ":memory:" }), {
    type: "invalid-setting",
    message:
      'Cannot start: RUNNEL_ISOLATES is "2" while RUNNEL_KV is ":memory:", which is another ' +
      "database in every isolate. Set RUNNEL_KV to a file, or RUNNEL_ISOLATES to 1",
  });
  equal(readConfig({ RUNNEL_ISOLATES: "1", RUNNEL_KV: ":memory:" }).isolates, 1);
});

const tls: [what: string, settings: Settings, message: RegExp | null][] = [
  ["a certificate and its key", { RUNNEL_TLS_CERT: "c", RUNNEL_TLS_KEY: "k" }, null],
  [
    "a port that redirects to HTTPS",
    { RUNNEL_TLS_CERT: "c", RUNNEL_TLS_KEY: "k", RUNNEL_HTTP_REDIRECT_PORT: "80" },
    null,
  ],
  ["a certificate without a key", { RUNNEL_TLS_CERT: "c" }, /without RUNNEL_TLS_KEY\. Set both$/],
  ["a key without a certificate", { RUNNEL_TLS_KEY: "k" }, /without RUNNEL_TLS_CERT\. Set both$/],
  [
    "a redirection to no certificate",
    { RUNNEL_HTTP_REDIRECT_PORT: "80" },
    /RUNNEL_HTTP_REDIRECT_PORT is set, and no certificate/,
  ],
  [
    "a redirection to the same port",
    { RUNNEL_TLS_CERT: "c", RUNNEL_TLS_KEY: "k", RUNNEL_HTTP_REDIRECT_PORT: "8000" },
    /RUNNEL_HTTP_REDIRECT_PORT and PORT are both 8000/,
  ],
  [
    "a redirection from any port",
    { RUNNEL_TLS_CERT: "c", RUNNEL_TLS_KEY: "k", RUNNEL_HTTP_REDIRECT_PORT: "0" },
    /RUNNEL_HTTP_REDIRECT_PORT is "0", expected a whole number from 1 to 65535/,
  ],
  [
    "a certificate on Deno Deploy",
    { RUNNEL_TLS_CERT: "c", RUNNEL_TLS_KEY: "k", DENO_DEPLOYMENT_ID: "d" },
    /Deno Deploy answers HTTPS itself\. Remove both$/,
  ],
];

for (const [what, settings, message] of tls) {
  Deno.test(`readConfig() ${message ? "refuses" : "accepts"} ${what}`, () => {
    const all = { RUNNEL_PUBLISH_TOKENS: TOKEN, ...settings };
    if (message) throws(() => readConfig(all), message);
    else equal(readConfig(all).tlsCert, "c");
  });
}
