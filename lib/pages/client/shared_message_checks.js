/* @ts-self-types="../../client/shared_message_checks.ts" */
// @ts-nocheck: built from lib/client/shared_message_checks.ts by "deno task build".

import { MAX_PIPELINES, VERSION } from "./shared_messages.js";

const isText = (value) => typeof value === "string";
const isTextOrMissing = (value) => value === undefined || isText(value);
const isNumber = (value) => Number.isFinite(value);
const isNumberOrNull = (value) => value === null || isNumber(value);
const isFlag = (value) => typeof value === "boolean";
const isTexts = (value) => Array.isArray(value) && value.every(isText);
const isPositions = (value) => value instanceof Map && [...value].flat().every(isText);

const EVENTS = {
  event: { pipeline: isText, id: isText, channel: isText, data: isText },
  gap: {
    pipeline: isText,
    id: isText,
    after: isText,
    upTo: isText,
    missed: isNumberOrNull,
    reason: isText,
  },
  end: { pipeline: isText, id: isText, events: isNumber },
};

const isEvents = (value) => Array.isArray(value) && value.every((event) => hasForm(event, EVENTS));

const TAB_MESSAGES = {
  hello: { version: isNumber, lock: isText },
  join: {
    join: isNumber,
    url: isServiceUrl,
    pipelines: isTexts,
    channels: isTexts,
    token: isTextOrMissing,
    share: isTextOrMissing,
    positions: isPositions,
    hasStream: isFlag,
  },
  acknowledge: { feed: isNumber, count: isNumber, length: isNumber },
  leave: {},
  retry: {},
  bye: {},
};

const WORKER_MESSAGES = {
  welcome: { version: isNumber, lock: isText },
  where: {},
  poke: {},
  alone: { join: isNumber },
  down: { join: isNumber, reason: isText },
  feed: { feed: isNumber, positions: isPositions },
  events: { feed: isNumber, events: isEvents },
  positions: { feed: isNumber, positions: isPositions },
  live: { feed: isNumber },
  stop: { feed: isNumber, reason: isText, isPlanned: isFlag },
};

export function isOfOtherVersion(data) {
  const { type, version } = data ?? {};
  return (type === "hello" || type === "welcome") && version !== VERSION;
}

export function isTabMessage(data) {
  if (!hasForm(data, TAB_MESSAGES)) return false;
  const message = data;
  return message.type !== "join" || isComplete(message);
}

export function isWorkerMessage(data) {
  return hasForm(data, WORKER_MESSAGES);
}

function isComplete({ pipelines, positions }) {
  return pipelines.length > 0 && pipelines.length <= MAX_PIPELINES &&
    pipelines.every((pipeline) => positions.has(pipeline));
}

function isServiceUrl(value) {
  try {
    return isText(value) && /^https?:$/.test(new URL(value).protocol);
  } catch {
    return false;
  }
}

function hasForm(data, forms) {
  if (typeof data !== "object" || data === null) return false;
  const members = data;
  const type = `${members["type"]}`;
  return Object.hasOwn(forms, type) &&
    Object.entries(forms[type]).every(([name, isValid]) => isValid(members[name]));
}
