/** Going on with an event stream that broke (https://html.spec.whatwg.org/multipage/server-sent-events.html, "Last-Event-ID"). */
import type { IncomingHttpHeaders } from "node:http";
import { lastEventId } from "./metadata.ts";

/**
 * Takes `last-event-id` out of a query, for clients that cannot set the header, and sets the header to it unless there is one.
 * Returns the rest of the query.
 */
export function takeLastEventId(headers: IncomingHttpHeaders, query: string): string {
  const rest: string[] = [];
  for (const parameter of query.split("&")) {
    const [name, value = ""] = parameter.split(/=(.*)/s);
    if (name !== lastEventId) rest.push(parameter);
    else headers[lastEventId] ??= decoded(value);
  }
  return rest.join("&");
}

/**
 * How many events came before the first one of an answer. A backend that goes on after the event that the client had last says so
 * by giving its id back as metadata `last-event-id`; without that the stream is a new one, and its ids begin at 1.
 */
export function eventsBefore(asked: string | string[] | undefined, answer: Headers | undefined): number {
  const resumed = asked !== undefined && answer?.get(lastEventId) === asked && /^\d{1,15}$/.test(asked);
  return resumed ? Number(asked) : 0;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return text;
  }
}
