// @ts-check
/**
 * A limit of streams in a browser.
 *
 * Over HTTP/1.1 a browser opens at most six connections to a host, for all of its tabs. A stream
 * holds one of them as long as it lasts, so that with six streams no further page would load. The
 * tabs share one stream. But they cannot where a browser has no shared workers, with different
 * tokens, or with tickets. So a page holds a lock of the browser beside a stream of its own, and one
 * that gets none says why it waits.
 *
 * @module
 */

/** Number of tabs with streams of their own. One connection stays free, and one is for the others. */
const SLOTS = "SharedWorker" in globalThis ? 4 : 5;

/** Time after which a page says that it waits: most tabs leave their own streams before. */
const NOTICE_MS = 1000;

/** Reason to wait, for people. */
export const SLOT_EXPLANATION =
  `${SLOTS} other tabs of this browser have a stream of this service each, which they cannot share ` +
  "with this one. A browser opens six connections to a host over HTTP/1.1, and no page would load " +
  "without the last one. Close one of the tabs, and this one goes on. Over HTTP/2 there is no such " +
  "limit.";

/**
 * Holds one of the slots until it is released, or the page is left.
 *
 * @param {() => void} onWait Called if all of them are held by other pages for a while.
 * @param {LockManager | undefined} [locks] Locks of the browser, which only secure contexts have:
 *   pages of this machine, and of https. Without them nothing is limited.
 * @param {boolean} [isLimited] Whether connections are limited.
 * @returns {Promise<() => void>} Resolves when the page may open a stream of its own, with a
 *   function that releases the slot.
 */
export async function holdStreamSlot(
  onWait,
  locks = navigator.locks,
  isLimited = usesHttp1(),
) {
  if (!locks || !isLimited) return () => {};
  for (let slot = 1; slot <= SLOTS; slot++) {
    const release = await tryToHold(locks, slot);
    if (release) return release;
  }
  const timer = setTimeout(onWait, NOTICE_MS);
  const release = await holdNext(locks);
  clearTimeout(timer);
  return release;
}

/** @param {LockManager} locks @param {number} slot @returns {Promise<(() => void) | null>} */
function tryToHold(locks, slot) {
  return new Promise((resolve) => {
    locks.request(nameOf(slot), { ifAvailable: true }, (lock) => {
      if (!lock) return resolve(null);
      return new Promise((release) => resolve(() => release(undefined)));
    });
  });
}

/** @param {LockManager} locks @returns {Promise<() => void>} */
function holdNext(locks) {
  const others = new AbortController();
  return new Promise((resolve) => {
    for (let slot = 1; slot <= SLOTS; slot++) {
      locks.request(nameOf(slot), { signal: others.signal }, () => {
        // Two may be granted before the others are withdrawn.
        if (others.signal.aborted) return;
        others.abort();
        return new Promise((release) => resolve(() => release(undefined)));
      }).catch((error) => {
        if (!others.signal.aborted) throw error;
      });
    }
  });
}

/** @param {number} slot */
function nameOf(slot) {
  return `runnel-stream-${slot}`;
}

function usesHttp1() {
  const [navigation] = performance.getEntriesByType("navigation");
  return navigation instanceof PerformanceNavigationTiming &&
    navigation.nextHopProtocol.startsWith("http/1");
}
