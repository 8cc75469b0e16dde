/**
 * Events with their times as a document: as JSON, or as lines of JSON (NDJSON). Payloads are
 * JSON text already, and stay as they were sent, but for the line separators of Unicode in lines.
 *
 * @module
 */

import type { Gap } from "../hub/mod.ts";
import {
  type AcceptedEvent,
  END_CHANNEL,
  escapeLineSeparators,
  formatEventId,
  type Position,
  type RunEnd,
} from "../protocol/mod.ts";

/** Form of a document with events. */
export type EventListFormat = "json" | "ndjson";

/** Facts that a document tells besides its events. */
export interface EventListFacts {
  /** Position at which it ends. */
  position: Position;
  /** The events that are missing before those of the document; `null` if none are. */
  gap?: Gap | null | undefined;
  /** The end of the run; `null` while it goes on. */
  end?: RunEnd | null | undefined;
}

const encoder = new TextEncoder();

const MEDIA_TYPES: Record<EventListFormat, string> = {
  json: "application/json",
  ndjson: "application/x-ndjson",
};

/** Returns the form that a client asks for in its header `Accept`. */
export function formatOf(accept: string | undefined): EventListFormat {
  return accept?.toLowerCase().includes(MEDIA_TYPES.ndjson) ? "ndjson" : "json";
}

/** Returns the media type of a form. */
export function mediaTypeOfList(format: EventListFormat): string {
  return MEDIA_TYPES[format];
}

/** A document, part by part: its beginning, its events, its end. */
export class EventList {
  readonly #isJson: boolean;
  #hasEvents = false;
  /** Parts that were not taken, … */
  #parts: Uint8Array[] = [];
  /** … and the text after them. */
  #text: string;

  /** @param pipeline Pipeline of the events. */
  constructor(format: EventListFormat, pipeline: string) {
    this.#isJson = format === "json";
    this.#text = this.#isJson ? `{"pipeline":"${pipeline}","events":[` : "";
  }

  /** Adds the events that are missing, as a line. In JSON they are told at the end. */
  addGap(gap: Gap, position: Position): void {
    if (!this.#isJson) this.#addLine(position, "runnel.gap", gap);
  }

  /** Adds events of a log. */
  add(epoch: string, events: readonly AcceptedEvent[]): void {
    for (const { sequence, channel, time, payload } of events) {
      const id = formatEventId({ epoch, sequence });
      const rest = JSON.stringify({ id, channel, time: new Date(time) });
      this.#text += `${this.#isJson && this.#hasEvents ? "," : ""}${rest.slice(0, -1)},"payload":`;
      const parts = [encoder.encode(this.#text), payload];
      // Some programs that read lines would take the separators of Unicode for the ends of lines.
      this.#parts.push(...this.#isJson ? parts : parts.map(escapeLineSeparators));
      this.#text = this.#isJson ? "}" : "}\n";
      this.#hasEvents = true;
    }
  }

  /** Ends the document. */
  end({ position, gap, end }: EventListFacts): void {
    const { epoch } = position;
    if (!this.#isJson) {
      if (!end) return;
      const { sequence, events } = end;
      return this.#addLine({ epoch, sequence }, END_CHANNEL, { events });
    }
    const facts = JSON.stringify({
      ...gap && { gap },
      ...end && {
        end: { id: formatEventId({ epoch, sequence: end.sequence }), events: end.events },
      },
      lastEventId: formatEventId(position),
    });
    this.#text += `],${facts.slice(1)}`;
  }

  #addLine(position: Position, channel: string, payload: unknown): void {
    this.#text += `${JSON.stringify({ id: formatEventId(position), channel, payload })}\n`;
  }

  /** Returns the bytes of all that was added since the last call. */
  take(): Uint8Array<ArrayBuffer> {
    const parts = [...this.#parts, encoder.encode(this.#text)];
    this.#parts = [];
    this.#text = "";
    const bytes = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
    let offset = 0;
    for (const part of parts) {
      bytes.set(part, offset);
      offset += part.length;
    }
    return bytes;
  }
}
