/**
 * A setting, and tables of settings, from which the configuration follows.
 *
 * @module
 */

import { RunnelError } from "../base/mod.ts";

/** Environment variables by name. An empty text counts as not set. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A setting: an environment variable, and the value that it stands for. */
export interface Setting<Name extends string = string, Value = unknown> {
  /** Name of the environment variable. */
  readonly name: Name;
  /** Value if the variable is not set. */
  readonly default: Value;
  /** Value if the variable is not set on Deno Deploy. */
  readonly deployDefault: Value;
  /** Accepted values, in Markdown. */
  readonly accepts: string;
  /** Unit of the value, or an empty text. */
  readonly unit: string;
  /** Meaning, in Markdown. */
  readonly doc: string;
  /** Whether the value must not be shown. */
  readonly isSecret: boolean;
  /**
   * Reads and validates the value.
   *
   * @throws {RunnelError} `invalid-setting`, with the name, the accepted values,
   *   and the value unless it is secret.
   */
  read(environment: Environment): Value;
}

/** A setting that is a whole number. */
export type Integer<Name extends string> = Setting<Name, number>;

/** Options for {@linkcode setting}. */
export interface SettingOptions<Value> {
  /** Value if the variable is not set. */
  default: Value;
  /** Value if the variable is not set on Deno Deploy. @default {default} */
  deployDefault?: Value;
  /** Accepted values, in Markdown. */
  accepts: string;
  /** Accepted values as errors name them. @default {accepts}, without its backticks. */
  expected?: string;
  /** Unit of the value. @default {""} */
  unit?: string;
  /** Meaning, in Markdown. */
  doc: string;
  /** Whether errors must not show the value. @default {false} */
  isSecret?: boolean;
}

/** Options for {@linkcode integer}. */
export interface IntegerOptions
  extends Omit<SettingOptions<number>, "accepts" | "expected" | "isSecret"> {
  /** Smallest value: a number, or the value of another setting. */
  min: number | Integer<string>;
  /** Largest value. */
  max: number;
}

/** A table of settings, by their keys in the configuration. */
export type SettingTable = Readonly<Record<string, Setting>>;

/** The configuration that follows from a table. */
export type Values<Table extends SettingTable> = {
  readonly [Key in keyof Table]: ReturnType<Table[Key]["read"]>;
};

/** The names of the environment variables of a table. */
export type Names<Table extends SettingTable> = Table[keyof Table]["name"];

/** Whether the environment is that of Deno Deploy, which sets this variable itself. */
export function isOnDeploy(environment: Environment): boolean {
  return Boolean(environment["DENO_DEPLOYMENT_ID"]);
}

/** Creates a setting. `parse` returns `null` for an invalid text, and never gets an empty one. */
export function setting<const Name extends string, Value>(
  name: Name,
  options: SettingOptions<Value>,
  parse: (text: string) => Value | null,
): Setting<Name, Value> {
  const { accepts, expected = accepts.replaceAll("`", ""), unit = "", doc, isSecret = false } =
    options;
  // Deno Deploy may have a default of `undefined`.
  const deployDefault = "deployDefault" in options ? options.deployDefault : options.default;
  return {
    name,
    default: options.default,
    deployDefault,
    accepts,
    unit,
    doc,
    isSecret,
    read(environment) {
      const text = environment[name];
      if (!text) return isOnDeploy(environment) ? deployDefault : options.default;
      const value = parse(text);
      if (value !== null) return value;
      const problem = isSecret
        ? `${name}: expected ${expected}`
        : `${name} is ${JSON.stringify(text)}, expected ${expected}`;
      throw new RunnelError("invalid-setting", `Cannot start: ${problem}`);
    },
  };
}

/** Creates a setting that is a whole number. */
export function integer<const Name extends string>(
  name: Name,
  { min, max, ...options }: IntegerOptions,
): Integer<Name> {
  if (typeof min !== "number") {
    const above = (min: number) => integer(name, { ...options, min, max });
    return {
      ...above(0),
      accepts: `\`${min.name}\` to ${group(max)}`,
      read: (environment) => above(min.read(environment)).read(environment),
    };
  }
  return setting(name, {
    ...options,
    accepts: `${group(min)} to ${group(max)}`,
    expected: `a whole number from ${min} to ${max}`,
  }, (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : NaN;
    return value >= min && value <= max ? value : null;
  });
}

/**
 * Returns a whole number with a comma before each thousand. `toLocaleString()` does so as
 * well, but its first call loads the data of the language, which delays the start.
 */
function group(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** Creates a setting that is one of some words. */
export function choice<const Name extends string, const Word extends string>(
  name: Name,
  words: readonly Word[],
  options: Omit<SettingOptions<Word>, "accepts" | "expected">,
): Setting<Name, Word> {
  const quoted = words.map((word) => `\`${word}\``);
  return setting(name, {
    ...options,
    accepts: `${quoted.slice(0, -1).join(", ")} or ${quoted.at(-1)}`,
  }, (text) => words.find((word) => word === text) ?? null);
}

/** Reads and validates all settings of a table. */
export function readAll<Table extends SettingTable>(
  table: Table,
  environment: Environment,
): Values<Table> {
  const values = Object.entries(table).map(([key, setting]) => [key, setting.read(environment)]);
  return Object.fromEntries(values) as Values<Table>;
}

/** The names of the environment variables of a table, in its order. */
export function namesOf<Table extends SettingTable>(table: Table): Names<Table>[] {
  return Object.values(table).map(({ name }) => name);
}
