/**
 * Measured constants of the service, each with how it was measured. `deno task bench --work m`
 * measures them again, beside these.
 *
 * @module
 */

/**
 * Constants on Linux 6 with Deno 2.9.6, on two shared cores of a server, the log as a file on
 * a virtual disk. Times are CPU times of the process, of all its threads; sizes are in bytes.
 *
 * Measures: (1) the program alone; (2) 2,000 and 10,000 subscribers to whom nothing happens;
 * (3) no subscribers, 50 to 4,000 events a second from 8 connections; (4) the same at 200 a
 * second in 20 pipelines with 20 to 1,000 subscribers; (5) the file after the program has
 * ended; (6) one event on a stream; (7) counted in `capacity_operations_test.ts`.
 */
export const MEASURED = {
  /** Memory after the start (1). */
  memoryAtStart: 96e6,
  /** Memory that the first publishes, and the first subscribers, add once (3, 4). */
  memoryOfUse: 10e6,
  /** Memory of a subscriber: 69 KB of 2,000, 64 KB of 10,000 (2). */
  memoryOfSubscriber: 65e3,
  /** Memory of a subscriber that stalls, without what the kernel keeps: `service/running`. */
  memoryOfStalled: 320e3,
  /** Memory of a pipeline that has subscribers (2). */
  memoryOfPipeline: 16e3,
  /** Memory and open files of each isolate beyond the first, after the start of 1 to 4. */
  memoryOfIsolate: 30e6,
  filesOfIsolate: 7,
  /** The same of the isolate that controls the others, if there are several. */
  memoryOfOwner: 34e6,
  filesOfOwner: 6,
  /** Open files after the start (1). */
  filesAtStart: 33,
  /** CPU time of a commit of its own, in seconds (3, at 50 and 100 a second). */
  cpuOfCommit: 1.45e-3,
  /** Commits a second beyond which publishes share them, on this disk (3). */
  commitsPerSecond: 175,
  /** CPU time of a commit to a KV server, in seconds: 100 a second, by a process of its own. */
  cpuOfRemoteCommit: 0.85e-3,
  /** CPU time of an event in a commit, in seconds (3, at 4,000 a second). */
  cpuOfEvent: 20e-6,
  /** CPU time to wake the subscribers of a pipeline, in seconds (4, with one each). */
  cpuOfPass: 0.18e-3,
  /** CPU time of an event to a subscriber, in a write of its own, in seconds (4). */
  cpuOfDelivery: 9e-6,
  /** CPU time of the same in a pass of many events, in seconds: work (a). */
  cpuOfSharedDelivery: 2e-6,
  /** CPU time of a subscriber to whom nothing happens, in cores (2). */
  cpuOfIdle: 2e-6,
  /** Bytes of a stored event beside its payload, alone in its commit (5). */
  overheadOfEvent: 120,
  /** Factor by which the pages of the file are larger than what they contain (5). */
  fillOfPages: 1.3,
  /** Greatest row that fits into a page beside others, and what stays in it of a larger one. */
  rowInPage: 1002,
  restOfRow: 489,
  /** Size of a page of the file. */
  page: 4096,
  /** Bytes of an event on a stream beside its payload: its ID, channel and lines (6). */
  overheadOnStream: 54,
  /** Bytes of a packet (18 and 52) and of a chunk of HTTP (8) around a write: calculated. */
  overheadOfWrite: 78,
  /** Bytes of an idempotency key, kept for 24 hours. */
  key: 300,
  /** Greatest rate of publishes of one event each, a second, that one file takes: work (e). */
  publishesOfFile: 10_000,
  /** The same of one KV server, ten commits in flight: work (l). */
  publishesOfServer: 9_000,
  /** Greatest rate of reads, a second, of one KV server: 64 in flight on 4 connections. */
  readsOfServer: 7_500,
  /** Reads of the store for a publish at a KV server: the one before a commit (7). */
  readsOfPublish: 1,
  /** Reads of the store for an event in each other isolate that has subscribers of it (7). */
  readsOfDelivery: 3,
  /** Pipelines of a watch, and watches of a connection. */
  pipelinesOfWatch: 10,
  watchesOfConnection: 64,
} as const;

/**
 * References, measured in the same turn on the same machine: another machine is faster or
 * slower by about the factor between its references and these.
 */
export const REFERENCES = {
  /** CPU time of a delivery of a bare handler of the runtime, in seconds. */
  bareDelivery: 8.6e-6,
  /** CPU time of a commit to a bare Deno KV file at 100 a second, in seconds. */
  bareCommit: 0.55e-3,
} as const;
