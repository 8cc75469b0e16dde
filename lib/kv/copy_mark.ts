/**
 * Marks of a copy, one in the source and one in the target: a service starts on
 * neither the source, whose events nobody would get, nor on an incomplete target.
 *
 * @module
 */

import { RunnelError } from "../base/mod.ts";
import type { Kv, KvConnection } from "./kv_connection.ts";

/** Key of the mark. It is not copied. */
export const COPY_MARK: Deno.KvKey = ["copy"];

/** Mark in the store that is or was copied. */
export interface SourceMark {
  role: "source";
  /** ID of the copy, which its other mark has, too. */
  id: string;
  /** Location of the other store, as the operator named it. */
  other: string;
  /** Whether all processes that use the store had the time to notice it. */
  isSettled: boolean;
}

/** Mark in the store that is not complete yet. */
export interface TargetMark {
  role: "target";
  /** ID of the copy, which its other mark has, too. */
  id: string;
  /** Location of the other store, as the operator named it. */
  other: string;
  /** Last key that was copied; `null` before the first one. */
  cursor: Deno.KvKey | null;
}

/** Mark of a copy. */
export type CopyMark = SourceMark | TargetMark;

/**
 * Throws if a store was copied to another one, or if a copy to it is incomplete.
 *
 * @throws {RunnelError} `storage-unusable`.
 */
export async function assertNotCopied(connection: Pick<KvConnection, "call">): Promise<void> {
  const { value: mark } = await connection.call((kv) => kv.get<CopyMark>(COPY_MARK));
  if (!mark) return;
  const other = JSON.stringify(mark.other);
  const problem = mark.role === "target"
    ? `the copy of ${other} to this log is incomplete. Run \`deno task copy\` again`
    : `this log was copied to ${other}, which goes on in its place. Set RUNNEL_KV to that; or ` +
      "run `deno task restore` without a file, which gives each pipeline here a new epoch, to " +
      "let both go on";
  throw new RunnelError("storage-unusable", `Cannot start: ${problem}`);
}

/** Removes the mark of a source, so that a service starts on it. */
export async function removeSourceMark(kv: Kv): Promise<void> {
  const { value: mark } = await kv.get<CopyMark>(COPY_MARK);
  if (mark?.role === "source") await kv.atomic().delete(COPY_MARK).commit();
}
