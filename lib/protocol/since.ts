/**
 * The time from which on a client wants events: a date, or a duration before now.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc3339}
 * @module
 */

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Maximum duration, in milliseconds: a hundred years. */
const MAX_DURATION_MS = 36_500 * DAY_MS;

/** Date and time of RFC 3339. In a query, the plus sign of an offset may arrive as a space. */
const DATE = new RegExp(
  "^(\\d{4}-\\d\\d)-(\\d\\d)[Tt]((?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d)(\\.\\d{1,9})?" +
    "(?:[Zz]|([+ -])((?:[01]\\d|2[0-3]):[0-5]\\d))$",
);

const NUMBER = "(\\d{1,12}(?:[.,]\\d{1,9})?)";

/** Duration of ISO 8601, in weeks, or in days, hours, minutes and seconds. */
const DURATION = new RegExp(
  `^P(?:${NUMBER}W|(?=.)(?:${NUMBER}D)?(?:T(?=.)(?:${NUMBER}H)?(?:${NUMBER}M)?(?:${NUMBER}S)?)?)$`,
);

const UNITS_MS = [7 * DAY_MS, DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS];

/**
 * Reads a date and time of RFC 3339, or a duration of ISO 8601 before now. Years and months
 * of a duration are not taken, because their lengths differ. A duration counts from a whole
 * second, so that those who ask within a second ask for the same.
 *
 * @param now The time now, in milliseconds since the Unix epoch. A later date is taken for now.
 * @returns The time, in milliseconds since the Unix epoch; `null` if the text is neither.
 *
 * @example A date, and the last ten minutes
 * ```ts
 * import { strictEqual as equal } from "node:assert/strict";
 *
 * const now = Date.parse("2026-01-02T03:04:05.678Z");
 * equal(readSince("2026-01-02T03:00:00+01:00", now), Date.parse("2026-01-02T02:00:00Z"));
 * equal(readSince("PT10M", now), Date.parse("2026-01-02T02:54:05Z"));
 * equal(readSince("P1M", now), null);
 * ```
 */
export function readSince(text: string, now: number): number | null {
  const date = readDate(text);
  if (date !== null) return Math.min(date, now);
  const ms = readDuration(text);
  return ms === null ? null : Math.floor((now - ms) / SECOND_MS) * SECOND_MS;
}

function readDate(text: string): number | null {
  const match = DATE.exec(text);
  if (!match) return null;
  const [, month, day, time, fraction = "", sign, offset] = match;
  const zone = offset ? `${sign === "-" ? "-" : "+"}${offset}` : "Z";
  const date = Date.parse(`${month}-${day}T${time}${fraction.slice(0, 4)}${zone}`);
  // The last day of its month is not exceeded: otherwise it is read as one of the next.
  const isDay = new Date(`${month}-${day}T00:00:00Z`).getUTCDate() === Number(day);
  return isDay ? date : null;
}

/** Reads a duration, in milliseconds. */
function readDuration(text: string): number | null {
  const match = DURATION.exec(text);
  if (!match) return null;
  const parts = match.slice(1);
  // A fraction is that of the smallest part.
  const smallest = parts.findLastIndex((part) => part !== undefined);
  let ms = 0;
  for (const [index, part] of parts.entries()) {
    if (part === undefined) continue;
    if (/[.,]/.test(part) && index !== smallest) return null;
    ms += Number(part.replace(",", ".")) * UNITS_MS[index]!;
  }
  return ms > MAX_DURATION_MS ? null : ms;
}
