import assert from "node:assert/strict";
import { stringifyExact } from "./exact-json.ts";

describe("gateway/exact-json", () => {
  it("writes -0 as -0, wherever it stands, and all else as JSON.stringify does", () => {
    assert.equal(stringifyExact(-0), "-0");
    assert.equal(stringifyExact({ a: [0, -0, { b: -0 }], c: "-0", d: null }), '{"a":[0,-0,{"b":-0}],"c":"-0","d":null}');
    assert.equal(stringifyExact({ a: [1.5, "ä", true] }), '{"a":[1.5,"ä",true]}');
  });
});
