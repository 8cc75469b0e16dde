/**
 * The values of instruments: plain numbers of this isolate, which cost an addition
 * where they are counted.
 *
 * @module
 */

import type { CounterDefinition, Definition, HistogramDefinition } from "./definition.ts";

/** A value that can be read as numbers, in an order that its definition gives. */
export interface Values {
  /** Returns the numbers; `null` if this isolate does not have that value. */
  read(): number[] | null;
}

/** A number that only grows. */
export class Counter implements Values {
  #value = 0;
  #observed: (() => number) | null = null;

  /** The number. */
  get value(): number {
    return this.#value;
  }

  /** Adds to the number. */
  add(amount: number = 1): void {
    this.#value += amount;
  }

  /** Reads the number from another place, which counts it already. */
  observe(read: () => number): void {
    this.#observed = read;
  }

  /** Returns the number. */
  read(): number[] {
    return [this.#observed?.() ?? this.#value];
  }
}

/** Numbers that only grow, one for each value of a label. */
export class Counters<Label extends string> implements Values {
  readonly #labels: readonly Label[];
  readonly #values: Record<Label, number>;
  #observed: (() => Readonly<Record<Label, number>>) | null = null;

  /** Creates the numbers, all zero. */
  constructor({ labels }: Pick<CounterDefinition<Label>, "labels">) {
    this.#labels = labels;
    this.#values = Object.fromEntries(labels.map((label) => [label, 0])) as Record<Label, number>;
  }

  /** Adds to the number of a label. */
  add(label: Label, amount: number = 1): void {
    this.#values[label] += amount;
  }

  /** Reads the numbers from another place, which counts them already. */
  observe(read: () => Readonly<Record<Label, number>>): void {
    this.#observed = read;
  }

  /** Returns the numbers, in the order of the labels. */
  read(): number[] {
    const values = this.#observed?.() ?? this.#values;
    return this.#labels.map((label) => values[label]);
  }
}

/** A number that is read when somebody asks for it. */
export class Gauge implements Values {
  #observed: (() => number) | null = null;

  /** Sets the place where the number is read. */
  observe(read: () => number): void {
    this.#observed = read;
  }

  /** Returns the number; `null` if it is observed nowhere in this isolate. */
  read(): number[] | null {
    return this.#observed && [this.#observed()];
  }
}

/** Facts about the process, which do not change. */
export class Info implements Values {
  readonly #labels: readonly string[];
  #values: readonly string[] | null = null;

  /** Creates the facts, which are not set. */
  constructor({ labels }: Pick<Definition, "labels">) {
    this.#labels = labels;
  }

  /** Sets the facts, in the order of the labels. */
  set(...values: readonly string[]): void {
    if (values.length !== this.#labels.length) {
      throw new RangeError(`Cannot set facts: expected ${this.#labels.length}`);
    }
    this.#values = values;
  }

  /** The facts, by name; `null` if they are not set in this isolate. */
  get facts(): Record<string, string> | null {
    const values = this.#values;
    return values && Object.fromEntries(this.#labels.map((label, i) => [label, values[i]!]));
  }

  /** Returns 1; `null` if the facts are not set in this isolate. */
  read(): number[] | null {
    return this.#values && [1];
  }
}

/** A distribution: the number of values up to each bound, and their sum. */
export class Histogram implements Values {
  readonly #bounds: readonly number[];
  /** Number of values up to each bound that are above the one before; last, those beyond all. */
  readonly #counts: number[];
  #sum = 0;
  #sink: ((value: number) => void) | null = null;

  /** Creates a distribution without values. */
  constructor({ bounds }: Pick<HistogramDefinition, "bounds">) {
    this.#bounds = bounds;
    this.#counts = new Array(bounds.length + 1).fill(0);
  }

  /** Counts a value. */
  record(value: number): void {
    let index = 0;
    while (index < this.#bounds.length && value > this.#bounds[index]!) index++;
    this.#counts[index]!++;
    this.#sum += value;
    this.#sink?.(value);
  }

  /** Passes each value on as well: a meter cannot be given a distribution. */
  forward(sink: (value: number) => void): void {
    this.#sink = sink;
  }

  /** Returns the counts between the bounds, and then the sum. */
  read(): number[] {
    return [...this.#counts, this.#sum];
  }
}
