import assert from "node:assert/strict";
import { create, fromBinary, fromJsonString, toBinary } from "@bufbuild/protobuf";
import { isLarge, writingBinary } from "./binary-slices.ts";
import { echoContracts, echoService } from "./fixtures/echo.ts";
import { canonical } from "./fuzz/canonical.ts";
import { randomMessage } from "./fuzz/messages.ts";
import { Random } from "./fuzz/random.ts";

const { types } = echoContracts;
const type = echoService.methods[0]?.input ?? assert.fail();
const many = (make: (index: number) => string, length = 9000) => Array.from({ length }, (_, index) => make(index)).join(",");

function written(message: Parameters<typeof writingBinary>[1]): { bytes: Uint8Array; pauses: number } {
  const work = writingBinary(type, message);
  for (let pauses = 0; ; pauses++) {
    const { done, value } = work.next();
    if (done === true) return { bytes: value, pauses };
  }
}

describe("gateway/binary-slices", () => {
  const bodies: [name: string, json: string][] = [
    ["integers", `{"ints":[${many(String)}]}`],
    ["texts", `{"strings":[${many((index) => `"${index}"`)}],"string":"é"}`],
    ["messages", `{"children":[${many((index) => `{"int32":${index}}`)}],"bool":true}`],
    ["a message in a oneof", `{"both":{"child":{"strings":[${many(() => '""')}]}},"maybe":""}`],
    ["one large message of a list between small ones", `{"children":[{"int32":1},{"ints":[${many(String)}]},{"int32":2}]}`],
    ["entries of a map", `{"stringMap":{"__proto__":"x",${many((index) => `"k${index}":"v"`)}}}`],
    [
      "large messages of a map",
      `{"messageMap":{"":{},"a":{"ints":[${many(String)}]},"b":{"int32":1},"__proto__":{"ints":[${many(String)}]}}}`,
    ],
    ["integers by integers", `{"intMap":{${many((index) => `"${index}":${index}`)}}}`],
    [
      "a google.protobuf.Struct",
      `{"struct":{"__proto__":[1],"x":[{"__proto__":{}}],"a":{"b":[${many((index) => `{"c":[${index},null,"é",true,{}]}`, 3000)}]},"d":1}}`,
    ],
    ["numbers of a google.protobuf.Struct", `{"struct":{"a":[${many(String)}]}}`],
    ["a google.protobuf.Value", `{"value":[${many((index) => `{"c":[${index}]}`, 3000)}]}`],
    ["a google.protobuf.ListValue", `{"listValue":[${many((index) => `[${index}]`, 3000)}]}`],
  ];
  for (const [name, json] of bodies) {
    it(`writes the same message as toBinary, with pauses: ${name}`, () => {
      const message = fromJsonString(type, json, { registry: types });
      const { bytes, pauses } = written(message);
      assert.ok(isLarge(message) && pauses >= 2, `${pauses} pauses`);
      assert.equal(canonical(fromBinary(type, bytes), types), canonical(fromBinary(type, toBinary(type, message)), types));
      assert.equal(bytes.length >= toBinary(type, message).length, true);
    });
  }

  it("writes 30 random messages, of all kinds of fields, as toBinary does", () => {
    const random = new Random(3);
    for (let left = 30; left > 0; left--) {
      const message = Object.assign(create(type), randomMessage({ random, types, share: 0.5 }, type));
      const { bytes } = written(message);
      assert.equal(canonical(fromBinary(type, bytes), types), canonical(fromBinary(type, toBinary(type, message)), types));
    }
  });
});
