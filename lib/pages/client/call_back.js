/* @ts-self-types="../../client/call_back.ts" */
// @ts-nocheck: built from lib/client/call_back.ts by "deno task build".

export async function callBack(
  run,
  value,
) {
  try {
    await run?.(value);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
