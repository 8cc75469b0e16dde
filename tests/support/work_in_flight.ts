/**
 * Work of the runtime's threads that is in flight in this isolate: calls to stores, and
 * cryptographic operations. A test that waits until there is none need not wait for a time.
 *
 * @module
 */

let count = 0;

/** Number of operations in flight. */
export const workInFlight = (): number => count;

/** Counts an operation until it has ended. */
export async function counted<T>(work: Promise<T>): Promise<T> {
  count++;
  try {
    return await work;
  } finally {
    count--;
  }
}

/** Replaces methods of a class by ones that count their calls. */
function countCalls<T extends object>(
  { prototype }: { prototype: T },
  names: readonly (keyof T & string)[],
): void {
  for (const name of names) {
    const method = prototype[name] as (...args: unknown[]) => Promise<unknown>;
    Object.defineProperty(prototype, name, {
      configurable: true,
      writable: true,
      value(this: T, ...args: unknown[]) {
        return counted(method.apply(this, args));
      },
    });
  }
}

countCalls(SubtleCrypto, ["digest", "importKey", "sign", "verify"]);
countCalls(Deno.Kv, ["get", "getMany", "set", "delete"]);
countCalls(Deno.AtomicOperation, ["commit"]);
