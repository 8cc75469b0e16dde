/**
 * Names and addresses of this machine.
 *
 * @module
 */

/**
 * Whether an address or a name is this machine's own.
 *
 * @param host The address or name.
 */
export function isLoopback(host: string): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|\[?::1\]?|::ffff:127(\.\d{1,3}){3})$/i.test(host);
}
