/**
 * Mints a JSON Web Token for a publisher or a subscriber:
 * `deno task token --publish p_abc --subscribe 'p_team_*' --for 1h`.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { SignJWT } from "jose";
import { RunnelError } from "../base/mod.ts";
import { readConfig } from "../config/mod.ts";

const USAGE = `Mints a token, signed with RUNNEL_TOKEN_SECRET.

  deno task token --publish p_abc --subscribe 'p_team_*' --for 1h

  --publish ID    a pipeline to publish to; repeatable, * at the end for any continuation
  --subscribe ID  a pipeline to listen to, in the same form
  --channel NAME  a channel; repeatable, all without any
  --for TIME      how long it is good for: 30s, 15m, 1h (if not given) or 7d`;

/** Seconds of each unit. */
const UNITS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** A pipeline's ID, or the beginning of one with a `*`. */
const PATTERN = /^(p_[A-Za-z0-9_-]{1,62}|(p_[A-Za-z0-9_-]{0,61}|p)?\*)$/;

/** A mistake of whoever called. */
class UsageError extends Error {}

function readArguments() {
  try {
    const { values } = parseArgs({
      options: {
        publish: { type: "string", multiple: true, default: [] },
        subscribe: { type: "string", multiple: true, default: [] },
        channel: { type: "string", multiple: true },
        for: { type: "string", default: "1h" },
        help: { type: "boolean", short: "h" },
      },
    });
    return values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function readSeconds(time: string): number {
  const [, count, unit] = /^([1-9]\d{0,8})([smhd])$/.exec(time) ?? [];
  if (!count) {
    throw new UsageError(`Cannot use --for ${time}: expected a time such as 15m, 1h or 7d`);
  }
  return Number(count) * UNITS[unit!]!;
}

async function mint(): Promise<string> {
  const values = readArguments();
  if (values.help) return USAGE;
  const { publish, subscribe, channel: channels } = values;
  if (publish.length + subscribe.length === 0) {
    throw new UsageError("What is it for? Give it --publish or --subscribe");
  }
  for (const id of [...publish, ...subscribe]) {
    if (!PATTERN.test(id)) throw new UsageError(`Cannot use ${id}: expected p_… or p_…*`);
  }
  const seconds = readSeconds(values.for);
  const name = "RUNNEL_TOKEN_SECRET";
  const { tokenSecret } = readConfig({ [name]: Deno.env.get(name) }).access;
  if (!tokenSecret) {
    throw new UsageError(`Cannot sign: set ${name} to the secret that the service has`);
  }
  return await new SignJWT({ runnel: { publish, subscribe, ...channels && { channels } } })
    .setProtectedHeader({ alg: "HS256" })
    .setIssuedAt()
    .setExpirationTime(`${seconds}s`)
    .sign(new TextEncoder().encode(tokenSecret));
}

if (import.meta.main) {
  try {
    console.log(await mint());
  } catch (error) {
    if (!(error instanceof UsageError || error instanceof RunnelError)) throw error;
    console.error(error.message.replace("Cannot start: ", "Cannot sign: "));
    if (error instanceof UsageError) console.error(`\n${USAGE}`);
    Deno.exit(1);
  }
}
