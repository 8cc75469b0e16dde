/**
 * Sizes of commits, as the limits of one atomic operation count them.
 *
 * An operation takes 1000 mutations, 80 KiB of keys and 800 KiB of keys and values.
 * One commit alone stays below that by `log_writer.ts`. Several together stay far
 * below it, so that estimates are enough: 400 keys and those of 100 checks, of at
 * most 140 bytes, are 69 KiB.
 *
 * @module
 */

import type { CommitPlan } from "./commit.ts";

/** Number of checks that the runtime allows in an operation on a file. */
export const MAX_CHECKS = 100;

/** Number of checks that a KV server allows in an operation. */
export const MAX_REMOTE_CHECKS = 10;

/** Number of mutations of several commits together. */
export const MAX_GROUP_MUTATIONS = 400;

/** Estimated size of several commits together, in bytes. */
export const MAX_GROUP_BYTES: number = 512 * 1024;

/** Estimated size of a commit from which on it goes alone, in bytes: others would wait for it. */
export const LARGE_COMMIT_BYTES: number = 64 * 1024;

/** Maximum size of a head with its key, in bytes: it has at most 20 trim points and 30 counts. */
const HEAD_BYTES = 2048;

/** Maximum size of the key of a segment, or of an idempotency key with its record, in bytes. */
const RECORD_BYTES = 512;

/** Size of one commit, or of several together. */
export interface CommitSize {
  /** Number of checks. */
  checks: number;
  /** Number of mutations. */
  mutations: number;
  /** Size of keys and values, in bytes; at most, not exactly. */
  bytes: number;
}

/** Returns the size of a commit. */
export function measureCommit({ base, segments, records }: CommitPlan): CommitSize {
  const small = segments.length + records.length;
  let bytes = HEAD_BYTES + small * RECORD_BYTES;
  for (const segment of segments) bytes += segment.length;
  return { checks: base.checks.length, mutations: 1 + small, bytes };
}

/** Returns the size of two commits, or groups, together. */
export function addSizes(a: CommitSize, b: CommitSize): CommitSize {
  return {
    checks: a.checks + b.checks,
    mutations: a.mutations + b.mutations,
    bytes: a.bytes + b.bytes,
  };
}

/** Whether several commits fit into one operation. */
export function fitsGroup({ checks, mutations, bytes }: CommitSize, maxChecks: number): boolean {
  return checks <= maxChecks && mutations <= MAX_GROUP_MUTATIONS && bytes <= MAX_GROUP_BYTES;
}
