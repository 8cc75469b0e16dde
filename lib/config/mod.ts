/**
 * Reads the settings of the environment.
 *
 * @module
 */

export type { AccessConfig } from "./access_config.ts";
export { type Config, readConfig, SETTING_NAMES } from "./config.ts";
