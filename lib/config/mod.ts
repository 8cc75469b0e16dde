/**
 * Reads the settings of the environment.
 *
 * @module
 */

export {
  ACCESS_SETTINGS,
  type AccessConfig,
  MAX_SESSION_MS,
  MAX_TICKET_MS,
  MAX_TOKEN_LENGTH,
} from "./access_config.ts";
export {
  type Config,
  readConfig,
  readEnvironment,
  type SettingName,
  type Settings,
} from "./config.ts";
export { describeConfig } from "./description.ts";
export type { Environment, Integer, Names, Setting, SettingTable, Values } from "./setting.ts";
export { SETTINGS } from "./settings.ts";
