/** How an answer is written where the contract leaves a choice. */
import type { Route } from "./routes.ts";

/**
 * The route as this request wants its answer: `Accept: application/json;emitDefaults=true` writes the fields that hold their
 * default too, `emitDefaults=false` leaves them out, and without the parameter the gateway's own option counts. A media type's
 * parameter, and not one of the query, since it is the same resource in another form.
 */
export function shapeFor(route: Route, accept: string | undefined, emitDefaults = false): Route {
  const asked = accept === undefined ? undefined : /[^,]*;\s*emitDefaults\s*=\s*"?(true|false)\b/i.exec(accept)?.[1];
  const wanted = asked === undefined ? emitDefaults : asked.toLowerCase() === "true";
  return wanted ? { ...route, emitDefaults: true } : route;
}
