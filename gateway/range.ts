/** Which part of a body a request wants (RFC 9110, section 14): one range of bytes, of answers that are whole in memory. */

/** What a request says about ranges. */
export interface RangeRequest {
  /** The Range header. */
  readonly range: string | undefined;
  /** The If-Range header. */
  readonly ifRange: string | undefined;
}

/** What to send: all of it, the bytes from `start` to `end` (both included), or a 416. */
export type Part =
  | { readonly kind: "whole" }
  | { readonly kind: "part"; readonly start: number; readonly end: number }
  | { readonly kind: "unsatisfiable" };

const whole: Part = { kind: "whole" };

/**
 * The part of a body of `length` bytes with the entity tag `etag`, if it has one.
 *
 * A Range of another unit, of several ranges, or malformed is ignored, as the standard allows. If-Range holds only when it is the
 * same strong tag; a date there never does, since no answer of the gateway has a Last-Modified.
 */
export function partOf({ range, ifRange }: RangeRequest, length: number, etag: string | undefined): Part {
  if (range === undefined) return whole;
  if (ifRange !== undefined && (ifRange.trim() !== etag || etag.startsWith("W/"))) return whole;
  const match = /^bytes[ \t]*=[ \t]*(\d{0,15})-(\d{0,15})[ \t]*$/i.exec(range);
  if (match === null || (match[1] === "" && match[2] === "")) return whole;
  const [first, last] = [match[1] ?? "", match[2] ?? ""];
  if (first === "") {
    const count = Math.min(Number(last), length);
    return count === 0 ? { kind: "unsatisfiable" } : { kind: "part", start: length - count, end: length - 1 };
  }
  if (last !== "" && Number(last) < Number(first)) return whole;
  if (Number(first) >= length) return { kind: "unsatisfiable" };
  return { kind: "part", start: Number(first), end: last === "" ? length - 1 : Math.min(Number(last), length - 1) };
}

/** An entity tag as it stands in a header (RFC 9110, section 8.8.3); undefined for a text that is none. */
export function entityTag(text: string | null | undefined): string | undefined {
  return text !== null && text !== undefined && /^(W\/)?"[\x21\x23-\x7e]*"$/.test(text) ? text : undefined;
}
