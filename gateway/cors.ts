/** Cross-origin requests of browsers (https://fetch.spec.whatwg.org/#http-cors-protocol). */
import type { IncomingHttpHeaders } from "node:http";

/** Which pages may call. */
export interface CorsOptions {
  /** Origins such as `https://app.example.com`, or `*` for every one. Empty: none. */
  readonly origins: readonly string[];
  /** Seconds that a browser may remember the answer to a preflight. Default 600. */
  readonly maxAgeSeconds?: number;
}

/** The headers on every answer to a request with an Origin; none when the origin may not call. */
export function corsHeaders(options: CorsOptions | undefined, headers: IncomingHttpHeaders): Record<string, string> {
  const { origin } = headers;
  if (options === undefined || options.origins.length === 0) return {};
  const vary = options.origins.includes("*") ? {} : { vary: "Origin" };
  if (origin === undefined || !isAllowed(options, origin)) return vary;
  return {
    ...vary,
    // Credentials travel in Authorization and X-API-Key, which pages set themselves, so cookies are never asked for.
    "access-control-allow-origin": options.origins.includes("*") ? "*" : origin,
    "access-control-expose-headers": exposed,
  };
}

/** The headers that answer a preflight beside those of `corsHeaders`; undefined when the request is no preflight. */
export function preflightHeaders(
  options: CorsOptions | undefined,
  headers: IncomingHttpHeaders,
  allow: readonly string[],
): Record<string, string> | undefined {
  const { origin } = headers;
  const asked = headers["access-control-request-method"];
  if (options === undefined || origin === undefined || asked === undefined || !isAllowed(options, origin)) return undefined;
  const wanted = headers["access-control-request-headers"] ?? "";
  return {
    "access-control-allow-methods": allow.join(", "),
    ...(/^[\w, -]+$/.test(wanted) ? { "access-control-allow-headers": wanted } : {}),
    "access-control-max-age": String(options.maxAgeSeconds ?? 600),
  };
}

const exposed = [
  ...["X-Correlation-ID", "Retry-After", "RateLimit", "RateLimit-Policy", "WWW-Authenticate", "ETag", "Content-Range"],
  ...["Location", "Age", "Cache-Status", "Deprecation", "Sunset", "Link"],
  ...["Grpc-Status", "Grpc-Message", "Grpc-Status-Details-Bin"],
].join(", ");

function isAllowed({ origins }: CorsOptions, origin: string): boolean {
  return origins.includes("*") || origins.includes(origin);
}
