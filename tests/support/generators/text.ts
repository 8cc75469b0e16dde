/**
 * Lossless conversions between text and its bytes.
 *
 * @module
 */

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Encodes text. */
export function encodeUtf8(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text);
}

/** Decodes bytes, including a byte order mark. */
export function decodeUtf8(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}
