/** Which side answers a request while a monolith is being taken apart: the services behind this gateway, or the monolith. */
import { createHash } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";

/** What goes to the monolith. */
export interface MonolithShare {
  /** Path prefixes such as `/api/v1/orders`: they and what is below them. */
  readonly prefixes: readonly string[];
  /** Of the clients that ask for paths which exist here too: so many of a hundred. */
  readonly percent: number;
}

/** The cookie that holds a client without credentials to its side. */
export const sideCookie = "heddle-side";

/** Whether the path is under one of the prefixes. */
export function isUnder(prefixes: readonly string[], path: string): boolean {
  return prefixes.some(
    (prefix) => prefix === "/" || path === prefix || path.startsWith(prefix.endsWith("/") ? prefix : `${prefix}/`),
  );
}

/** A client's place among a hundred, and where it is known from. */
export interface Place {
  /** From 0 to 99. Below the percentage: the monolith's. */
  readonly place: number;
  /** True: the client should be told to remember it. */
  readonly isNew: boolean;
}

/**
 * The place of a client, the same for every request of it: by whom it signs in as, else by the cookie from the last answer, else
 * by its address. The token is not verified for this: who forges one chooses a side, and nothing else.
 */
export function placeOf(headers: IncomingHttpHeaders, address: string): Place {
  const principal = subjectOf(headers.authorization) ?? one(headers["x-api-key"]);
  if (principal !== undefined) return { place: hundredth(principal), isNew: false };
  const remembered = new RegExp(`(?:^|;\\s*)${sideCookie}=(\\d{1,2})(?:;|$)`).exec(headers.cookie ?? "")?.[1];
  if (remembered !== undefined) return { place: Number(remembered), isNew: false };
  return { place: hundredth(address), isNew: true };
}

/** The `sub` of a bearer token, so that a new token leaves its user where it was; the header itself when it is no JWT. */
function subjectOf(authorization: string | undefined): string | undefined {
  if (authorization === undefined) return undefined;
  const payload = /^Bearer +[\w-]+\.([\w-]+)\.[\w-]*$/i.exec(authorization)?.[1];
  try {
    const { sub } = JSON.parse(Buffer.from(payload ?? "", "base64url").toString()) as { sub?: unknown };
    return typeof sub === "string" ? sub : authorization;
  } catch {
    return authorization;
  }
}

function hundredth(text: string): number {
  return createHash("sha256").update(text).digest().readUInt32BE(0) % 100;
}

function one(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}
