import assert from "node:assert/strict";
import { Code, ConnectError } from "@connectrpc/connect";
import { decodePageToken, encodePageToken } from "./page.ts";

describe("page tokens", () => {
  it("carry the position there and back as texts", () => {
    const token = encodePageToken(["2026-01-01T00:00:00.000Z", 42, 'ü"']);
    assert.match(token, /^[A-Za-z0-9_-]+$/);
    assert.deepEqual(decodePageToken(token), ["2026-01-01T00:00:00.000Z", "42", 'ü"']);
  });

  it('"" is the first page', () => assert.equal(decodePageToken(""), undefined));

  for (const bad of [
    "x",
    "%%%",
    "e30",
    "W10",
    "WzFd",
    Buffer.from('["a\\u0000"]').toString("base64url"),
    "null",
    "a".repeat(500),
  ]) {
    it(`${JSON.stringify(bad.slice(0, 20))} is INVALID_ARGUMENT naming page_token`, () => {
      assert.throws(
        () => decodePageToken(bad),
        (error) =>
          error instanceof ConnectError && error.code === Code.InvalidArgument && error.rawMessage.startsWith("page_token: "),
      );
    });
  }
});
