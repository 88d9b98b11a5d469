/** Where a backend says that it made something: the Location of a 201 or 202. */

/** The metadata by which a backend names what it made. */
const locationHeader = "location";

/**
 * The Location header of an answer. A backend names a path of this gateway, `/api/v1/items/7`, or an http or https URL; anything
 * else is dropped, for it comes from the backend and goes into a header.
 */
export function locationOf(status: number, metadata: Headers): Record<string, string> {
  const location = metadata.get(locationHeader);
  if (location === null || (status !== 201 && status !== 202)) return {};
  const sound = /^(\/(?!\/)|https?:\/\/[^/])[\x21-\x7e]*$/.test(location) || location === "/";
  return sound ? { location } : {};
}
