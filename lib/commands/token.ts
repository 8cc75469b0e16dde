/**
 * Creates a JSON Web Token for a publisher or a subscriber:
 * `deno task token --publish p_abc --subscribe 'p_team_*' --for 1h`.
 *
 * @module
 */

import { SignJWT } from "jose";
import { type Arguments, runCommand, UsageError } from "../base/mod.ts";
import { MAX_TOKEN_LENGTH, readConfig } from "../config/mod.ts";

const USAGE = `Creates a token, signed with RUNNEL_TOKEN_SECRET, for the audience and the issuer in
RUNNEL_TOKEN_AUDIENCE and RUNNEL_TOKEN_ISSUER if they are set.

  deno task token --publish p_abc --subscribe 'p_team_*' --for 1h

  --publish ID    pipeline to publish to; a * at the end matches any continuation
  --subscribe ID  pipeline to subscribe to, in the same form
  --channel NAME  channel to publish and subscribe to (default: all channels)
  --for TIME      lifetime: 30s, 15m, 1h or 7d (default: 1h)
  -h, --help      print this help

Repeat --publish, --subscribe and --channel for several of them.`;

/** Units of a lifetime, in seconds. */
const UNITS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** Pipeline ID, or the beginning of one with a `*`. */
const PATTERN = /^(p_[A-Za-z0-9_-]{1,62}|(p_[A-Za-z0-9_-]{0,61}|p)?\*)$/;

const OPTIONS = {
  publish: { type: "string", multiple: true },
  subscribe: { type: "string", multiple: true },
  channel: { type: "string", multiple: true },
  for: { type: "string", default: "1h" },
} as const;

function readSeconds(time: string): number {
  const [, count, unit] = /^([1-9]\d{0,8})([smhd])$/.exec(time) ?? [];
  if (!count) {
    throw new UsageError(`Cannot use --for ${time}: expected a time such as 15m, 1h or 7d`);
  }
  return Number(count) * UNITS[unit!]!;
}

async function createToken({ values }: Arguments<typeof OPTIONS>): Promise<string> {
  const { publish = [], subscribe = [], channel: channels } = values;
  if (publish.length + subscribe.length === 0) {
    throw new UsageError("Cannot create a token: it permits nothing. Add --publish or --subscribe");
  }
  for (const id of [...publish, ...subscribe]) {
    if (!PATTERN.test(id)) throw new UsageError(`Cannot use ${id}: expected p_… or p_…*`);
  }
  const seconds = readSeconds(values.for);
  const names = ["RUNNEL_TOKEN_SECRET", "RUNNEL_TOKEN_AUDIENCE", "RUNNEL_TOKEN_ISSUER"];
  const settings = Object.fromEntries(names.map((name) => [name, Deno.env.get(name)]));
  const { tokenSecret, tokenAudience: aud, tokenIssuer: iss } = readConfig(settings).access;
  if (!tokenSecret) {
    throw new UsageError(
      "Cannot sign: RUNNEL_TOKEN_SECRET is not set. Set it to the secret of the service",
    );
  }
  const runnel = { publish, subscribe, ...channels && { channels } };
  const token = await new SignJWT({
    runnel,
    ...aud !== null && { aud },
    ...iss !== null && { iss },
  })
    .setProtectedHeader({ alg: "HS256" })
    .setIssuedAt()
    .setExpirationTime(`${seconds}s`)
    .sign(new TextEncoder().encode(tokenSecret));
  if (token.length <= MAX_TOKEN_LENGTH) return token;
  throw new UsageError(
    `Cannot create a token: it would have ${token.length} characters, and the service accepts ` +
      `${MAX_TOKEN_LENGTH}. Name fewer pipelines or channels, or use a * for several of them`,
  );
}

if (import.meta.main) {
  const command = { usage: USAGE, options: OPTIONS, failure: "Cannot sign" };
  await runCommand(command, async (given) => console.log(await createToken(given)));
}
