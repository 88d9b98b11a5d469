import assert from "node:assert/strict";
import { toJson } from "@bufbuild/protobuf";
import { from } from "#mesh/errors.ts";
import { decode, decoding } from "./decode.ts";
import { echoContracts } from "./fixtures/echo.ts";
import { compileRouter } from "./router.ts";
import { routesOf } from "./routes.ts";
import { inSlices } from "./slices.ts";
import { httpStatusOf } from "./status.ts";

const found = compileRouter(routesOf(echoContracts)).match("POST", "/v1/echo");
assert.ok(found.kind === "found");
const route = found.entry.target;
const { types } = echoContracts;

function partsOf(text: string) {
  return { pathValues: [], query: "", body: Buffer.from(text), mediaType: "", contentType: "" };
}

describe("gateway/slices: large bodies", () => {
  const records = Array.from({ length: 5000 }, (_, i) => `{"int32":${i},"strings":["a","b"],"child":{"string":"é"}}`).join(",");
  const values = Array.from({ length: 20_000 }, (_, i) => `{"a":[${i}]}`).join(",");
  const bodies: [name: string, text: string, pauses: number][] = [
    ["5,000 messages", `{"children":[${records}]}`, 20],
    ["100,000 integers", `{"ints":[${Array(100_000).fill("1")}]}`, 100],
    ["20,000 entries of a map", `{"stringMap":{${Array.from({ length: 20_000 }, (_, i) => `"k${i}":"v"`)}}}`, 20],
    ["a google.protobuf.Struct", `{"struct":{"a":[${values}]}}`, 60],
    ["a google.protobuf.Value", `{"value":[${values}]}`, 60],
  ];
  for (const [name, text, pauses] of bodies) {
    it(`${name}: pauses at least ${pauses} times, and makes the same message`, async () => {
      const parts = partsOf(text);
      let count = 0;
      for (const _ of decoding(route, parts, { types, lenient: false })) count++;
      assert.ok(count >= pauses, `${count} pauses`);
      const sliced = await inSlices(decoding(route, parts, { types, lenient: false }));
      assert.deepEqual(sliced, decode(route, parts, { types, lenient: false }));
    });
  }

  it("a value of any shape comes out as it went in", () => {
    const text = '{"struct":{"__proto__":{"a":[null]}},"value":[null,true,1.5,"é",{"__proto__":[{}]}],"listValue":[[]]}';
    const message = decode(route, partsOf(text), { types, lenient: false });
    assert.equal(JSON.stringify(toJson(route.method.input, message)), text);
  });

  it("80,000 empty messages of a large type are refused with 413, before they take 100 MB", () => {
    const text = `{"children":[${Array(80_000).fill("{}")}]}`;
    assert.throws(
      () => decode(route, partsOf(text), { types, lenient: false }),
      (error) => httpStatusOf(from(error)) === 413,
    );
  });

  it("lets others run while it works", async () => {
    let turns = 0;
    let working = true;
    const count = () => {
      turns++;
      if (working) setImmediate(count);
    };
    setImmediate(count);
    await inSlices(decoding(route, partsOf(`{"ints":[${Array(1_000_000).fill("1")}]}`), { types, lenient: false }));
    working = false;
    assert.ok(turns >= 3, `${turns} turns`);
  });
});
