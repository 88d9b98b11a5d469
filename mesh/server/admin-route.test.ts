import assert from "node:assert/strict";
import { failedPrecondition, notFound } from "#mesh/errors.ts";
import { type AdminRoute, answerOf, routesAt } from "./admin-route.ts";

const route = (method: "GET" | "POST", path: string): AdminRoute => ({ method, path, handle: async (request) => request.params });

describe("admin routes", () => {
  const routes = [route("GET", "/sagas"), route("GET", "/sagas/{id}"), route("POST", "/sagas/{id}/retry")];

  for (const [path, expected] of [
    ["/sagas", { GET: {} }],
    ["/sagas/a%2Fb", { GET: { id: "a/b" } }],
    ["/sagas/x/retry", { POST: { id: "x" } }],
    ["/sagas/", undefined],
    ["/sagas/%", undefined],
    ["/sagas/x/y", undefined],
    ["/", undefined],
  ] as const) {
    it(`${path} leads to ${JSON.stringify(expected)}`, () => {
      const found = routesAt(routes, path);
      const seen =
        found === undefined ? undefined : Object.fromEntries([...found].map(([method, { params }]) => [method, params]));
      assert.deepEqual(seen, expected);
    });
  }

  it("answer with what they return, with the status of a refusal, and throw what is none", async () => {
    const answer = (handle: AdminRoute["handle"]) =>
      answerOf({ route: { ...route("GET", "/"), handle }, params: {} }, new URLSearchParams());
    assert.deepEqual(await answer(async () => ({ a: 1 })), { status: 200, value: { a: 1 } });
    const missing = await answer(() => Promise.reject(notFound("saga", "x")));
    assert.deepEqual(missing, { status: 404, value: { error: 'saga "x" does not exist' } });
    const ended = await answer(() => Promise.reject(failedPrecondition("SAGA_ENDED", "it has ended")));
    assert.deepEqual(ended, { status: 400, value: { error: "it has ended" } });
    await assert.rejects(
      answer(() => Promise.reject(new Error("a defect"))),
      /a defect/,
    );
  });
});
