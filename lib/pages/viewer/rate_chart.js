/**
 * Draws events per second by channel.
 *
 * @module
 */

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 300;
const HEIGHT = 88;

/** The bars are stacked in the order of the series. */
export class RateChart {
  #svg = svg("svg", {
    class: "chart",
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    preserveAspectRatio: "none",
    role: "img",
  });
  #seriesOf;

  /** Puts an empty one into an element. */
  constructor(host, seriesOf) {
    this.#seriesOf = seriesOf;
    host.append(this.#svg);
  }

  /**
   * Draws it anew.
   *
   * @param {ReadonlyMap<string, number>[]} stretches Events per second, oldest first.
   * @returns {{ now: number, peak: number }} What it shows, in numbers.
   */
  draw(stretches) {
    const totals = stretches.map((rates) =>
      [...rates.values()].reduce((sum, rate) => sum + rate, 0)
    );
    const peak = Math.max(...totals);
    const now = totals.at(-1) ?? 0;
    const scale = (HEIGHT - 2) / Math.max(peak, 1);
    const step = WIDTH / stretches.length;
    const bars = [];
    for (const [index, rates] of stretches.entries()) {
      const bySeries = new Map();
      for (const [channel, rate] of rates) {
        const series = this.#seriesOf(channel);
        bySeries.set(series, (bySeries.get(series) ?? 0) + rate);
      }
      let y = HEIGHT;
      for (const [series, rate] of [...bySeries].sort(([a], [b]) => a - b)) {
        const height = Math.max(1, rate * scale);
        y -= height;
        bars.push(svg("rect", {
          class: `series-${series}`,
          x: (index * step + 0.5).toFixed(2),
          y: y.toFixed(2),
          width: (step - 1).toFixed(2),
          height: height.toFixed(2),
        }));
      }
    }
    const base = svg("rect", {
      class: "chart-base",
      x: "0",
      y: String(HEIGHT - 1),
      width: String(WIDTH),
      height: "1",
    });
    this.#svg.replaceChildren(base, ...bars);
    this.#svg.setAttribute(
      "aria-label",
      `Events per second over the last 5 minutes: now ${formatRate(now)}, at most ${
        formatRate(peak)
      }.`,
    );
    return { now, peak };
  }
}

/** A rate, for people. */
export function formatRate(rate) {
  return rate.toLocaleString("en", { maximumFractionDigits: rate < 10 ? 1 : 0 });
}

function svg(name, attributes) {
  const created = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) created.setAttribute(key, value);
  return created;
}
