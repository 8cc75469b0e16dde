/**
 * Media types of request bodies.
 *
 * @module
 */

/** Maximum length of a media type that an error names, in UTF-16 units. */
const MAX_TYPE_LENGTH = 60;

/** Returns the media type of a `Content-Type`, without parameters; empty without one. */
export function mediaTypeOf(contentType: string | null): string {
  return (contentType ?? "").split(";")[0]!.trim().toLowerCase();
}

/** Returns a media type for an error. */
export function quoteMediaType(type: string): string {
  return type === "" ? "none" : type.slice(0, MAX_TYPE_LENGTH);
}
