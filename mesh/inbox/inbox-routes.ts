import { notFound } from "#mesh/errors.ts";
import type { AdminRoute } from "#mesh/server/admin-route.ts";
import type { Inbox } from "./inbox.ts";

/**
 * The inbox on the admin listener:
 *
 * | route | answer |
 * |---|---|
 * | GET /inbox | `{"parked"}`: the events that were refused for good, with the reason |
 * | POST /inbox/{id}/retry | handles a parked event again |
 */
export function inboxRoutes(inbox: Inbox): readonly AdminRoute[] {
  return [
    {
      method: "GET",
      path: "/inbox",
      handle: async () => ({ parked: (await inbox.parked()).map((event) => ({ ...event, offset: String(event.offset) })) }),
    },
    {
      method: "POST",
      path: "/inbox/{id}/retry",
      async handle({ params: { id = "" } }) {
        if (!uuid.test(id) || !(await inbox.retry(id))) throw notFound("parked event", id);
        return { id, retried: true };
      },
    },
  ];
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
