/**
 * Results as Markdown tables.
 *
 * @module
 */

import { median, ratio, spread } from "./statistics.ts";
import type { Column, Goal, Result, Work } from "./work.ts";

/** Values of a column, turn by turn; `null` for a turn that failed. */
function valuesOf({ turns }: Result, { value }: { value: string }): (number | null)[] {
  return turns.map((sample) => typeof sample === "string" ? null : sample[value] ?? null);
}

/** Formats a number in the form of its column. */
function format(value: number, { digits = 0 }: Column): string {
  const options = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return value.toLocaleString("en-US", options);
}

/** Formats the median and the spread of values. */
export function formatValues(values: readonly (number | null)[], column: Column): string {
  const known = values.filter((value) => value !== null);
  if (known.length === 0) return "–";
  const middle = format(median(known), column);
  const [least, greatest] = spread(known).map((value) => format(value, column));
  return least === greatest ? middle : `${middle} (${least}–${greatest})`;
}

/** Formats a ratio with two or three significant digits. */
export function formatRatio(value: number): string {
  if (!Number.isFinite(value)) return "–";
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** First entry of the group of a result, to which the others are compared. */
function firstOf(results: readonly Result[], group: string): Result {
  return results.find(({ entry }) => entry.group === group)!;
}

/** Name of the first entry of all groups, or `first` if they differ. */
function firstName(results: readonly Result[]): string {
  const names = new Set(results.map(({ entry }) => firstOf(results, entry.group).entry.name));
  return names.size === 1 ? [...names][0]! : "first";
}

/** Row of the table of a workload. */
function row(work: Work, results: readonly Result[], result: Result): string[] {
  const { entry } = result;
  const head = [...entry.group === "" ? [] : [entry.group], entry.name, entry.promises];
  const failures = result.turns.filter((sample) => typeof sample === "string");
  if (entry.missing !== null || failures.length === result.turns.length) {
    const why = entry.missing === null
      ? `failed: ${failures[0]}`
      : `not run here: ${entry.missing}`;
    return [...head, why.replaceAll(/[|\n]/g, " "), ...work.columns.map(() => "")];
  }
  const [first] = work.columns;
  const own = valuesOf(firstOf(results, entry.group), first!);
  const remark = failures.length > 0 ? ` (${failures.length} turns failed: ${failures[0]})` : "";
  return [
    ...head,
    ...work.columns.map((column) => formatValues(valuesOf(result, column), column)),
    formatRatio(ratio(own, valuesOf(result, first!))) + remark.replaceAll(/[|\n]/g, " "),
  ];
}

/** Lines that say whether a goal is reached, one for each group that it is for. */
export function formatGoal(work: Work, results: readonly Result[], goal: Goal): string[] {
  const groups = new Set(results.map(({ entry }) => entry.group));
  return [...groups].filter((group) => goal.group === undefined || goal.group === group).flatMap(
    (group) => {
      const own = firstOf(results, group);
      const other = results.find(({ entry }) =>
        entry.group === group && entry.name.startsWith(goal.to) && entry !== own.entry
      );
      const values = valuesOf(own, goal);
      const value = goal.to === ""
        ? median(values.filter((value) => value !== null))
        : other
        ? ratio(values, valuesOf(other, goal))
        : NaN;
      if (Number.isNaN(value)) return [];
      const isMet = value >= (goal.atLeast ?? -Infinity) && value <= (goal.atMost ?? Infinity);
      const bound = goal.atLeast === undefined ? `≤ ${goal.atMost}` : `≥ ${goal.atLeast}`;
      const name = work.columns.find((column) => column.value === goal.value)?.heading;
      const [times, to] = goal.to === "" ? ["", ""] : [" ×", ` × ${other!.entry.name}`];
      return [
        `- ${isMet ? "met" : "MISSED"}: ${group && `${group}: `}${name ?? goal.value}, ` +
        `${bound}${to}: ${formatRatio(value)}${times}`,
      ];
    },
  );
}

/** Formats a table with columns of equal width. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, index) =>
    Math.max(3, ...rows.map((row) => [...row[index] ?? ""].length))
  );
  const line = (cells: readonly string[]) =>
    `| ${
      widths.map((width, index) => {
        const cell = cells[index] ?? "";
        return cell + " ".repeat(width - [...cell].length);
      }).join(" | ")
    } |`;
  const [head, ...body] = rows;
  return [line(head!), line(widths.map((width) => "-".repeat(width))), ...body.map(line)]
    .join("\n");
}

/** Line about what else the machine did meanwhile, in cores; `null` if it was not measured. */
export function formatNoise(results: readonly Result[]): string | null {
  const values = results.flatMap((result) => valuesOf(result, { value: "otherCpu" }))
    .filter((value) => value !== null);
  if (values.length === 0) return null;
  const [middle, most] = [median(values), Math.max(...values)].map((value) => value.toFixed(2));
  return `Other programs used ${middle} cores meanwhile, ${most} at most.`;
}

/** Formats the results of a workload: title, table, goals, remarks. */
export function formatWork(work: Work, results: readonly Result[]): string {
  const hasGroups = results.some(({ entry }) => entry.group !== "");
  const head = [
    ...hasGroups ? ["Load"] : [],
    "Server",
    "Promises",
    ...work.columns.map(({ heading }) => heading),
    `${firstName(results)} ÷ it`,
  ];
  const rows = results.map((result) => row(work, results, result));
  const noise = formatNoise(results);
  const goals = work.goals.flatMap((goal) => formatGoal(work, results, goal));
  return [
    `### (${work.letter}) ${work.title}`,
    formatTable([head, ...rows]),
    ...goals.length > 0 ? [goals.join("\n")] : [],
    ...noise === null ? [] : [noise],
    ...work.remark === undefined ? [] : [work.remark],
  ].join("\n\n");
}
