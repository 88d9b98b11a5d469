import assert from "node:assert/strict";
import { uuidv7 } from "./uuid.ts";

describe("uuidv7", () => {
  it("has the form of RFC 9562: version 7, variant 10, the milliseconds in front", () => {
    const now = Date.now() + 50;
    const id = uuidv7(now);
    assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.equal(Number.parseInt(id.replaceAll("-", "").slice(0, 12), 16), now);
  });

  it("increases strictly over 20,000 ids in one millisecond, and when the clock goes back 9 s", () => {
    const now = Date.now();
    const ids = Array.from({ length: 20_000 }, () => uuidv7(now));
    ids.push(uuidv7(now - 9000), uuidv7(now + 100));
    assert.deepEqual(ids, [...ids].sort());
    assert.equal(new Set(ids).size, 20_002);
  });

  it("believes a clock that goes back 11 s", () => {
    const later = uuidv7(Date.now() + 11_000);
    assert.ok(uuidv7(Date.now() - 1000) < later);
  });
});
