/**
 * The items of one JSON array, found without reading them. Pure.
 *
 *     array = ws "[" [ item { "," item } ] "]" ws       item: any bytes, with brackets and braces in pairs outside of strings
 *
 * What an item holds is for JSON.parse to judge: one that is no JSON does not keep the next from being found.
 */
import { CellError } from "./cell.ts";

/** Where items are, and where to go on. */
export interface Items {
  readonly items: readonly { readonly start: number; readonly end: number }[];
  /** Behind the last whole item and its comma; the bytes from there on are to be read again, with more. */
  readonly next: number;
  /** Whether the array ended. */
  readonly ended: boolean;
}

const [quote, backslash, comma] = [0x22, 0x5c, 0x2c];
const [openBracket, closeBracket, openBrace, closeBrace] = [0x5b, 0x5d, 0x7b, 0x7d];

/** Finds them. `first`: the bytes begin with the array's own bracket. @throws CellError when they do not. */
export function itemsOf(bytes: Uint8Array, first: boolean): Items {
  let at = 0;
  if (first) {
    at = skipBlanks(bytes, 0);
    if (at >= bytes.length) return { items: [], next: 0, ended: false };
    if (bytes[at] !== openBracket) throw new CellError("expected one array of objects; for an object a line, the format is NDJSON");
    at++;
  }
  const items: { start: number; end: number }[] = [];
  let next = at;
  let start = at;
  let depth = 0;
  let inString = false;
  const push = (end: number): void => {
    if (skipBlanks(bytes, start) < end) items.push({ start: skipBlanks(bytes, start), end });
  };
  for (; at < bytes.length; at++) {
    const byte = bytes[at];
    if (inString) {
      if (byte === backslash) at++;
      else if (byte === quote) inString = false;
    } else if (byte === quote) inString = true;
    else if (byte === openBracket || byte === openBrace) depth++;
    else if (byte === closeBrace) depth = Math.max(0, depth - 1);
    else if (byte === closeBracket && depth > 0) depth--;
    else if (depth === 0 && (byte === comma || byte === closeBracket)) {
      push(at);
      start = at + 1;
      next = start;
      if (byte === closeBracket) return { items, next: afterArray(bytes, next), ended: true };
    }
  }
  return { items, next, ended: false };
}

function afterArray(bytes: Uint8Array, at: number): number {
  const end = skipBlanks(bytes, at);
  if (end < bytes.length) throw new CellError("expected nothing behind the array; for an object a line, the format is NDJSON");
  return end;
}

function skipBlanks(bytes: Uint8Array, from: number): number {
  let at = from;
  while (at < bytes.length && (bytes[at] === 0x20 || bytes[at] === 0x0a || bytes[at] === 0x0d || bytes[at] === 0x09)) at++;
  return at;
}
