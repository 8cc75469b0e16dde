/**
 * The form of what a stream gets out of one log: the syntax, and whether its pipeline is
 * one of several.
 *
 * @module
 */

import { formatEventId, formatGapId, joinEventIds, type Position } from "../protocol/mod.ts";
import type { EncodedEvent } from "./encoded_event.ts";
import { EVENT_STREAM, type JoinedPlace, JSON_LINES, placeOf, type Syntax } from "./syntax.ts";

/** Form of the events of one pipeline. */
export interface StreamForm {
  /** The same for forms that give events of one pipeline the same bytes now. */
  readonly key: string;
  /** Returns the bytes of an event, in parts. */
  event(event: EncodedEvent, epoch: string): readonly Uint8Array[];
  /** Returns the bytes of a control event whose ID is a position. */
  control(position: Position, type: string, data: Record<string, unknown>): Uint8Array;
  /**
   * Called when all events up to a position were sent or passed over. Before, a client that
   * comes back gets the history of the pipeline, as if that were new to it.
   *
   * @param at Has the position, which most forms do not read: it is made when it is read.
   */
  reached(at: { readonly position: Position }): void;
  /** Called if the client has to be told of a gap before the history that begins at a position. */
  hasGap(position: Position): void;
  /** Returns the ID of a position, as the stream has it. */
  id(position: Position): string;
}

/** The form of a stream of one pipeline. There is one for each syntax, so that streams share bytes. */
class SingleForm implements StreamForm {
  readonly key: string;
  readonly #syntax: Syntax;
  readonly #traces: boolean;

  constructor(syntax: Syntax, traces: boolean) {
    this.key = `${syntax.key}${traces ? " traces" : ""}`;
    this.#syntax = syntax;
    this.#traces = traces;
  }

  event(event: EncodedEvent, epoch: string): readonly Uint8Array[] {
    return this.#syntax.event(event, epoch, this.#traces);
  }

  control(position: Position, type: string, data: Record<string, unknown>): Uint8Array {
    return this.#syntax.control({ id: formatEventId(position), type, data });
  }

  reached(): void {}

  hasGap(): void {}

  id(position: Position): string {
    return formatEventId(position);
  }
}

/** Stands for the ID of an event among those of the other pipelines. No ID has it. */
const OWN_ID = "*";

/** A place, and the key of the forms that have it. */
type KeyedPlace = JoinedPlace & { key: string };

/**
 * The form of one pipeline on a stream of several. Each ID is that of the event, joined
 * with the positions that the stream has reached in the other pipelines: a client comes
 * back with one ID for all of them. A pipeline of which it has nothing yet has no part.
 *
 * Streams of the same pipelines share their bytes while they are at the same positions in
 * the others, as those are that are open at one URL and caught up.
 */
class JoinedForm implements StreamForm {
  readonly #pipeline: string;
  readonly #syntax: Syntax;
  readonly #traces: boolean;
  /** The forms of all pipelines of the stream, in the order of their IDs. */
  readonly #all: readonly JoinedForm[];
  #position: Position | null = null;
  /** Its part of the IDs; `null` for none. */
  #id: string | null = null;
  /** Its place, until another pipeline moves. */
  #knownPlace: KeyedPlace | null = null;

  constructor(
    pipeline: string,
    { syntax, traces, all }: { syntax: Syntax; traces: boolean; all: readonly JoinedForm[] },
  ) {
    this.#pipeline = pipeline;
    this.#syntax = syntax;
    this.#traces = traces;
    this.#all = all;
  }

  /** Has the IDs of the other pipelines, in their order around those of its own. */
  get key(): string {
    return this.#place.key;
  }

  event(event: EncodedEvent, epoch: string): readonly Uint8Array[] {
    return this.#syntax.event(event, epoch, this.#traces, this.#place);
  }

  control(position: Position, type: string, data: Record<string, unknown>): Uint8Array {
    return this.#syntax.control({ id: this.id(position), type, data, pipeline: this.#pipeline });
  }

  reached({ position }: { readonly position: Position }): void {
    const { epoch, sequence } = this.#position ?? {};
    if (sequence === position.sequence && epoch === position.epoch) return;
    this.#position = position;
    this.#setId(formatEventId(position));
  }

  hasGap(position: Position): void {
    this.#setId(formatGapId(position));
  }

  #setId(id: string): void {
    this.#id = id;
    for (const form of this.#all) if (form !== this) form.#knownPlace = null;
  }

  id(position: Position): string {
    const { idBefore, idAfter } = this.#place;
    return `${idBefore}${formatEventId(position)}${idAfter}`;
  }

  get #place(): KeyedPlace {
    return this.#knownPlace ??= this.#findPlace();
  }

  #findPlace(): KeyedPlace {
    const ids = this.#all.map((form) => form === this ? OWN_ID : form.#id);
    const joined = joinEventIds(ids.filter((id) => id !== null));
    const [before, after] = joined.split(OWN_ID) as [string, string];
    const key = `${this.#syntax.key}${this.#traces ? " traces" : ""} ${joined}`;
    return { ...placeOf(this.#pipeline, before, after), key };
  }
}

/** Form of an event stream of one pipeline. */
export const EVENT_FORM: StreamForm = new SingleForm(EVENT_STREAM, false);

const SINGLE_FORMS = [
  EVENT_FORM,
  new SingleForm(EVENT_STREAM, true),
  new SingleForm(JSON_LINES, false),
  new SingleForm(JSON_LINES, true),
];

/**
 * Returns the form of each pipeline of a stream.
 *
 * @param pipelines IDs of the pipelines, in the order of their event IDs.
 * @param traces Whether events carry their traces.
 * @param joined Whether the pipelines are told apart, even if there is only one.
 */
export function formsOf(
  pipelines: readonly string[],
  { syntax, traces, joined }: { syntax: Syntax; traces: boolean; joined: boolean },
): StreamForm[] {
  if (!joined) return [SINGLE_FORMS[(syntax === EVENT_STREAM ? 0 : 2) + (traces ? 1 : 0)]!];
  const all: JoinedForm[] = [];
  for (const pipeline of pipelines) all.push(new JoinedForm(pipeline, { syntax, traces, all }));
  return all;
}
