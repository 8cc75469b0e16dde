/**
 * The servers of the benchmark.
 *
 * @module
 */

export { centrifugo } from "./centrifugo.ts";
export { durableStreams } from "./durable_streams.ts";
export { bare, ceiling, handlerCommand, history, honoStream } from "./handlers.ts";
export { nchan } from "./nchan.ts";
export { PAYLOAD, type Peer, type Server, type Wire } from "./peer.ts";
export { EarlierCommit, runnel } from "./runnel.ts";
