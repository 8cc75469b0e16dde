/**
 * Draws when lines were sent and when they arrived.
 *
 * @module
 */

/** @typedef {import("./probe.js").Line} Line */

const SVG = "http://www.w3.org/2000/svg";

const HEIGHT = 96;
const PAD = 14;
const SENT_Y = 24;
const ARRIVED_Y = 68;

/** As wide as there is room, so that the writing has the same size on a phone. */
function width() {
  return Math.min(Math.max(document.documentElement.clientWidth - 40, 240), 696);
}

/** A chart of one probe that grows as its lines arrive. */
export class Chart {
  /** The chart, to be put into a page. */
  element = document.createElement("figure");
  #width = width();
  #svg = element("svg", { viewBox: `0 0 ${this.#width} ${HEIGHT}`, role: "img" });
  /** @type {Line[]} */
  #lines = [];
  #everyMs;
  #caption;

  /**
   * @param {string} caption
   * @param {number} everyMs The time between two lines, in milliseconds.
   */
  constructor(caption, everyMs) {
    this.#everyMs = everyMs;
    this.#caption = caption;
    const text = document.createElement("figcaption");
    text.textContent = caption;
    this.element.append(text, this.#svg);
    this.#draw();
  }

  /** @param {Line} line */
  add(line) {
    this.#lines.push(line);
    this.#draw();
  }

  #draw() {
    const lines = this.#lines;
    // Both begin with the one that was the fastest, so that a stroke leans by what was held back.
    const offset = Math.min(...lines.map(({ at, sent }) => at - sent));
    const end = Math.max(9 * this.#everyMs, ...lines.map(({ at }) => at - offset));
    const x = (/** @type {number} */ ms) => PAD + ms / end * (this.#width - 2 * PAD);
    const shapes = [
      ...axis("sent", SENT_Y - 10, SENT_Y, this.#width),
      ...axis("arrived", ARRIVED_Y + 20, ARRIVED_Y, this.#width),
    ];
    for (const { sent, at } of lines) {
      const [from, to] = [x(sent), x(at - offset)];
      const late = at - offset - sent > this.#everyMs / 2;
      const group = element("g", { class: late ? "late" : "timely" });
      group.append(
        element("line", { x1: from, y1: SENT_Y, x2: to, y2: ARRIVED_Y }),
        element("circle", { cx: from, cy: SENT_Y, r: 4 }),
        element("circle", { cx: to, cy: ARRIVED_Y, r: 4 }),
      );
      shapes.push(group);
    }
    this.#svg.replaceChildren(...shapes);
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
  const label = element("text", { x: PAD, y: labelY });
  label.textContent = name;
  return [
    element("line", { class: "axis", x1: PAD, y1: y, x2: width - PAD, y2: y }),
    label,
  ];
}

/**
 * @param {string} name
 * @param {Record<string, string | number>} attributes
 */
function element(name, attributes) {
  const created = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) created.setAttribute(key, String(value));
  return created;
}
