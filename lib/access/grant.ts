/**
 * Grants: the pipelines and channels that a client may publish and subscribe to.
 *
 * @module
 */

/** Permissions of a client. */
export interface Grant {
  /** Pipelines to publish to: IDs, or prefixes that end with `*`. */
  readonly publish: readonly string[];
  /** Pipelines to subscribe to, in the same form. */
  readonly subscribe: readonly string[];
  /** Channels, or `null` for all. */
  readonly channels: readonly string[] | null;
  /** Expiry, in milliseconds since the Unix epoch; `Infinity` for never. */
  readonly endsAt: number;
}

/** Grant of everything, without an expiry. */
export const FULL_ACCESS: Grant = Object.freeze<Grant>({
  publish: ["*"],
  subscribe: ["*"],
  channels: null,
  endsAt: Infinity,
});

/**
 * Reads the claim `runnel` of a JSON Web Token.
 *
 * @param claim For example
 *   `{"publish":["p_abc"],"subscribe":["p_team_*"],"channels":["orders"]}`.
 * @param endsAt Expiry of the token, in milliseconds since the Unix epoch.
 * @returns The grant; `null` for a malformed claim, which grants nothing by mistake.
 */
export function readGrant(claim: unknown, endsAt: number): Grant | null {
  if (typeof claim !== "object" || claim === null || Array.isArray(claim)) return null;
  const { publish = [], subscribe = [], channels = null, ...others } = claim as Partial<Grant>;
  // An unknown member may be meant to restrict the others.
  const isKnown = Object.keys(others).length === 0;
  const areLists = isList(publish) && isList(subscribe) && (channels === null || isList(channels));
  return isKnown && areLists ? { publish, subscribe, channels, endsAt } : null;
}

function isList(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

/** Whether a list of IDs and of prefixes that end with `*` matches a pipeline ID. */
export function matchesPipeline(list: readonly string[], pipeline: string): boolean {
  return list.some((item) =>
    item.endsWith("*") ? pipeline.startsWith(item.slice(0, -1)) : item === pipeline
  );
}

/**
 * Returns the granted part of the requested channels.
 *
 * @param requested Channels; if empty, all that are granted.
 * @returns The channels, empty for all; `null` if one of them is not granted.
 */
export function grantedChannels(
  { channels }: Pick<Grant, "channels">,
  requested: readonly string[],
): readonly string[] | null {
  if (channels === null) return requested;
  if (requested.length > 0) {
    return requested.every((name) => channels.includes(name)) ? requested : null;
  }
  // No channel at all is not the same as all channels.
  return channels.length > 0 ? channels : null;
}
