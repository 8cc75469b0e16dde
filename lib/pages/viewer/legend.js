// @ts-check
/**
 * The legend of the chart.
 *
 * @module
 */

import { element } from "../shared/elements.js";
import { legendEntries } from "./legend_entries.js";

/** Shows the colors with the most events, each with its channels. */
export class Legend {
  #host;
  #shown = "";

  /** @param {HTMLElement} host */
  constructor(host) {
    this.#host = host;
  }

  /**
   * Draws the legend anew, if it has changed.
   *
   * @param {ReadonlyMap<string, number>[]} intervals Events per second by color.
   * @param {(color: number) => readonly string[]} namesOf Returns the channels of a color.
   */
  draw(intervals, namesOf) {
    const entries = legendEntries(intervals, namesOf);
    const text = JSON.stringify(entries);
    if (text === this.#shown) return;
    this.#shown = text;
    this.#host.replaceChildren(...entries.map(({ color, text }) =>
      element(
        "li",
        {},
        ...(color === null ? [] : [element("span", { class: `swatch series-${color}` })]),
        element("span", { class: "legend-name" }, text),
      )
    ));
  }
}
