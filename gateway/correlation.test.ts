import assert from "node:assert/strict";
import { clientOf, correlationIdOf } from "./correlation.ts";

describe("gateway/correlation", () => {
  it("keeps an id of letters, digits, dots, hyphens and underscores", () => {
    assert.equal(correlationIdOf({ "x-correlation-id": "Ab.9_-" }), "Ab.9_-");
  });

  for (const id of ["", "a b", "a\nb", "é", "{}", "x".repeat(129)]) {
    it(`replaces ${JSON.stringify(id.slice(0, 20))} by a UUID`, () => {
      assert.match(correlationIdOf({ "x-correlation-id": id }), /^[0-9a-f-]{36}$/);
    });
  }

  const addresses: [forwarded: string | undefined, hops: number, address: string][] = [
    [undefined, 0, "10.0.0.9"],
    ["1.1.1.1", 0, "10.0.0.9"],
    ["6.6.6.6, 1.1.1.1", 1, "1.1.1.1"],
    ["6.6.6.6, 1.1.1.1, 2.2.2.2", 2, "1.1.1.1"],
    ["1.1.1.1", 2, "1.1.1.1"],
    ["2001:db8::1", 1, "2001:db8::1"],
    ["<script>", 1, "10.0.0.9"],
    [undefined, 1, "10.0.0.9"],
  ];
  for (const [forwarded, hops, address] of addresses) {
    it(`takes the client of X-Forwarded-For: ${forwarded} behind ${hops} proxies to be ${address}`, () => {
      assert.equal(
        clientOf(forwarded === undefined ? {} : { "x-forwarded-for": forwarded }, "::ffff:10.0.0.9", hops).address,
        address,
      );
    });
  }
});
