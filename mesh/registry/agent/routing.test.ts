import assert from "node:assert/strict";
import { findRoute, type Route } from "./routing.ts";

describe("the agent's routes", () => {
  const answer = () => ({ status: 200 });
  const routes: Route[] = [
    { method: "GET", path: "/v1/agent/service/:id", answer },
    { method: "PUT", path: "/v1/agent/service/register", answer },
    { method: "GET", path: "/v1/kv/*", answer },
    { method: "PUT", path: "/v1/kv/*", answer },
  ];
  const found = (method: string, path: string) => {
    const match = findRoute(routes, method, path);
    return match.route === undefined ? { methods: match.methods } : { path: match.route.path, params: match.params };
  };

  it("GET /v1/agent/service/a%2Fb finds the id a/b", () => {
    assert.deepEqual(found("GET", "/v1/agent/service/a%2Fb"), { path: "/v1/agent/service/:id", params: { id: "a/b" } });
  });

  it("PUT /v1/kv/a%20b/c%2Fd finds the key a b/c/d", () => {
    assert.deepEqual(found("PUT", "/v1/kv/a%20b/c%2Fd"), { path: "/v1/kv/*", params: { "*": "a b/c/d" } });
  });

  it("GET /v1/kv/ finds the empty key", () => {
    assert.deepEqual(found("GET", "/v1/kv/"), { path: "/v1/kv/*", params: { "*": "" } });
  });

  it("POST /v1/kv/a names the methods that there are", () => {
    assert.deepEqual(found("POST", "/v1/kv/a"), { methods: ["GET", "PUT"] });
  });

  it("GET /v1/agent/service/a/b finds nothing", () => {
    assert.deepEqual(found("GET", "/v1/agent/service/a/b"), { methods: [] });
  });

  it("a bad escape is an URIError: /v1/kv/%ff", () => {
    assert.throws(() => findRoute(routes, "GET", "/v1/kv/%ff"), URIError);
  });
});
