import { notFound } from "#mesh/errors.ts";
import type { AdminRoute } from "#mesh/server/admin-route.ts";
import type { Outbox } from "./outbox.ts";

/**
 * The outbox on the admin listener:
 *
 * | route | answer |
 * |---|---|
 * | GET /outbox | `{"waiting", "parked"}`: how many events wait, and those that the receiver refused for good, with the reason |
 * | POST /outbox/{id}/retry | publishes a parked event again, after all that waits of its key |
 */
export function outboxRoutes(outbox: Outbox): readonly AdminRoute[] {
  return [
    {
      method: "GET",
      path: "/outbox",
      handle: async () => ({ waiting: await outbox.waiting(), parked: await outbox.parked() }),
    },
    {
      method: "POST",
      path: "/outbox/{id}/retry",
      async handle({ params: { id = "" } }) {
        if (!uuid.test(id) || !(await outbox.retry(id))) throw notFound("parked event", id);
        return { id, retried: true };
      },
    },
  ];
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
