import { deepStrictEqual as deepEqual, strictEqual as equal } from "node:assert/strict";
import { ByteBuffer } from "../../lib/protocol/byte_buffer.ts";
import { decodeUtf8, encodeUtf8 } from "../support/generators/text.ts";
import { countTouchedBytes } from "../support/touched_bytes.ts";

function bufferOf(...pieces: string[]): ByteBuffer {
  const buffer = new ByteBuffer();
  for (const piece of pieces) buffer.append(encodeUtf8(piece));
  return buffer;
}

Deno.test("ByteBuffer joins its pieces", () => {
  const buffer = bufferOf("ab", "", "c", "d".repeat(5000), "e");
  equal(decodeUtf8(buffer.view()), `abc${"d".repeat(5000)}e`);
  equal(buffer.length, 5004);
});

Deno.test("ByteBuffer copies a piece, and retains nothing of it", () => {
  const piece = new Uint8Array(64 * 1024).subarray(7, 10);
  const buffer = new ByteBuffer();
  buffer.append(piece);
  piece.fill(1);
  deepEqual([...buffer.view()], [0, 0, 0]);
  equal(buffer.view().buffer.byteLength, 1024);
});

Deno.test("ByteBuffer moves 3 bytes at most for each that is appended", () => {
  const buffer = new ByteBuffer();
  const bytes = 128 * 1024;
  const touched = countTouchedBytes(() => {
    for (let index = 0; index < bytes; index++) buffer.append(Uint8Array.of(index));
  });
  equal(buffer.length, bytes);
  equal(touched <= 3 * bytes, true, String(touched));
});

Deno.test("ByteBuffer.clear() leaves a view as it is until a piece is appended", () => {
  const buffer = bufferOf("ab");
  const view = buffer.view();
  buffer.clear();
  equal(decodeUtf8(view), "ab");
  equal(buffer.length, 0);
  buffer.append(encodeUtf8("c"));
  equal(decodeUtf8(buffer.view()), "c");
});

Deno.test("ByteBuffer.clear() releases a large array, and keeps a small one", () => {
  const arrayAfter = (piece: string) => {
    const buffer = bufferOf(piece);
    buffer.clear();
    return buffer.view().buffer.byteLength;
  };
  deepEqual([arrayAfter("a"), arrayAfter("a".repeat(1024)), arrayAfter("a".repeat(1025))], [
    1024,
    1024,
    0,
  ]);
});
