/**
 * What somebody may do: the pipelines to publish to and to listen to, and the
 * channels.
 *
 * @module
 */

/** What somebody may do. */
export interface Grant {
  /** Pipelines that may be published to: IDs, or beginnings of them with a `*`. */
  readonly publish: readonly string[];
  /** Pipelines that may be listened to, in the same form. */
  readonly subscribe: readonly string[];
  /** The channels, or `null` for all. */
  readonly channels: readonly string[] | null;
  /** When it ends, in milliseconds since the Unix epoch; `Infinity` for never. */
  readonly endsAt: number;
}

/** Everything, for ever. */
export const EVERYTHING: Grant = Object.freeze<Grant>({
  publish: ["*"],
  subscribe: ["*"],
  channels: null,
  endsAt: Infinity,
});

/**
 * What the claim `runnel` of a JSON Web Token grants.
 *
 * @param claim The claim: `{"publish":["p_abc"],"subscribe":["p_team_*"],"channels":["orders"]}`.
 * @param endsAt When the token expires, in milliseconds since the Unix epoch.
 * @returns The grant, or `null` if that is no such claim: it grants nothing by mistake.
 *
 * @example
 * ```ts
 * import { ok, strictEqual as equal } from "node:assert/strict";
 *
 * const grant = readGrant({ subscribe: ["p_team_*"] }, Infinity)!;
 * ok(covers(grant.subscribe, "p_team_a"));
 * ok(!covers(grant.publish, "p_team_a"));
 * equal(readGrant({ subscribe: "p_team_*" }, Infinity), null);
 * ```
 */
export function readGrant(claim: unknown, endsAt: number): Grant | null {
  if (typeof claim !== "object" || claim === null || Array.isArray(claim)) return null;
  const { publish = [], subscribe = [], channels = null, ...others } = claim as Partial<Grant>;
  const isKnown = Object.keys(others).length === 0;
  const areLists = isList(publish) && isList(subscribe) && (channels === null || isList(channels));
  return isKnown && areLists ? { publish, subscribe, channels, endsAt } : null;
}

function isList(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

/**
 * Whether a pipeline is among those of a list.
 *
 * @param list IDs, or beginnings of them with a `*`.
 * @param pipeline The pipeline's ID.
 */
export function covers(list: readonly string[], pipeline: string): boolean {
  return list.some((item) =>
    item.endsWith("*") ? pipeline.startsWith(item.slice(0, -1)) : item === pipeline
  );
}

/**
 * The channels that somebody gets who asks for some.
 *
 * @param grant What is granted.
 * @param wanted The channels asked for; all that there may be without any.
 * @returns The channels, empty for all; `null` if one was asked for that is not granted.
 *
 * @example
 * ```ts
 * import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
 *
 * const grant = readGrant({ subscribe: ["*"], channels: ["orders"] }, Infinity)!;
 * deepEqual(grantedChannels(grant, []), ["orders"]);
 * equal(grantedChannels(grant, ["names"]), null);
 * ```
 */
export function grantedChannels(
  { channels }: Pick<Grant, "channels">,
  wanted: readonly string[],
): readonly string[] | null {
  if (channels === null) return wanted;
  if (wanted.length > 0) return wanted.every((name) => channels.includes(name)) ? wanted : null;
  // None at all is not the same as all.
  return channels.length > 0 ? channels : null;
}
