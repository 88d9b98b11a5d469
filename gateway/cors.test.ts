import assert from "node:assert/strict";
import { corsHeaders, preflightHeaders } from "./cors.ts";

const some = { origins: ["https://a.example"] };

describe("gateway/cors", () => {
  it("says nothing without origins", () => {
    assert.deepEqual(corsHeaders(undefined, { origin: "https://a.example" }), {});
    assert.deepEqual(corsHeaders({ origins: [] }, { origin: "https://a.example" }), {});
  });

  it("lets a listed origin in, and only varies for others", () => {
    const headers = corsHeaders(some, { origin: "https://a.example" });
    assert.equal(headers["access-control-allow-origin"], "https://a.example");
    assert.equal(headers.vary, "Origin");
    for (const origin of ["https://b.example", "https://a.example.evil", "null"]) {
      assert.deepEqual(corsHeaders(some, { origin }), { vary: "Origin" });
    }
  });

  it("lets every origin in by *", () => {
    assert.equal(corsHeaders({ origins: ["*"] }, { origin: "https://b.example" })["access-control-allow-origin"], "*");
  });

  it("answers a preflight with the path's methods and the headers asked for", () => {
    const asked = {
      origin: "https://a.example",
      "access-control-request-method": "PUT",
      "access-control-request-headers": "authorization, x-api-key",
    };
    assert.deepEqual(preflightHeaders(some, asked, ["GET", "PUT"]), {
      "access-control-allow-methods": "GET, PUT",
      "access-control-allow-headers": "authorization, x-api-key",
      "access-control-max-age": "600",
    });
  });

  it("takes an OPTIONS request without Access-Control-Request-Method for no preflight", () => {
    assert.equal(preflightHeaders(some, { origin: "https://a.example" }, ["GET"]), undefined);
  });
});
