/**
 * Messages to the operator about errors that no client receives.
 *
 * @module
 */

import type { Clock } from "./clock.ts";

/** Maximum number of lines in a second, so that an outage does not become a flood. */
const MAX_LINES_A_SECOND = 10;

/** Maximum length of a line, in UTF-16 code units: a path can have 64 KiB. */
const MAX_LINE_LENGTH = 2000;

/** Called with a message to the operator, and the error that caused it, if any. */
export type Reporter = (message: string, cause?: unknown) => void;

/**
 * Creates a {@linkcode Reporter} that writes a line for each message, ten in a
 * second at most, each of 2000 characters at most. The first line of a later second
 * is preceded by the number of lines that were left out.
 *
 * @param write Called with each line.
 */
export function createReporter(clock: Clock, write: (line: string) => void): Reporter {
  let second = 0;
  let lines = 0;
  return (message, cause) => {
    const now = Math.floor(clock.monotonic() / 1000);
    if (now !== second) {
      if (lines > MAX_LINES_A_SECOND) write(`… and ${lines - MAX_LINES_A_SECOND} lines more`);
      second = now;
      lines = 0;
    }
    if (++lines > MAX_LINES_A_SECOND) return;
    const line = cause === undefined ? message : `${message}: ${describeCause(cause)}`;
    write(escapeControls(shorten(line)));
  };
}

function shorten(line: string): string {
  return line.length > MAX_LINE_LENGTH ? `${line.slice(0, MAX_LINE_LENGTH)}…` : line;
}

/** Escapes control characters: a path or a cause may contain what a client sent. */
function escapeControls(line: string): string {
  return line.replace(
    /[\p{Cc}\u2028\u2029]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Returns an error and its chain of causes on one line. */
export function describeCause(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  const text = `${cause.name}: ${cause.message}`;
  return cause.cause === undefined ? text : `${text} (${describeCause(cause.cause)})`;
}
