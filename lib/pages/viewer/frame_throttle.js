// @ts-check
/**
 * Throttles drawing.
 *
 * @module
 */

/**
 * Returns a function that draws in one of the next frames: once for all its calls until then.
 *
 * @param {() => void} draw
 * @param {number} intervalMs Minimum time between two drawings, in milliseconds.
 */
export function throttleFrames(draw, intervalMs) {
  let drawnAt = 0;
  let isPending = false;

  function drawNow() {
    isPending = false;
    drawnAt = performance.now();
    draw();
  }

  return () => {
    if (isPending) return;
    isPending = true;
    const wait = drawnAt + intervalMs - performance.now();
    if (wait <= 0) requestAnimationFrame(drawNow);
    else setTimeout(() => requestAnimationFrame(drawNow), wait);
  };
}
