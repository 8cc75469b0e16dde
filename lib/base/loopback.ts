/**
 * Names and addresses of the local machine.
 *
 * @module
 */

/** Whether a host name or an IP address names the local machine. */
export function isLoopback(host: string): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|\[?::1\]?|::ffff:127(\.\d{1,3}){3})$/i.test(host);
}
