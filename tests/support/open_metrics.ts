/**
 * Reads a page of metrics as a scraper does, and refuses what the OpenMetrics format
 * does not allow.
 *
 * @see {@link https://prometheus.io/docs/specs/om/open_metrics_spec/}
 * @module
 */

import { match, ok, strictEqual as equal } from "node:assert/strict";

const NAME = "[a-z_][a-z0-9_]*";
const SAMPLE = new RegExp(
  `^(${NAME})(\\{${NAME}="(?:[^"\\\\\\n]|\\\\.)*"(?:,${NAME}="(?:[^"\\\\\\n]|\\\\.)*")*\\})? (\\S+)$`,
);
const SUFFIXES: Record<string, RegExp> = {
  counter: /^_total$/,
  gauge: /^$/,
  histogram: /^_(bucket|count|sum)$/,
};

/** Samples of a page by their names with labels, such as `runnel_gaps_total{reason="evicted"}`. */
export type Samples = Map<string, number>;

/** Reads a page. */
export function readOpenMetrics(page: string): Samples {
  const lines = page.split("\n");
  equal(lines.pop(), "", "the last line ends");
  equal(lines.pop(), "# EOF");
  const samples: Samples = new Map();
  const families = new Set<string>();
  let family = "";
  let type = "";
  for (const line of lines) {
    const [, keyword, name, rest] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? [];
    if (keyword === "HELP") {
      family = name!;
      ok(!families.has(family), `${family} comes twice`);
      families.add(family);
    } else if (keyword === "TYPE") {
      equal(name, family);
      type = rest!;
      ok(type in SUFFIXES, type);
    } else {
      const [, sample, labels = "", value] = SAMPLE.exec(line) ?? [];
      ok(sample?.startsWith(family), line);
      match(sample!.slice(family.length), SUFFIXES[type]!);
      ok(!Number.isNaN(Number(value)), line);
      ok(!samples.has(sample + labels), `${line} comes twice`);
      samples.set(sample + labels, Number(value));
    }
  }
  return samples;
}
