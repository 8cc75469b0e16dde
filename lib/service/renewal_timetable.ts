/**
 * The deadlines of a listener whose certificate was renewed, while the next one has the
 * port, too.
 *
 * @module
 */

/**
 * Time for which it tells clients to leave the connections that they keep, before those
 * are closed, in milliseconds.
 */
export const LEAVING_MS = 1000;

/** Time after that for which requests without a response delay its shutdown, in milliseconds. */
export const LAST_ANSWERS_MS = 15_000;

/** Time until no new connection gets the certificate before, in milliseconds. */
export const RENEWAL_MS = LEAVING_MS + LAST_ANSWERS_MS;
