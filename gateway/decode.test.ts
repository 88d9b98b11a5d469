import assert from "node:assert/strict";
import { fromBinary, type JsonValue, toBinary } from "@bufbuild/protobuf";
import { protobufType } from "./decode.ts";
import { echoService } from "./fixtures/echo.ts";
import { read } from "./fixtures/read.ts";

describe("gateway/decode: bodies", () => {
  const good: [body: string, message: JsonValue][] = [
    ["", {}],
    ["{}", {}],
    ['{"string":"é","bool":true,"int32":-5,"uint32":4294967295}', { string: "é", bool: true, int32: -5, uint32: 4294967295 }],
    ['{"int64":9007199254740993,"uint64":18446744073709551615}', { int64: "9007199254740993", uint64: "18446744073709551615" }],
    ['{"int64":"-9223372036854775808","fixed64":"1"}', { int64: "-9223372036854775808", fixed64: "1" }],
    ['{"int32":1.0,"sint32":1e2,"int64":"100e-2"}', { int32: 1, sint32: 100, int64: "1" }],
    ['{"float":"NaN","double":"-Infinity"}', { float: "NaN", double: "-Infinity" }],
    ['{"double":1e308,"float":"1.5"}', { double: 1e308, float: 1.5 }],
    // As Java and Go write the largest single.
    ['{"float":3.4028235e38}', { float: 3.4028235e38 }],
    ['{"bytes":"+/8"}', { bytes: "+/8=" }],
    ['{"bytes":"-_8="}', { bytes: "+/8=" }],
    ['{"color":"COLOR_BLUE"}', { color: "COLOR_BLUE" }],
    ['{"color":1}', { color: "COLOR_RED" }],
    ['{"color":77}', { color: 77 }],
    ['{"other-name":"a"}', { "other-name": "a" }],
    ['{"renamed":"a"}', { "other-name": "a" }],
    ['{"string_map":{"__proto__":"x","b":"y"}}', { stringMap: { ["__proto__"]: "x", b: "y" } }],
    ['{"intMap":{"-7":1},"boolMap":{"true":"COLOR_RED"}}', { intMap: { "-7": 1 }, boolMap: { true: "COLOR_RED" } }],
    ['{"messageMap":{"a":{"string":"b"}}}', { messageMap: { a: { string: "b" } } }],
    [
      '{"child":{"child":{"string":"deep"}},"children":[{},{"int32":1}]}',
      { child: { child: { string: "deep" } }, children: [{}, { int32: 1 }] },
    ],
    ['{"left":"","maybe":"","maybeInt32":0}', { left: "", maybe: "", maybeInt32: 0 }],
    ['{"string":null,"strings":null,"child":null,"stringMap":null,"left":null,"right":2}', { right: 2 }],
    ['{"timestamp":"2030-01-31T12:00:00.120+01:30"}', { timestamp: "2030-01-31T10:30:00.120Z" }],
    ['{"timestamp":"0001-01-01T00:00:00Z"}', { timestamp: "0001-01-01T00:00:00Z" }],
    ['{"duration":"-1.5s"}', { duration: "-1.500s" }],
    ['{"duration":"0s"}', { duration: "0s" }],
    ['{"mask":"fooBar,a.b_c"}', { mask: "fooBar,a.bC" }],
    [
      '{"struct":{"a":[1,null,{"b":true}]},"value":null,"listValue":["x"]}',
      { struct: { a: [1, null, { b: true }] }, value: null, listValue: ["x"] },
    ],
    [
      '{"stringValue":"","int64Value":"5","boolValue":false,"bytesValue":"AA==","doubleValue":0}',
      { stringValue: "", int64Value: "5", boolValue: false, bytesValue: "AA==", doubleValue: 0 },
    ],
    [
      '{"any":{"@type":"type.googleapis.com/echo.v1.UpdateRequest","dryRun":true}}',
      { any: { "@type": "type.googleapis.com/echo.v1.UpdateRequest", dryRun: true } },
    ],
    [
      '{"any":{"@type":"type.googleapis.com/google.protobuf.Duration","value":"3s"}}',
      { any: { "@type": "type.googleapis.com/google.protobuf.Duration", value: "3s" } },
    ],
    ['{"nullValue":null,"empty":{}}', { empty: {} }],
    ['{"times":["2030-01-01T00:00:00Z"],"longString":"12"}', { times: ["2030-01-01T00:00:00Z"], longString: "12" }],
  ];
  for (const [body, message] of good) {
    it(`reads ${body || "an empty body"}`, () => {
      assert.deepEqual(read("POST /v1/echo", body), message);
    });
  }

  const bad: [body: string | Uint8Array, violations: string[]][] = [
    ["[1]", [": expected an object, got an array"]],
    ["1", [": expected an object, got 1"]],
    ["null", [": expected an object, got null"]],
    ["{", [": body: expected a key in double quotes, got the end (line 1, column 2)"]],
    ["{} {}", [': body: expected nothing after the value, got "{" (line 1, column 4)']],
    [Buffer.from([0x7b, 0xff, 0x7d]), [": expected a body in UTF-8, got bytes that are not"]],
    ['{"string":5}', ["string: expected string, got 5"]],
    ['{"child":{"string":5}}', ["child.string: expected string, got 5"]],
    ['{"children":[{},{"child":{"int32":"x"}}]}', ['children[1].child.int32: expected a 32-bit integer, got "x"']],
    ['{"messageMap":{"k":{"bool":"true"}}}', ['message_map["k"].bool: expected true or false, got "true"']],
    [
      '{"string":5,"bool":1,"nope":1}',
      ["string: expected string, got 5", "bool: expected true or false, got 1", "nope: echo.v1.Everything has no such field"],
    ],
    ['{"int32":2147483648}', ["int32: expected a 32-bit integer, got 2147483648"]],
    ['{"int32":1.5}', ["int32: expected a 32-bit integer, got 1.5"]],
    ['{"int32":"0x10"}', ['int32: expected a 32-bit integer, got "0x10"']],
    ['{"int32":true}', ["int32: expected a 32-bit integer, got true"]],
    ['{"uint32":-1}', ["uint32: expected an unsigned 32-bit integer, got -1"]],
    ['{"int64":1.0000000000000001}', ["int64: expected a 64-bit integer, got 1.0000000000000001"]],
    ['{"int64":9223372036854775808}', ["int64: expected a 64-bit integer, got 9223372036854775808"]],
    ['{"int64":1e400}', ["int64: expected a 64-bit integer, got 1e400"]],
    ['{"double":1e400}', ["double: expected a number, NaN, Infinity or -Infinity, got 1e400"]],
    ['{"float":1e39}', ["float: expected a 32-bit number, NaN, Infinity or -Infinity, got 1e+39"]],
    ['{"bytes":"a"}', ['bytes: expected base64, got "a"']],
    ['{"bytes":"a$=="}', ['bytes: expected base64, got "a$=="']],
    ['{"color":"BLUE"}', ['color: expected one of COLOR_UNSPECIFIED, COLOR_RED, COLOR_BLUE, got "BLUE"']],
    ['{"color":"1"}', ['color: expected one of COLOR_UNSPECIFIED, COLOR_RED, COLOR_BLUE, got "1"']],
    ['{"strings":"a"}', ['strings: expected an array, got "a"']],
    ['{"strings":["a",null]}', ["strings[1]: expected string, got null"]],
    ['{"stringMap":[]}', ["string_map: expected an object, got an array"]],
    ['{"intMap":{"x":1}}', ['int_map["x"]: expected a key that is a 64-bit integer, got "x"']],
    ['{"intMap":{"1":1,"01":2}}', ['int_map["01"]: the same key stands here for the second time']],
    ['{"string":"a","string":"b"}', [': body: the key "string" stands here for the second time (line 1, column 15)']],
    ['{"stringMap":{},"string_map":{}}', ['string_map: set twice, as "string_map" and as "stringMap"']],
    ['{"left":"a","right":1}', ['right: left is set too, and only one of the oneof "choice" can be']],
    [
      '{"timestamp":"2030-02-30T00:00:00Z"}',
      ['timestamp: expected a time such as 2030-01-31T12:00:00Z, got "2030-02-30T00:00:00Z"'],
    ],
    ['{"timestamp":5}', ["timestamp: expected a time such as 2030-01-31T12:00:00Z, got 5"]],
    ['{"duration":"1"}', ['duration: expected a duration in seconds such as 1.5s, got "1"']],
    ['{"duration":"400000000000s"}', ['duration: expected a duration in seconds such as 1.5s, got "400000000000s"']],
    ['{"mask":"a,,b"}', ['mask: expected field names separated by commas, got "a,,b"']],
    ['{"int64Value":"x"}', ['int64_value: expected a 64-bit integer, got "x"']],
    ['{"any":{"@type":"nope"}}', ['any.@type: expected a type of the contracts, got "nope"']],
    ['{"any":{"string":"a"}}', ["any.@type: expected the URL of a type, got nothing"]],
    ['{"secret":5}', ["secret: expected string, got a number (not shown)"]],
    ['{"child":{"nope":{}}}', ["child.nope: echo.v1.Everything has no such field"]],
    [`{"child":${"[".repeat(200)}`, [": body: arrays and objects nest deeper than 100 (line 1, column 109)"]],
  ];
  for (const [body, violations] of bad) {
    it(`refuses ${String(body).slice(0, 60)}`, () => {
      assert.deepEqual(read("POST /v1/echo", body), violations);
    });
  }

  it("names at most 20 mistakes", () => {
    assert.equal((read("POST /v1/echo", JSON.stringify({ strings: Array(1000).fill(1) })) as string[]).length, 20);
  });

  it("skips what it does not know when lenient, and only that", () => {
    assert.deepEqual(read("POST /v1/echo", '{"nope":1,"string":"a","color":"NOPE"}', { lenient: true }), { string: "a" });
    assert.deepEqual(read("POST /v1/echo", '{"string":1}', { lenient: true }), ["string: expected string, got 1"]);
    assert.deepEqual(read("GET /v1/echo?nope=1&string=a", "", { lenient: true }), { string: "a" });
  });

  it("reads a field as the body, of each kind", () => {
    assert.deepEqual(read("POST /v1/echo/int32", "7"), { int32: 7 });
    assert.deepEqual(read("POST /v1/echo/list", '["a"]'), { strings: ["a"] });
    assert.deepEqual(read("POST /v1/echo/map", '{"a":"b"}'), { stringMap: { a: "b" } });
    assert.deepEqual(read("PUT /v1/echo/children/x?bool=true", '{"int32":1}'), { string: "x", bool: true, child: { int32: 1 } });
    assert.deepEqual(read("POST /v1/echo/int32", '"x"'), ['int32: expected a 32-bit integer, got "x"']);
    assert.deepEqual(read("POST /v1/echo/int32", "null"), ["int32: expected a value as body, got null"]);
    assert.deepEqual(read("POST /v1/echo/list", ""), {});
  });

  it("refuses a body where none is mapped", () => {
    assert.deepEqual(read("POST /v1/echo/nobody", "{}"), [": expected no body, got 2 bytes: the rule of this path maps none"]);
  });

  it("reads the protobuf wire format", () => {
    const { input } = echoService.methods.find(({ name }) => name === "Echo") ?? assert.fail();
    const bytes = toBinary(input, fromBinary(input, new Uint8Array([0x0a, 0x01, 0x61])));
    assert.deepEqual(read("POST /v1/echo", bytes, { type: protobufType }), { string: "a" });
    assert.deepEqual(read("PUT /v1/echo/children/x", bytes, { type: protobufType }), { string: "x", child: { string: "a" } });
    assert.deepEqual(read("POST /v1/echo", Buffer.from([0xff]), { type: protobufType }), [
      ": expected echo.v1.Everything in the protobuf wire format, got 1 bytes that are none",
    ]);
  });

  const many = (count: number, ...bytes: number[]) => Buffer.alloc(count * bytes.length, Buffer.from(bytes));
  const wires: [what: string, bytes: Buffer, answer: JsonValue][] = [
    ["2,000,000 empty messages", many(2_000_000, 0xba, 0x01, 0x00), ["the values take more memory"]],
    ["1,300,000 entries of a map", many(1_300_000, 0xc2, 0x01, 0x00), ["the values take more memory"]],
    ["800,000 empty entries of a map of messages", many(800_000, 0xda, 0x01, 0x02, 0x12, 0x00), ["the values take more memory"]],
    ["1,300,000 empty texts", many(1_300_000, 0xa2, 0x01, 0x00), ["the values take more memory"]],
    ["2,000,000 unknown fields", many(2_000_000, 0x78 + 0x80, 0x7f, 0x00), {}],
    ["3 empty messages", many(3, 0xba, 0x01, 0x00), { children: [{}, {}, {}] }],
  ];
  for (const [what, bytes, answer] of wires) {
    it(`answers ${what} in the wire format without taking more than 16 MB for them`, () => {
      const got = read("POST /v1/echo", bytes, { type: protobufType });
      const shown = Array.isArray(got)
        ? got.map((line) => String(line).replace(/^: (the values take more memory).*/, "$1"))
        : got;
      assert.deepEqual(shown, answer);
    });
  }
});
