/** What keeps web pages away from HTTP listeners without credentials: DNS rebinding (a foreign Host) and cross-site requests. */
import { isIP } from "node:net";
import { hostname } from "node:os";

/** The headers that tell, as node:http gives them. */
export interface SiteHeaders {
  readonly host?: string | undefined;
  readonly origin?: string | undefined;
}

/**
 * Why the request is refused, in one sentence, or undefined. A browser that is led here by a name of the attacker's sends that name as
 * Host, so only IP addresses, `localhost`, this machine's name and the `known` names pass. A page of another origin can have a browser
 * send a write without reading its answer, but not without an Origin, so a write with an Origin other than the Host's own is refused.
 *
 * @param known the names, beside those, by which this listener is reached.
 */
export function crossSiteProblem(method: string, { host, origin }: SiteHeaders, known: readonly string[]): string | undefined {
  const url = host === undefined ? undefined : URL.parse(`http://${host}`);
  if (url === undefined || url === null) return "host: expected the name and port of this listener";
  const name = url.hostname.replace(/^\[|\]$/g, "");
  const names = ["localhost", hostname(), ...known].map((one) => one.toLowerCase());
  if (isIP(name) === 0 && !names.includes(name)) {
    return `host: expected an IP address, localhost or a name of this listener, got ${JSON.stringify(name.slice(0, 200))}`;
  }
  if (origin === undefined || method === "GET" || method === "HEAD" || method === "OPTIONS") return undefined;
  if (URL.parse(origin)?.host === url.host && /^https?:/i.test(origin)) return undefined;
  return `origin: ${JSON.stringify(origin.slice(0, 200))} may not write here`;
}
