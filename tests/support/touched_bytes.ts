/**
 * Counts the work on bytes, which does not depend on the machine as time does.
 *
 * @module
 */

type TypedArrayPrototype = Pick<Uint8Array, "set" | "slice" | "indexOf">;

const prototype: TypedArrayPrototype = Object.getPrototypeOf(Uint8Array.prototype);

/** Returns the number of bytes that work copies or searches by methods of `Uint8Array`. */
export function countTouchedBytes(work: () => void): number {
  const { set, slice, indexOf } = prototype;
  let touched = 0;
  const counting: TypedArrayPrototype = {
    set(this: Uint8Array, source: ArrayLike<number>, offset?: number) {
      touched += source.length;
      set.call(this as Uint8Array<ArrayBuffer>, source, offset);
    },
    slice(this: Uint8Array, start?: number, end?: number) {
      const result = slice.call(this as Uint8Array<ArrayBuffer>, start, end);
      touched += result.length;
      return result;
    },
    indexOf(this: Uint8Array, byte: number, start: number = 0) {
      const index = indexOf.call(this as Uint8Array<ArrayBuffer>, byte, start);
      touched += (index < 0 ? this.length : index + 1) - start;
      return index;
    },
  };
  Object.assign(prototype, counting);
  try {
    work();
  } finally {
    Object.assign(prototype, { set, slice, indexOf });
  }
  return touched;
}
