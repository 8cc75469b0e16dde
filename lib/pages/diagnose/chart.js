// @ts-check
/**
 * Chart of the times when lines were sent and when they arrived.
 *
 * @module
 */

import { element, svgElement } from "../shared/elements.js";

/** @typedef {import("./probe_result.js").ProbeLine} ProbeLine */

const HEIGHT = 96;
const PAD = 14;
const SENT_Y = 24;
const ARRIVED_Y = 68;

/** As wide as the room, so that the text has the same size on a phone. */
function width() {
  return Math.min(Math.max(document.documentElement.clientWidth - 40, 240), 696);
}

/** The chart of one probe, which grows as its lines arrive. */
export class ArrivalChart {
  #width = width();
  #svg = svgElement("svg", { viewBox: `0 0 ${this.#width} ${HEIGHT}`, role: "img" });
  /** @type {ProbeLine[]} */
  #lines = [];
  #everyMs;
  #durationMs;
  #caption;

  /**
   * @param {HTMLElement} host
   * @param {string} caption
   * @param {Pick<import("./probe.js").ProbeOptions, "everyMs" | "isQuiet">} options
   */
  constructor(host, caption, { everyMs, isQuiet }) {
    this.#everyMs = everyMs;
    this.#durationMs = (isQuiet ? 4 : 9) * everyMs;
    this.#caption = caption;
    host.append(element("figure", {}, element("figcaption", {}, caption), this.#svg));
    this.#draw();
  }

  /** @param {ProbeLine} line */
  add(line) {
    this.#lines.push(line);
    this.#draw();
  }

  #draw() {
    const lines = this.#lines;
    // Relative to the fastest line, so that the slope of a stroke is what was held back.
    const offset = Math.min(...lines.map(({ at, sent }) => at - sent));
    const end = Math.max(this.#durationMs, ...lines.map(({ at }) => at - offset));
    const x = (/** @type {number} */ ms) => PAD + ms / end * (this.#width - 2 * PAD);
    const strokes = lines.map(({ sent, at }) => {
      const [from, to] = [x(sent), x(at - offset)];
      const isLate = at - offset - sent > this.#everyMs / 4;
      return svgElement(
        "g",
        { class: isLate ? "late" : "timely" },
        svgElement("line", { x1: from, y1: SENT_Y, x2: to, y2: ARRIVED_Y }),
        svgElement("circle", { cx: from, cy: SENT_Y, r: 4 }),
        svgElement("circle", { cx: to, cy: ARRIVED_Y, r: 4 }),
      );
    });
    this.#svg.replaceChildren(
      ...axis("sent", SENT_Y - 10, SENT_Y, this.#width),
      ...axis("arrived", ARRIVED_Y + 20, ARRIVED_Y, this.#width),
      ...strokes,
    );
    this.#svg.setAttribute(
      "aria-label",
      `${this.#caption}: ${lines.length} lines arrived. The table below has their times.`,
    );
  }
}

/**
 * @param {string} name
 * @param {number} labelY
 * @param {number} y
 * @param {number} width
 */
function axis(name, labelY, y, width) {
  return [
    svgElement("line", { class: "axis", x1: PAD, y1: y, x2: width - PAD, y2: y }),
    svgElement("text", { x: PAD, y: labelY }, name),
  ];
}
