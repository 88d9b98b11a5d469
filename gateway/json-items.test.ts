import assert from "node:assert/strict";
import { JsonError } from "./json.ts";
import { type ItemFormat, ItemSplitter, ItemTooLong } from "./json-items.ts";

/** The items of a text that comes in chunks of `size` bytes, or the message of what is wrong with it. */
function split(format: ItemFormat, text: string, size: number, maxBytes = 100): string[] | string {
  const splitter = new ItemSplitter(format, maxBytes);
  const bytes = Buffer.from(text);
  const items: string[] = [];
  try {
    for (let at = 0; at < bytes.length; at += size) {
      for (const item of splitter.push(bytes.subarray(at, at + size))) items.push(item.toString().trim());
    }
    const last = splitter.end();
    return last === undefined ? items : [...items, last.toString().trim()];
  } catch (error) {
    assert.ok(error instanceof JsonError || error instanceof ItemTooLong);
    return `${items.length}: ${error.message}`;
  }
}

describe("gateway/json-items", () => {
  const cases: [format: ItemFormat, text: string, expected: string[] | string][] = [
    ["ndjson", "", []],
    ["ndjson", "\n\r\n \t\n", []],
    ["ndjson", "1\n2", ["1", "2"]],
    ["ndjson", '{"a":"\\n"}\r\n[1]\n', ['{"a":"\\n"}', "[1]"]],
    ["ndjson", '"ü"\n"日本"', ['"ü"', '"日本"']],
    ["array", "[]", []],
    ["array", " [ ] ", []],
    ["array", "[1,2]", ["1", "2"]],
    ["array", '[{"a":[1,{"b":"]},\\"["}]},"[,]\\\\",[[],[]]]', ['{"a":[1,{"b":"]},\\"["}]}', '"[,]\\\\"', "[[],[]]"]],
    ["array", "[ 1 , 2 ]", ["1", "2"]],
    ["array", "[nope]", ["nope"]],
    ["array", "[{]", '0: expected "," or "]" after an item, got the end'],
    ["array", "", '0: expected "[", got the end'],
    ["array", "1", '0: expected an array of messages, "[", got "1"'],
    ["array", "[1,]", '1: expected a JSON value, got "]"'],
    ["array", "[,1]", '0: expected a JSON value, got ","'],
    ["array", "[1]]", '1: expected nothing after the array, got "]"'],
    ["array", '["a', '0: expected "," or "]" after an item, got the end'],
    ["array", `["${"x".repeat(100)}"]`, "0: expected at most 100 bytes"],
    ["ndjson", `1\n${"x".repeat(101)}`, "1: expected at most 100 bytes"],
  ];
  for (const [format, text, expected] of cases) {
    it(`cuts ${format} ${JSON.stringify(text.slice(0, 50))} into ${JSON.stringify(expected)}, however it is chunked`, () => {
      for (const size of [1, 2, 3, 5, 1000]) assert.deepEqual(split(format, text, size), expected);
    });
  }

  it("agrees with JSON.parse on 500 arrays of a seeded generator", () => {
    let seed = 42;
    const random = (below: number) => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      return seed % below;
    };
    const value = (depth: number): unknown => {
      const kind = random(depth > 3 ? 4 : 6);
      if (kind === 0) return random(1000);
      if (kind === 1) return ['"', "\\", "[", "]}", ",", "é", "\n", ""][random(8)];
      if (kind === 2) return random(2) === 0;
      if (kind === 3) return null;
      if (kind === 4) return Array.from({ length: random(4) }, () => value(depth + 1));
      return Object.fromEntries(Array.from({ length: random(4) }, (_, index) => [`k${index}"]`, value(depth + 1)]));
    };
    for (let round = 0; round < 500; round++) {
      const items = Array.from({ length: random(6) }, () => value(0));
      const text = JSON.stringify(items, undefined, random(3));
      const got = split("array", text, 1 + random(20), 10_000);
      assert.ok(Array.isArray(got), String(got));
      assert.deepEqual(
        got.map((item) => JSON.parse(item)),
        items,
      );
    }
  });
});
