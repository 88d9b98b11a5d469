/** Content negotiation by quality values (RFC 9110, section 12.5). */

/**
 * The offer that an Accept header likes best; among equals the one that is offered first. The first offer when there is no
 * header; undefined when the header takes none of them.
 */
export function preferredType<T extends string>(accept: string | undefined, offers: readonly T[]): T | undefined {
  if (accept === undefined || accept.trim() === "") return offers[0];
  const ranges = weights(accept);
  let best: { offer: T; quality: number } | undefined;
  for (const offer of offers) {
    const [type = ""] = offer.split("/");
    const quality = ranges.get(offer) ?? ranges.get(`${type}/*`) ?? ranges.get("*/*") ?? 0;
    if (quality > 0 && quality > (best?.quality ?? 0)) best = { offer, quality };
  }
  return best?.offer;
}

/** The content coding that an Accept-Encoding header likes best, of those offered; undefined: send it as it is. */
export function preferredEncoding<T extends string>(accept: string | undefined, offers: readonly T[]): T | undefined {
  if (accept === undefined) return undefined;
  const codings = weights(accept);
  let best: { offer: T; quality: number } | undefined;
  for (const offer of offers) {
    const quality = codings.get(offer) ?? codings.get("*") ?? 0;
    if (quality > 0 && quality > (best?.quality ?? 0)) best = { offer, quality };
  }
  return best?.offer;
}

/** `name;q=0.5` by name in lower case; other parameters do not matter here. */
function weights(header: string): Map<string, number> {
  const found = new Map<string, number>();
  for (const item of header.split(",").slice(0, 100)) {
    const [name = "", ...parameters] = item.split(";").map((part) => part.trim().toLowerCase());
    const quality = parameters
      .map((parameter) => /^q=([01](?:\.\d{0,3})?)$/.exec(parameter)?.[1])
      .find((value) => value !== undefined);
    if (name !== "") found.set(name, quality === undefined ? 1 : Math.min(1, Number(quality)));
  }
  return found;
}
