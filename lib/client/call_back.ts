/**
 * Calls of the functions that a program passes.
 *
 * @module
 */

/** Calls a function of the options. Its error is uncaught, as that of an event listener is. */
export async function callBack<T>(
  run: ((value: T) => void | Promise<void>) | undefined,
  value: T,
): Promise<void> {
  try {
    await run?.(value);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
