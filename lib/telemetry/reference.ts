/**
 * The table of all instruments in this folder's README. Run it after a change of
 * the table in `instruments.ts`: `deno run -A lib/telemetry/reference.ts`.
 *
 * @module
 */

import type { Definition } from "./definition.ts";
import { ENTRIES } from "./metrics.ts";
import { metricName } from "./open_metrics.ts";

const README = new URL("./README.md", import.meta.url);

/** Returns the README with its table replaced by that of the instruments. */
export function updateReference(readme: string): string {
  return readme.replace(/(?<=\n## Instruments\n(?:(?!\n## )[^])*?\n)(?:\|.*\n)+/, formatTable);
}

/** Returns a table of Markdown in the format of `deno fmt`. */
function formatTable(): string {
  const rows = [
    ["Name in OpenMetrics", "Name in OpenTelemetry", "Kind", "Unit", "Labels", "Meaning"],
    ...ENTRIES.map(([, definition]) => [
      `\`${nameOnPage(definition)}\``,
      `\`${definition.name}\``,
      definition.kind === "info" ? "gauge" : definition.kind,
      definition.unit,
      labelsOf(definition),
      definition.doc,
    ]),
  ];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const lines = rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column]!)));
  lines.splice(1, 0, widths.map((width) => "-".repeat(width)));
  return lines.map((cells) => `| ${cells.join(" | ")} |\n`).join("");
}

function nameOnPage(definition: Definition): string {
  return metricName(definition) + (definition.kind === "counter" ? "_total" : "");
}

function labelsOf({ kind, label, labels }: Definition): string {
  if (kind === "info") return labels.map((name) => `\`${name}\``).join(", ");
  return label === null ? "" : `\`${label}\``;
}

if (import.meta.main) {
  await Deno.writeTextFile(README, updateReference(await Deno.readTextFile(README)));
}
