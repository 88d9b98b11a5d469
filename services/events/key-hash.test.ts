import assert from "node:assert/strict";
import { murmur2 } from "./key-hash.ts";

describe("a key's hash", () => {
  // From the tests of Kafka's own clients (UtilsTest.testMurmur2).
  for (const [key, hash] of [
    ["21", -973932308],
    ["foobar", -790332482],
    ["a-little-bit-long-string", -985981536],
    ["a-little-bit-longer-string", -1486304829],
    ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971],
    ["abc", 479470107],
  ] as const) {
    it(`of ${JSON.stringify(key)} is Kafka's ${hash}`, () => assert.equal(murmur2(Buffer.from(key)), hash));
  }
});
