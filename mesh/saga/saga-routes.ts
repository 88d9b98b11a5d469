import { invalidArgument, notFound } from "#mesh/errors.ts";
import type { AdminRoute } from "#mesh/server/admin-route.ts";
import type { Sagas } from "./saga.ts";
import { type SagaStatus, sagaStatuses } from "./saga-state.ts";

/**
 * The sagas on the admin listener:
 *
 * | route | answer |
 * |---|---|
 * | GET /sagas?status=&name=&page_size=&page_token= | `{"sagas", "nextPageToken"}`, newest first |
 * | GET /sagas/{id} | `{"saga", "log"}`: the saga and every attempt |
 * | POST /sagas/{id}/retry | `{"saga"}`, which tries again now |
 */
export function sagaRoutes(sagas: Sagas): readonly AdminRoute[] {
  return [
    {
      method: "GET",
      path: "/sagas",
      handle: ({ query }) => {
        const status = statusOf(query.get("status") ?? "");
        const name = query.get("name") ?? "";
        const pageSize = pageSizeOf(query.get("page_size") ?? "");
        return sagas.list({
          ...(status === undefined ? {} : { status }),
          ...(name === "" ? {} : { name }),
          ...(pageSize === undefined ? {} : { pageSize }),
          pageToken: query.get("page_token") ?? "",
        });
      },
    },
    {
      method: "GET",
      path: "/sagas/{id}",
      async handle({ params: { id = "" } }) {
        const saga = await sagas.get(id);
        if (saga === undefined) throw notFound("saga", id);
        return { saga, log: await sagas.log(id) };
      },
    },
    { method: "POST", path: "/sagas/{id}/retry", handle: async ({ params: { id = "" } }) => ({ saga: await sagas.retry(id) }) },
  ];
}

function statusOf(text: string): SagaStatus | undefined {
  if (text === "") return undefined;
  const status = sagaStatuses.find((one) => one === text.toUpperCase());
  if (status === undefined) throw invalidArgument([{ field: "status", description: `expected ${sagaStatuses.join(", ")}` }]);
  return status;
}

function pageSizeOf(text: string): number | undefined {
  if (text === "") return undefined;
  if (/^\d{1,4}$/.test(text) && Number(text) >= 1 && Number(text) <= 1000) return Number(text);
  throw invalidArgument([{ field: "page_size", description: "expected a whole number from 1 to 1000" }]);
}
