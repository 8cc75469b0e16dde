/**
 * The reference of all settings in this folder's README. Run it after a change
 * of a table: `deno run -A lib/config/reference.ts`.
 *
 * @module
 */

import { ACCESS_SETTINGS } from "./access_config.ts";
import type { Setting, SettingTable } from "./setting.ts";
import { SETTINGS } from "./settings.ts";

const README = new URL("./README.md", import.meta.url);

/** Returns the README with its tables replaced by those of the settings. */
export function updateReference(readme: string): string {
  return replaceTable(replaceTable(readme, "Settings", SETTINGS), "Access", ACCESS_SETTINGS);
}

function replaceTable(readme: string, heading: string, settings: SettingTable): string {
  const table = new RegExp(`(?<=\n## ${heading}\n(?:(?!\n## )[^])*?\n)(?:\\|.*\n)+`);
  return readme.replace(table, () => formatTable(settings));
}

/** Returns a table of Markdown in the format of `deno fmt`. */
function formatTable(settings: SettingTable): string {
  const rows = [
    ["Name", "Default", "Accepts", "Unit", "Meaning"],
    ...Object.values(settings).map((setting) => [
      `\`${setting.name}\``,
      formatDefaults(setting),
      setting.accepts,
      setting.unit,
      setting.doc,
    ]),
  ];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const lines = rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column]!)));
  lines.splice(1, 0, widths.map((width) => "-".repeat(width)));
  return lines.map((cells) => `| ${cells.join(" | ")} |\n`).join("");
}

function formatDefaults(setting: Setting): string {
  const [value, onDeploy] = [setting.default, setting.deployDefault].map(formatValue);
  return value === onDeploy ? value! : `${value}, on Deno Deploy ${onDeploy}`;
}

function formatValue(value: unknown): string {
  const text = String(value ?? "");
  if (text === "") return "none";
  return typeof value === "number" ? text : `\`${text}\``;
}

if (import.meta.main) {
  await Deno.writeTextFile(README, updateReference(await Deno.readTextFile(README)));
}
