/** Page tokens: where the next page of a list begins, opaque to the client. */
import { invalidArgument } from "#mesh/errors.ts";

/** The size of a page when `page_size` is 0. */
export const defaultPageSize = 50;

/** The `next_page_token` for the sort key of a page's last row, for example `[createTime, id]`. Opaque, not secret. */
export function encodePageToken(position: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(position.map(String))).toString("base64url");
}

/**
 * The sort key that a `page_token` carries, each part as a text; undefined for "", the first page. A store that casts a part (to a
 * timestamp, to a uuid) must expect any text there: a client can make its own tokens.
 *
 * @throws INVALID_ARGUMENT naming page_token when the token was not made by encodePageToken.
 */
export function decodePageToken(token: string): string[] | undefined {
  if (token === "") return undefined;
  const position = parse(token);
  if (position === undefined) throw badPageToken();
  return position;
}

/** The error for a token that reads well but does not fit the list: for stores that check the parts. */
export function badPageToken(): Error {
  return invalidArgument([{ field: "page_token", description: "expected the next_page_token of an earlier page" }]);
}

function parse(token: string): string[] | undefined {
  if (!/^[A-Za-z0-9_-]+$/.test(token)) return undefined;
  try {
    const value: unknown = JSON.parse(Buffer.from(token, "base64url").toString("utf8"));
    // PostgreSQL takes no NUL in a text, and a position is never empty.
    const good =
      Array.isArray(value) && value.length > 0 && value.every((part) => typeof part === "string" && !part.includes("\0"));
    return good ? value : undefined;
  } catch {
    return undefined;
  }
}
