/**
 * The lines that the author of a workflow reads while a delivery is retried.
 *
 * @module
 */

/**
 * Creates a handler of retries, which prints a reason once for as long as it
 * stays the same. The number of attempts is in the error, if there is one.
 */
export function createRetryReport(print: (line: string) => void): (reason: string) => void {
  let last = "";
  return (reason) => {
    if (reason !== last) print(`${reason}. Trying again`);
    last = reason;
  };
}
