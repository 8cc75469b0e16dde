/**
 * From the blocks of a stream to the events of the client.
 *
 * @module
 */

import type { StreamBlock } from "./stream_parser.ts";
import type { ClientEvent } from "./event_types.ts";

/** The end of a session, of which the client itself takes notice. */
export interface Expiry {
  /** Kind. */
  type: "expired";
  /** Reason: `expired` or `revoked`. */
  reason: string;
}

/**
 * Reads the event in a block.
 *
 * @param pipeline The pipeline of the stream; `null` if it has several, and names them.
 * @returns `null` if the block has none, or one that this version does not know.
 * @throws {SyntaxError} If the data of a control event is not JSON.
 */
export function readEvent(
  { id, type, data }: StreamBlock,
  pipeline: string | null,
): ClientEvent | Expiry | null {
  if (data === null) return null;
  if (!type.startsWith("runnel.")) {
    const slash = pipeline ? -1 : type.indexOf("/");
    let payload: unknown;
    return {
      type: "event",
      pipeline: pipeline ?? type.slice(0, slash),
      channel: type.slice(slash + 1),
      id,
      data,
      get payload() {
        return payload ??= JSON.parse(data);
      },
    };
  }
  const kind = type.slice("runnel.".length);
  if (!/^(live|gap|end|expired)$/.test(kind)) return null;
  return { type: kind, pipeline, id, ...JSON.parse(data) };
}
