/**
 * Centrifugo, with its engine in memory and its unidirectional event stream.
 *
 * @module
 */

import { ServerProcess } from "../../support/programs/server_process.ts";
import { PAYLOAD, type Peer, serverOf } from "./peer.ts";

const VERSION = "v6.9.1";
const KEY = "bench";

/** Path of the program, as a shell or `go install` would have it. */
const executable = await find();

async function find(): Promise<string | undefined> {
  const folders = Deno.env.get("PATH")?.split(":") ?? [];
  const go = Deno.env.get("GOPATH") ?? `${Deno.env.get("HOME")}/go`;
  for (const folder of [...folders, `${go}/bin`]) {
    const path = `${folder}/centrifugo`;
    if (await Deno.stat(path).then(({ isFile }) => isFile, () => false)) return path;
  }
  return undefined;
}

/** Percent-encoded JSON that subscribes on connect. */
const CONNECT = `%7B%22subs%22:%7B%22{pipeline}%22:%7B%7D%7D%7D`;

/** Centrifugo. */
export const centrifugo: Peer = {
  name: "Centrifugo",
  word: "centrifugo",
  promises: "memory, order, no resume of uni-SSE",
  missing: executable === undefined
    ? `go install github.com/centrifugal/centrifugo/v6@${VERSION}`
    : null,
  wire: {
    single: {
      subscribe: `/connection/uni_sse?cf_connect=${CONNECT}`,
      publish: "/api/publish",
      "publish-headers": `Content-Type: application/json|X-API-Key: ${KEY}`,
      event: `{"channel":"{pipeline}","data":${PAYLOAD}}`,
      ready: '"subs"',
    },
    batch: {
      publish: "/api/batch",
      before: '{"commands":[',
      event: `{"publish":{"channel":"{pipeline}","data":${PAYLOAD}}}`,
      after: "]}",
    },
  },
  start: async () =>
    serverOf(
      await ServerProcess.start((port) => ({
        command: [executable!, "--config", "config.json"],
        files: { "config.json": settings(port) },
      })),
    ),
};

function settings(port: number): string {
  return JSON.stringify({
    http_server: { address: "127.0.0.1", port: `${port}` },
    http_api: { key: KEY },
    client: { insecure: true, allowed_origins: ["*"] },
    uni_sse: { enabled: true },
    channel: {
      without_namespace: {
        allow_subscribe_for_client: true,
        allow_subscribe_for_anonymous: true,
      },
    },
    log: { level: "error" },
  });
}
