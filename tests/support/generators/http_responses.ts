/**
 * A parser of the HTTP responses on a connection, byte by byte.
 *
 * @module
 */

/** HTTP response. */
export interface HttpResponse {
  status: number;
  headers: Headers;
  body: string;
}

/** Returns the complete responses, and the number of bytes of an incomplete one after them. */
export function readHttpResponses(
  bytes: Uint8Array,
  isHead: boolean = false,
): { answers: HttpResponse[]; rest: number } {
  // One character per byte: lengths are in bytes.
  const text = latin1(bytes);
  const answers: HttpResponse[] = [];
  let at = 0;
  while (true) {
    const head = text.indexOf("\r\n\r\n", at);
    if (head === -1) break;
    const [statusLine, ...lines] = text.slice(at, head).split("\r\n");
    const status = Number(/^HTTP\/1\.[01] (\d{3}) /.exec(`${statusLine} `)?.[1] ?? NaN);
    if (Number.isNaN(status)) throw new Error(`Not an answer: ${JSON.stringify(statusLine)}`);
    const headers = new Headers(
      lines.map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1)]),
    );
    const body = isHead ? { text: "", end: head + 4 } : bodyAt(text, head + 4, status, headers);
    if (status !== 100) {
      answers.push({ status, headers, body: utf8(body?.text ?? text.slice(head + 4)) });
    }
    if (!body) return { answers, rest: text.length - at };
    at = body.end;
  }
  return { answers, rest: text.length - at };
}

/** Returns the end of a body, or `null` if it has not arrived; that of a stream never does. */
function bodyAt(text: string, start: number, status: number, headers: Headers) {
  if (status === 204 || status === 304 || status < 200) return { text: "", end: start };
  const length = headers.get("Content-Length");
  if (length !== null) {
    const end = start + Number(length);
    return end <= text.length ? { text: text.slice(start, end), end } : null;
  }
  if (headers.get("Transfer-Encoding") !== "chunked") return null;
  let at = start;
  let body = "";
  while (true) {
    const line = text.indexOf("\r\n", at);
    if (line === -1) return null;
    const size = parseInt(text.slice(at, line), 16);
    const end = line + 2 + size + 2;
    if (end > text.length) return null;
    body += text.slice(line + 2, line + 2 + size);
    if (size === 0) return { text: body, end };
    at = end;
  }
}

function latin1(bytes: Uint8Array): string {
  const parts: string[] = [];
  for (let i = 0; i < bytes.length; i += 4096) {
    parts.push(String.fromCharCode(...bytes.subarray(i, i + 4096)));
  }
  return parts.join("");
}

function utf8(text: string): string {
  return new TextDecoder().decode(Uint8Array.from(text, (character) => character.charCodeAt(0)));
}
