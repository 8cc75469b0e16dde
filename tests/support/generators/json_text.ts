/**
 * A model of the JSON texts that the service should store: an independent parser,
 * to compare with its scanner. A text is stored as it was sent, without the space
 * between its tokens.
 *
 * @module
 */

/** Depth from which on a value is no longer inspected. */
const MAX_LEVELS = 1000;

/** Value with its text. */
interface Parsed {
  text: string;
  /** Members of an object: the last value of each key. */
  members?: Map<string, Parsed>;
  items?: Parsed[];
}

/** Event as `POST /ingest` should parse it. */
export interface ExpectedEvent {
  channel: string;
  payload: string;
}

/** Returns the text that the service should store for a payload; `null` for invalid JSON. */
export function expectedPayload(text: string): string | null {
  return attempt(() => parse(text).text);
}

/** Returns the events that the service should store for a valid body; `null` for invalid JSON. */
export function expectedEvents(text: string, isNdjson: boolean): ExpectedEvent[] | null {
  return attempt(() => {
    const values = isNdjson
      ? text.split("\n").filter((line) => line.trim() !== "").map(parse)
      : parsedItems(parse(text));
    return values.map(({ members }) => ({
      channel: JSON.parse(members!.get("channel")!.text),
      payload: members!.get("payload")!.text,
    }));
  });
}

function parsedItems(value: Parsed): Parsed[] {
  return value.items ?? [value];
}

function attempt<T>(read: () => T): T | null {
  try {
    return read();
  } catch {
    return null;
  }
}

function parse(text: string): Parsed {
  let at = 0;
  let levels = 0;
  const value = readValue();
  if (at < text.length) skip(/[ \t\r\n]*/y);
  if (at !== text.length) throw new SyntaxError("more than a value");
  return value;

  function skip(pattern: RegExp): string {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (!match) throw new SyntaxError(`expected ${pattern} at ${at}`);
    at += match[0].length;
    return match[0];
  }

  function take(character: string): boolean {
    skip(/[ \t\r\n]*/y);
    if (text[at] !== character) return false;
    at++;
    return true;
  }

  function expect(character: string): void {
    if (!take(character)) throw new SyntaxError(`expected ${character} at ${at}`);
  }

  /** Returns the text of a string, with its quotes. */
  function readString(): string {
    skip(/[ \t\r\n]*/y);
    const text = skip(/"[^"\\]*(?:\\[^][^"\\]*)*"/y);
    JSON.parse(text);
    return text;
  }

  function readValue(): Parsed {
    if (levels > MAX_LEVELS) return passOver();
    levels++;
    try {
      return readShallow();
    } finally {
      levels--;
    }
  }

  /** Skips a value that is too deep: it is rejected or replaced, so its text is not needed. */
  function passOver(): Parsed {
    let inside = 0;
    do {
      skip(/[^"{}[\]]*/y);
      if (text[at] === '"') readString();
      else inside += "{[".includes(text[at++] ?? "]") ? 1 : -1;
    } while (inside > 0);
    return { text: "too deep" };
  }

  function readShallow(): Parsed {
    if (take("{")) return readObject();
    if (take("[")) return readArray();
    if (text[at] === '"') return { text: readString() };
    return { text: skip(/true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y) };
  }

  function readArray(): Parsed {
    const items: Parsed[] = [];
    if (!take("]")) {
      do items.push(readValue()); while (take(","));
      expect("]");
    }
    return { items, text: `[${items.map((item) => item.text).join(",")}]` };
  }

  function readObject(): Parsed {
    const members = new Map<string, Parsed>();
    const parts: string[] = [];
    if (!take("}")) {
      do {
        const key = readString();
        expect(":");
        const value = readValue();
        members.set(JSON.parse(key), value);
        parts.push(`${key}:${value.text}`);
      } while (take(","));
      expect("}");
    }
    return { members, text: `{${parts.join(",")}}` };
  }
}
