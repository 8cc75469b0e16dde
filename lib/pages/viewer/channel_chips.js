// @ts-check
/**
 * Filter buttons, one for each channel, in the color that the channel has in the chart.
 *
 * @module
 */

import { element } from "../shared/elements.js";
import { colorOf } from "./channel_colors.js";

/** Number of channels with a chip. */
const MAX_CHIPS = 24;

/** Number of channels that are counted: a publisher may use a new one for each event. */
const MAX_COUNTED = 10_000;

/**
 * A channel, and its chip if it has one.
 *
 * @typedef {object} Channel
 * @property {number} count Events of the channel.
 * @property {{ button: HTMLElement, count: HTMLElement } | null} chip
 */

/** The row of chips. */
export class ChannelChips {
  /**
   * The picked channels; an empty set means all.
   *
   * @type {Set<string>}
   */
  picked = new Set();
  #host;
  #onPick;
  #more = element("span", { class: "soft" });
  #all = element("button", { type: "button", class: "chip", "aria-pressed": "true" }, "All");
  /**
   * By name, in order of their first events.
   *
   * @type {Map<string, Channel>}
   */
  #channels = new Map();
  /**
   * Names of channels, by color.
   *
   * @type {Map<number, string[]>}
   */
  #names = new Map();
  /**
   * Channels with events that {@linkcode ChannelChips.draw} has not shown yet.
   *
   * @type {Set<string>}
   */
  #changed = new Set();

  /**
   * @param {HTMLElement} host
   * @param {() => void} onPick Called when the picked channels have changed.
   */
  constructor(host, onPick) {
    this.#host = host;
    this.#onPick = onPick;
    this.#all.addEventListener("click", () => this.#pick(null));
    host.append(this.#all, this.#more);
  }

  /**
   * Counts an event.
   *
   * @param {string} name The event's channel.
   */
  add(name) {
    let channel = this.#channels.get(name);
    if (!channel) {
      if (this.#channels.size === MAX_COUNTED) return;
      this.#channels.set(name, channel = { count: 0, chip: null });
      const color = colorOf(name);
      const names = this.#names.get(color);
      if (names) names.push(name);
      else this.#names.set(color, [name]);
    }
    channel.count++;
    this.#changed.add(name);
  }

  /**
   * Returns the names of the channels of a color, in order of their first events.
   *
   * @param {number} color
   * @returns {readonly string[]}
   */
  namesOf(color) {
    return this.#names.get(color) ?? [];
  }

  /** Shows the counts. */
  draw() {
    for (const name of this.#changed) {
      const channel = this.#channels.get(name);
      if (!channel) continue;
      if (!channel.chip && this.#host.children.length < MAX_CHIPS + 2) this.#addChip(name, channel);
      if (channel.chip) channel.chip.count.textContent = channel.count.toLocaleString("en");
    }
    this.#changed.clear();
    const more = this.#channels.size - MAX_CHIPS;
    const isAll = this.#channels.size < MAX_COUNTED;
    const count = `${isAll ? "" : "at least "}${more.toLocaleString("en")}`;
    this.#more.textContent = more > 0 ? `and ${count} more` : "";
  }

  /**
   * @param {string} name
   * @param {Channel} channel
   */
  #addChip(name, channel) {
    const count = element("span", { class: "chip-count" });
    const button = element(
      "button",
      { type: "button", class: "chip", "aria-pressed": "false", "data-channel": name },
      element("span", { class: `swatch series-${colorOf(name)}` }),
      element("span", { class: "chip-name" }, name),
      " ",
      count,
    );
    button.addEventListener("click", () => this.#pick(name));
    this.#more.before(button);
    channel.chip = { button, count };
  }

  /** @param {string | null} name The channel to pick or unpick, or `null` for all. */
  #pick(name) {
    if (name === null) this.picked.clear();
    else if (!this.picked.delete(name)) this.picked.add(name);
    this.#all.setAttribute("aria-pressed", String(this.picked.size === 0));
    for (const [name, { chip }] of this.#channels) {
      chip?.button.setAttribute("aria-pressed", String(this.picked.has(name)));
    }
    this.#onPick();
  }
}
