/** What ties the log lines of one request together: the correlation id, and the trace. */
import { randomUUID } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";

/**
 * The request's X-Correlation-ID when it is 1 to 128 letters, digits, dots, hyphens and underscores, and a new UUID
 * otherwise: the id goes into logs and headers, so it must not carry anything else into them.
 */
export function correlationIdOf(headers: IncomingHttpHeaders): string {
  const given = headers["x-correlation-id"];
  return typeof given === "string" && /^[A-Za-z0-9._-]{1,128}$/.test(given) ? given : randomUUID();
}

/** Where the request came from, and with which program. */
export interface ClientOfRequest {
  readonly address: string;
  readonly userAgent: string;
}

/**
 * The client of a request: the peer of the socket, or with `trustedHops` proxies in front the entry that the outermost of
 * them wrote into X-Forwarded-For. Entries further left could be anybody's invention.
 */
export function clientOf(headers: IncomingHttpHeaders, peer: string | undefined, trustedHops: number): ClientOfRequest {
  const forwarded = headers["x-forwarded-for"];
  const entries =
    forwarded === undefined
      ? []
      : String(forwarded)
          .split(",")
          .map((entry) => entry.trim());
  const trusted = trustedHops === 0 ? undefined : entries.at(-Math.min(trustedHops, Math.max(1, entries.length)));
  const address = trusted !== undefined && /^[0-9A-Fa-f.:[\]]{2,50}$/.test(trusted) ? trusted : (peer ?? "");
  const userAgent = (headers["user-agent"] ?? "").replace(/[^\x20-\x7e]/g, "?").slice(0, 300);
  return { address: address.replace(/^::ffff:/, ""), userAgent };
}
