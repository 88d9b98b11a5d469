/** Entity tags (RFC 9110, section 8.8.3), and what a message's `etag` field has to do with them. */
import { invalidArgument } from "#mesh/errors.ts";

/** One entity tag of a header. */
export interface EntityTag {
  readonly weak: boolean;
  /** What stands between the quotes. */
  readonly opaque: string;
}

/** What If-Match or If-None-Match says: any representation, or one of these. */
export type TagCondition = "*" | readonly EntityTag[];

/**
 * The ETag of a field's text; undefined for the empty one. The text is the tag, whatever it is: what no tag can hold, a quote
 * above all, is percent-encoded, so that `tagText` gives the same text back. A text that is a weak tag stays one.
 */
export function entityTagOf(text: string): string | undefined {
  if (text === "" || weakTag.test(text)) return text === "" ? undefined : text;
  return `"${text.replace(/[^\x21\x23\x24\x26-\x7e]/gu, encodeURIComponent)}"`;
}

/** The field's text that a strong tag stands for. */
export function tagText({ opaque }: EntityTag): string {
  try {
    return decodeURIComponent(opaque);
  } catch {
    return opaque;
  }
}

/**
 * Reads If-Match or If-None-Match.
 *
 * @throws INVALID_ARGUMENT that names the header.
 */
export function readTags(name: "if-match" | "if-none-match", value: string): TagCondition {
  if (value.trim() === "*") return "*";
  const tags: EntityTag[] = [];
  tagPattern.lastIndex = 0;
  while (tagPattern.lastIndex < value.length) {
    const found = tagPattern.exec(value);
    if (found === null) {
      const description = `expected "*" or entity tags in double quotes, got ${JSON.stringify(value.slice(0, 100))}`;
      throw invalidArgument([{ field: `header ${name}`, description }]);
    }
    if (found[2] !== undefined) tags.push({ weak: found[1] !== undefined, opaque: found[2] });
  }
  return tags;
}

/** Strong comparison: equal, and neither is weak. `current` undefined: there is no current tag. */
export function matchesStrongly(condition: TagCondition, current: string | undefined): boolean {
  if (condition === "*") return true;
  const tag = current === undefined ? undefined : parse(current);
  return tag !== undefined && !tag.weak && condition.some(({ weak, opaque }) => !weak && opaque === tag.opaque);
}

/** Weak comparison: equal, however weak. */
export function matchesWeakly(condition: TagCondition, current: string | undefined): boolean {
  if (condition === "*") return true;
  const tag = current === undefined ? undefined : parse(current);
  return tag !== undefined && condition.some(({ opaque }) => opaque === tag.opaque);
}

const weakTag = /^W\/"[\x21\x23-\x7e]*"$/;

/** A tag or an empty element of a list, up to the comma after it. */
const tagPattern = /[ \t]*(?:(W\/)?"([\x21\x23-\x7e\x80-\xff]*)")?[ \t]*(?:,|$)/y;

function parse(tag: string): EntityTag {
  const weak = tag.startsWith("W/");
  return { weak, opaque: tag.slice(weak ? 3 : 1, -1) };
}
