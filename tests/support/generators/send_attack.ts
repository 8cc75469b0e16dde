/**
 * A client that sends an attack and reads the response.
 *
 * @module
 */

import { connectLocally } from "../servers/local_server.ts";
import type { Attack } from "./attacks.ts";
import { type HttpResponse, readHttpResponses } from "./http_responses.ts";

/** Maximum silence of a connection before the service is at fault, in milliseconds. */
export const ANSWER_BOUND_MS = 10_000;

/** Wait for a response that is not required, in milliseconds. */
const SILENT_MS = 300;

/** Wait for another response after one, in milliseconds. */
const QUIET_MS = 5000;

/** Time for which a stream is read, in milliseconds. */
const STREAM_MS = 30;

/** Outcome of an attack. */
export interface AttackOutcome {
  answers: HttpResponse[];
  /** Whether responses may have been lost: one of the sides cut the connection. */
  isUnsure: boolean;
  /** Whether nothing arrived, and the connection stayed open. */
  isSilent: boolean;
}

/** Sends an attack to a port, over TLS if `caCerts` are given, and reads the responses. */
export async function sendAttack(
  port: number,
  attack: Attack,
  caCerts?: string[],
): Promise<AttackOutcome> {
  const connection = await connectLocally(port, caCerts);
  let isOpen = true;
  const close = () => {
    if (isOpen) connection.close();
    isOpen = false;
  };
  const sending = send(connection, attack).catch(() => {});
  if (attack.isCut) {
    await sending;
    close();
    return { answers: [], isUnsure: true, isSilent: false };
  }
  const buffer = new Uint8Array(64 * 1024);
  let bytes = new Uint8Array();
  let read: { answers: HttpResponse[]; rest: number } = { answers: [], rest: 0 };
  let isUnsure = false;
  const boundMs = requiresAnswer(attack) ? ANSWER_BOUND_MS : SILENT_MS;
  let timer = setTimeout(close, boundMs);
  try {
    while (isOpen) {
      const length = await connection.read(buffer);
      if (length === null) break;
      const more = new Uint8Array(bytes.length + length);
      more.set(bytes);
      more.set(buffer.subarray(0, length), bytes.length);
      bytes = more;
      read = readHttpResponses(bytes, attack.isHead);
      const isWhole = read.rest === 0 && read.answers.length > 0;
      if (isWhole && attack.kind !== "framing") break;
      const isStream = read.answers.at(-1)?.headers.get("Content-Type")?.startsWith(
        "text/event-stream",
      );
      clearTimeout(timer);
      timer = setTimeout(close, isStream ? STREAM_MS : isWhole ? QUIET_MS : boundMs);
    }
  } catch {
    // A reset of the connection loses the bytes in flight.
    isUnsure = isOpen;
  } finally {
    clearTimeout(timer);
  }
  const isSilent = !isOpen && bytes.length === 0;
  close();
  await sending;
  return { answers: read.answers, isUnsure, isSilent };
}

async function send(connection: Deno.Conn, { parts, pauseMs }: Attack): Promise<void> {
  for (const part of parts) {
    for (let at = 0; at < part.length;) at += await connection.write(part.subarray(at));
    if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

/** Whether an attack resembles a request enough to require a response or a closed connection. */
export function requiresAnswer({ parts, isCut }: Attack): boolean {
  if (isCut) return false;
  const text = parts.map((part) => new TextDecoder().decode(part)).join("").trimStart();
  // Deno waits for the bytes after the preface of an HTTP/2 connection, as for slow headers.
  return /\S[^]*\r?\n\r?\n/.test(text) && !text.startsWith("PRI");
}
