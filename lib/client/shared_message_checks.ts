/**
 * Checks of the messages between a tab and the worker. Both are of one origin, but not always of one
 * deployment: a page that was loaded before it may meet a newer worker, and the reverse.
 *
 * @module
 */

import {
  type JoinMessage,
  MAX_PIPELINES,
  type SharedEvent,
  type TabMessage,
  VERSION,
  type WorkerMessage,
} from "./shared_messages.ts";

type Check = (value: unknown) => boolean;

/** Members of a union that have a type. */
type OfType<Union, Type> = Union extends { type: infer Types } ? Type extends Types ? Union : never
  : never;

/** Checks of all members of each message, by its type. */
type Forms<Union extends { type: string }> = {
  [Type in Union["type"]]: { [Name in Exclude<keyof OfType<Union, Type>, "type">]: Check };
};

const isText: Check = (value) => typeof value === "string";
const isTextOrMissing: Check = (value) => value === undefined || isText(value);
const isNumber: Check = (value) => Number.isFinite(value);
const isNumberOrNull: Check = (value) => value === null || isNumber(value);
const isFlag: Check = (value) => typeof value === "boolean";
const isTexts: Check = (value) => Array.isArray(value) && value.every(isText);
const isPositions: Check = (value) => value instanceof Map && [...value].flat().every(isText);

const EVENTS: Forms<SharedEvent> = {
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

const isEvents: Check = (value) =>
  Array.isArray(value) && value.every((event) => hasForm(event, EVENTS));

const TAB_MESSAGES: Forms<TabMessage> = {
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

const WORKER_MESSAGES: Forms<WorkerMessage> = {
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

/** Whether the other end has introduced itself with another version of the messages. */
export function isOfOtherVersion(data: unknown): boolean {
  const { type, version } = (data ?? {}) as { type?: unknown; version?: unknown };
  return (type === "hello" || type === "welcome") && version !== VERSION;
}

/** Whether a message has the form of those of a tab. */
export function isTabMessage(data: unknown): data is TabMessage {
  if (!hasForm(data, TAB_MESSAGES)) return false;
  const message = data as TabMessage;
  return message.type !== "join" || isComplete(message);
}

/** Whether a message has the form of those of the worker. */
export function isWorkerMessage(data: unknown): data is WorkerMessage {
  return hasForm(data, WORKER_MESSAGES);
}

/** Whether a tab has joined with one to ten pipelines, and tells its position in each. */
function isComplete({ pipelines, positions }: JoinMessage): boolean {
  return pipelines.length > 0 && pipelines.length <= MAX_PIPELINES &&
    pipelines.every((pipeline) => positions.has(pipeline));
}

function isServiceUrl(value: unknown): boolean {
  try {
    return isText(value) && /^https?:$/.test(new URL(value as string).protocol);
  } catch {
    return false;
  }
}

function hasForm(data: unknown, forms: Record<string, Record<string, Check>>): boolean {
  if (typeof data !== "object" || data === null) return false;
  const members = data as Record<string, unknown>;
  const type = `${members["type"]}`;
  return Object.hasOwn(forms, type) &&
    Object.entries(forms[type]!).every(([name, isValid]) => isValid(members[name]));
}
