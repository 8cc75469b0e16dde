/**
 * One chip for each channel, to filter by; its colour is the channel's in the chart.
 *
 * @module
 */

import { element } from "../shared/elements.js";

/** How many channels have a colour of their own. */
const COLORS = 6;

/** How many channels have a chip. */
const MAX_CHIPS = 24;

/** The chips. */
export class ChannelChips {
  /** The channels that are picked; none for all. */
  picked = new Set();
  #host;
  #onPick;
  #more = element("span", { class: "soft" });
  #all = element("button", { type: "button", class: "chip", "aria-pressed": "true" }, "All");
  /** By channel, in the order in which they came. */
  #channels = new Map();
  #touched = new Set();

  /** Puts the first chip into an element. */
  constructor(host, onPick) {
    this.#host = host;
    this.#onPick = onPick;
    this.#all.addEventListener("click", () => this.#pick(null));
    host.append(this.#all, this.#more);
  }

  /** Counts an event of a channel. */
  add(name) {
    let channel = this.#channels.get(name);
    if (!channel) {
      const series = Math.min(this.#channels.size, COLORS);
      this.#channels.set(name, channel = { series, count: 0, chip: null });
    }
    channel.count++;
    this.#touched.add(name);
  }

  /** The number of a channel's colour. */
  seriesOf = (name) => this.#channels.get(name)?.series ?? COLORS;

  /** Shows what was counted. */
  draw() {
    for (const name of this.#touched) {
      const channel = this.#channels.get(name);
      if (!channel.chip && this.#host.children.length < MAX_CHIPS + 2) this.#addChip(name, channel);
      if (channel.chip) channel.chip.count.textContent = channel.count.toLocaleString("en");
    }
    this.#touched.clear();
    const more = this.#channels.size - MAX_CHIPS;
    this.#more.textContent = more > 0 ? `and ${more.toLocaleString("en")} more` : "";
  }

  #addChip(name, channel) {
    const count = element("span", { class: "chip-count" });
    const button = element(
      "button",
      { type: "button", class: "chip", "aria-pressed": "false", "data-channel": name },
      element("span", { class: `swatch series-${channel.series}` }),
      element("span", { class: "chip-name" }, name),
      " ",
      count,
    );
    button.addEventListener("click", () => this.#pick(name));
    this.#more.before(button);
    channel.chip = { button, count };
  }

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
