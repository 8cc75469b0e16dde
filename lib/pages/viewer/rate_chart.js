// @ts-check
/**
 * Bar chart of events per second, by the color of their channel.
 *
 * @module
 */

import { element, svgElement } from "../shared/elements.js";
import { findTop, formatRate } from "./rate_scale.js";

const WIDTH = 300;
const HEIGHT = 88;

/** The chart. The series of an interval are stacked in their order. */
export class RateChart {
  #svg = svgElement("svg", {
    class: "chart",
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    preserveAspectRatio: "none",
    role: "img",
  });

  #labels = Array.from({ length: 3 }, () => element("span"));

  /** @param {HTMLElement} host */
  constructor(host) {
    host.append(element("div", { class: "chart-scale" }, ...this.#labels), this.#svg);
  }

  /**
   * Draws the chart anew.
   *
   * @param {ReadonlyMap<string, number>[]} intervals Events per second by series, oldest first.
   * @returns {{ now: number, peak: number }} Total of the newest interval, and the highest total.
   */
  draw(intervals) {
    const totals = intervals.map((rates) =>
      [...rates.values()].reduce((sum, rate) => sum + rate, 0)
    );
    const peak = Math.max(...totals);
    const now = totals.at(-1) ?? 0;
    const top = findTop(peak);
    const scale = (HEIGHT - 1) / top;
    const step = WIDTH / intervals.length;
    const bars = [];
    for (const [index, rates] of intervals.entries()) {
      let y = HEIGHT;
      for (const [series, rate] of [...rates].sort(([a], [b]) => Number(a) - Number(b))) {
        const height = Math.max(1, rate * scale);
        y -= height;
        bars.push(svgElement("rect", {
          class: `series-${series}`,
          x: (index * step + 0.5).toFixed(2),
          y: y.toFixed(2),
          width: (step - 1).toFixed(2),
          height: height.toFixed(2),
        }));
      }
    }
    const lines = [0, (HEIGHT - 1) / 2, HEIGHT - 1].map((y) =>
      svgElement("rect", { class: "chart-base", x: 0, y, width: WIDTH, height: 1 })
    );
    this.#svg.replaceChildren(...lines, ...bars);
    for (const [index, value] of [top, top / 2, 0].entries()) {
      const label = this.#labels[index];
      if (label) label.textContent = formatRate(value);
    }
    const [nowText, peakText] = [now, peak].map(formatRate);
    this.#svg.setAttribute(
      "aria-label",
      `Events per second over the last 5 minutes: now ${nowText}, at most ${peakText}.`,
    );
    return { now, peak };
  }
}
