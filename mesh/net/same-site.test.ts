import assert from "node:assert/strict";
import { hostname } from "node:os";
import { crossSiteProblem } from "./same-site.ts";

describe("crossSiteProblem", () => {
  for (const host of ["127.0.0.1:8500", "[::1]:8500", "localhost:8500", "LOCALHOST", hostname(), "consul:8500"]) {
    it(`a request to the host ${host} passes, for the known name consul`, () => {
      assert.equal(crossSiteProblem("PUT", { host }, ["consul"]), undefined);
    });
  }

  for (const host of ["evil.example:8500", "localhost.evil.example", "127.0.0.1.evil.example:8500", "", "a b", undefined]) {
    it(`a GET to the host ${host} is refused`, () => {
      assert.match(crossSiteProblem("GET", { host }, ["consul"]) ?? "", /^host: expected/);
    });
  }

  for (const origin of [
    "https://evil.example",
    "http://127.0.0.1:3000",
    "http://localhost:8500",
    "null",
    "file://127.0.0.1:8500",
  ]) {
    it(`a PUT, POST or DELETE to 127.0.0.1:8500 with the origin ${origin} is refused, a GET passes`, () => {
      const headers = { host: "127.0.0.1:8500", origin };
      for (const method of ["PUT", "POST", "DELETE"]) {
        assert.equal(crossSiteProblem(method, headers, []), `origin: "${origin}" may not write here`);
      }
      assert.equal(crossSiteProblem("GET", headers, []), undefined);
    });
  }

  it("a PUT with the listener's own origin passes", () => {
    assert.equal(crossSiteProblem("PUT", { host: "127.0.0.1:8500", origin: "http://127.0.0.1:8500" }, []), undefined);
  });
});
