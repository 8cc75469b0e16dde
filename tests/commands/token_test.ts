import { deepStrictEqual as deepEqual, match, ok, strictEqual as equal } from "node:assert/strict";
import { decodeJwt, decodeProtectedHeader } from "jose";
import denoJson from "../../deno.json" with { type: "json" };
import { bearerHeader, SECRET, TOKEN_SETTINGS } from "../support/clients/tokens.ts";
import { FakeClock } from "../support/fakes/clock.ts";
import { jsonPost, startService } from "../support/service.ts";
import { advanceUntil } from "../support/wait.ts";

const ROOT = new URL("../../", import.meta.url);

/** Runs the command as its users do. */
async function run(
  args: readonly string[],
  secret = SECRET,
  more: Record<string, string> = {},
) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "token", ...args],
    cwd: ROOT,
    env: { RUNNEL_TOKEN_SECRET: secret, NO_COLOR: "1", ...more },
  }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code, stdout: out!, stderr: err! };
}

Deno.test("deno task token prints a token that permits what its options say", async () => {
  const args = "--publish p_abc --subscribe p_team_* --subscribe p_x --channel orders --for 2m";
  const before = Math.floor(Date.now() / 1000);
  const { code, stdout, stderr } = await run(args.split(" "));
  deepEqual([code, stderr], [0, ""]);
  const token = stdout.trimEnd();
  equal(stdout, `${token}\n`);
  const { runnel, iat, exp, ...others } = decodeJwt(token);
  deepEqual(others, {});
  deepEqual(runnel, { publish: ["p_abc"], subscribe: ["p_team_*", "p_x"], channels: ["orders"] });
  ok(iat! >= before && iat! <= Date.now() / 1000);
  equal(exp! - iat!, 120);
  deepEqual(decodeProtectedHeader(token), { alg: "HS256" });

  const clock = new FakeClock(iat! * 1000);
  await using service = await startService({ settings: TOKEN_SETTINGS, clock });
  const publish = async (pipeline: string, channel: string) => {
    const request = jsonPost(`/ingest/${pipeline}/${channel}`, 1, bearerHeader(token));
    const response = await service.fetch(request);
    await response.body?.cancel();
    return response.status;
  };
  equal(await publish("p_abc", "orders"), 202);
  equal(await publish("p_abc", "names"), 403);
  equal(await publish("p_team_a", "orders"), 403);
  const stream = await service.subscribe("p_team_a/sse", bearerHeader(token));
  await stream.until("runnel.live");
  const ending = await advanceUntil(clock, stream.events(Infinity), 1000);
  deepEqual(ending.map(({ type }) => type), ["runnel.expired"]);
  // With the leeway between clocks.
  equal(clock.now(), (exp! + 30) * 1000);
  equal(await publish("p_abc", "orders"), 401);
});

Deno.test("deno task token prints a token for the audience and the issuer of the settings", async () => {
  const names = {
    RUNNEL_TOKEN_AUDIENCE: "https://runnel.example/",
    RUNNEL_TOKEN_ISSUER: "deno task token",
  };
  const token = (await run(["--publish", "p_abc"], SECRET, names)).stdout.trimEnd();
  const { aud, iss, iat } = decodeJwt(token);
  deepEqual([aud, iss], Object.values(names));
  const settings = { ...TOKEN_SETTINGS, ...names };
  const clock = new FakeClock(iat! * 1000);
  await using service = await startService({ settings, clock });
  const request = jsonPost("/ingest/p_abc/orders", 1, bearerHeader(token));
  equal((await service.fetch(request)).status, 202);
});

Deno.test("deno task token defaults to one hour and all channels", async () => {
  const { runnel, iat, exp } = decodeJwt((await run(["--publish", "*"])).stdout.trimEnd());
  deepEqual(runnel, { publish: ["*"], subscribe: [] });
  equal(exp! - iat!, 3600);
});

const mistakes: [args: string[], says: RegExp, secret?: string][] = [
  [[], /^Cannot create a token: it permits nothing\. Add --publish or --subscribe\n/],
  [["--publish", "abc"], /^Cannot use abc: expected p_… or p_…\*\n/],
  [["--subscribe", "p_*_a"], /^Cannot use p_\*_a: /],
  [["--publish", "p_a", "--for", "soon"], /^Cannot use --for soon: expected a time such as 15m/],
  [["--publish", "p_a", "--for", "0s"], /^Cannot use --for 0s: /],
  [
    Array.from({ length: 200 }, (_, i) => ["--publish", `p_${"x".repeat(50)}${i}`]).flat(),
    /^Cannot create a token: it would have 1\d{4} characters, and the service accepts 8192\. Name/,
  ],
  [["--publish", "p_a", "--to", "p_b"], /^Cannot use --to: there is no such option\n/],
  [
    ["--publish", "p_a"],
    /^Cannot sign: RUNNEL_TOKEN_SECRET is not set\. Set it to the secret of the service/,
    "",
  ],
  [["--publish", "p_a"], /^Cannot sign: RUNNEL_TOKEN_SECRET: expected at least 32/, "too-short"],
];

Deno.test("deno task token refuses invalid arguments, and says what to do", async () => {
  const runs = await Promise.all(mistakes.map(([args, , secret]) => run(args, secret)));
  for (const [index, { code, stdout, stderr }] of runs.entries()) {
    const [, says, secret] = mistakes[index]!;
    deepEqual([code, stdout], [1, ""]);
    match(stderr, says);
    ok(!secret || !stderr.includes(secret));
  }
});

Deno.test("deno task token may read its settings and nothing else of the machine", () => {
  match(
    denoJson.tasks.token,
    /^deno run --allow-env=RUNNEL_TOKEN_SECRET,RUNNEL_TOKEN_AUDIENCE,RUNNEL_TOKEN_ISSUER lib\/commands\/token\.ts$/,
  );
});
