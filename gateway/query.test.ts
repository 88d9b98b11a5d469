import assert from "node:assert/strict";
import type { JsonValue } from "@bufbuild/protobuf";
import { read } from "./fixtures/read.ts";

describe("gateway/query, and paths", () => {
  const good: [target: string, message: JsonValue][] = [
    ["GET /v1/echo", {}],
    ["GET /v1/echo?", {}],
    ["GET /v1/echo?string=a+b%26c&bool=true", { string: "a b&c", bool: true }],
    ["GET /v1/echo?string", {}],
    ["GET /v1/echo?string=a=b", { string: "a=b" }],
    ["GET /v1/echo?int64=9007199254740993&uint32=007", { int64: "9007199254740993", uint32: 7 }],
    ["GET /v1/echo?float=NaN&double=1.5e3", { float: "NaN", double: 1500 }],
    ["GET /v1/echo?bytes=-_8", { bytes: "+/8=" }],
    ["GET /v1/echo?color=COLOR_RED&colors=2&colors=77", { color: "COLOR_RED", colors: ["COLOR_BLUE", 77] }],
    ["GET /v1/echo?strings=a&ints=1&strings=b&ints=2", { strings: ["a", "b"], ints: [1, 2] }],
    ["GET /v1/echo?child.child.string=x&child.int32=5", { child: { child: { string: "x" }, int32: 5 } }],
    ["GET /v1/echo?stringMap[a]=x&string_map[b.c]=y", { stringMap: { a: "x", "b.c": "y" } }],
    ["GET /v1/echo?intMap[-5]=1&boolMap[true]=COLOR_RED", { intMap: { "-5": 1 }, boolMap: { true: "COLOR_RED" } }],
    [
      "GET /v1/echo?timestamp=2030-01-01T00:00:00Z&duration=1.5s&mask=fooBar,b_c",
      { timestamp: "2030-01-01T00:00:00Z", duration: "1.500s", mask: "fooBar,bC" },
    ],
    ["GET /v1/echo?stringValue=&int64Value=5&boolValue=false", { stringValue: "", int64Value: "5", boolValue: false }],
    [
      "GET /v1/echo?times=2030-01-01T00:00:00Z&times=2031-01-01T00:00:00Z",
      { times: ["2030-01-01T00:00:00Z", "2031-01-01T00:00:00Z"] },
    ],
    ["GET /v1/echo?left=a&maybe=", { left: "a", maybe: "" }],
    ["GET /v1/echo?other-name=a", { "other-name": "a" }],
    ["GET /v1/echo/strings/a%2Fb%20c", { string: "a/b c" }],
    ["GET /v1/echo/ints/-9223372036854775808/false", { int64: "-9223372036854775808" }],
    ["GET /v1/echo/enums/COLOR_RED", { color: "COLOR_RED" }],
    ["GET /v1/echo/enums/2", { color: "COLOR_BLUE" }],
    ["GET /v1/echo/times/2030-01-01T00:00:00Z", { timestamp: "2030-01-01T00:00:00Z" }],
    ["GET /v1/echo/nested/x?child.string=y", { child: { string: "y", child: { string: "x" } } }],
    ["GET /v1/echo/names/a/1/b/2%2F3", { string: "a/1/b/2%2F3" }],
    ["GET /v1/echo/files/x/y", { string: "x/y" }],
    ["GET /v1/echo/strings/x?string=x", { string: "x" }],
  ];
  for (const [target, message] of good) {
    it(`reads ${target}`, () => {
      assert.deepEqual(read(target), message);
    });
  }

  const bad: [target: string, violations: string[]][] = [
    [
      "GET /v1/echo?nope=1",
      [
        "nope: unknown query parameter: expected string, bool, int32, sint32, uint32, int64, uint64, fixed64, float, double, bytes, color, ...",
      ],
    ],
    [
      "GET /v1/echo?child.nope=1",
      [
        "child.nope: unknown query parameter: expected string, bool, int32, sint32, uint32, int64, uint64, fixed64, float, double, bytes, color, ...",
      ],
    ],
    ["GET /v1/echo?string.x=1", ["string.x: unknown query parameter: echo.v1.Everything has no such field"]],
    ["GET /v1/echo?int32=", ['int32: expected a 32-bit integer, got ""']],
    ["GET /v1/echo?int32=0x10", ['int32: expected a 32-bit integer, got "0x10"']],
    ["GET /v1/echo?int32=1e2", ['int32: expected a 32-bit integer, got "1e2"']],
    ["GET /v1/echo?bool=1", ['bool: expected true or false, got "1"']],
    ["GET /v1/echo?bool", ['bool: expected true or false, got ""']],
    ["GET /v1/echo?color=RED", ['color: expected one of COLOR_UNSPECIFIED, COLOR_RED, COLOR_BLUE, got "RED"']],
    ["GET /v1/echo?string=a&string=a", ["string: given twice in the query, and it holds one value"]],
    [
      "GET /v1/echo?otherName=a&renamed=b",
      [
        "otherName: unknown query parameter: expected string, bool, int32, sint32, uint32, int64, uint64, fixed64, float, double, bytes, color, ...",
      ],
    ],
    ["GET /v1/echo?other-name=a&renamed=b", ["renamed: given twice in the query, and it holds one value"]],
    ["GET /v1/echo?stringMap[a]=1&stringMap[a]=2", ["string_map[a]: given twice in the query, and it holds one value"]],
    ["GET /v1/echo?left=a&right=1", ['right: left is set too, and only one of the oneof "choice" can be']],
    ["GET /v1/echo?left=a&both.string=b", ['both: left is set too, and only one of the oneof "choice" can be']],
    ["GET /v1/echo?child=x", ["child: is a message, which no query parameter can be; name one of its fields, as child.string"]],
    ["GET /v1/echo?children.string=x", ["children.string: unknown query parameter: echo.v1.Everything has no such field"]],
    ["GET /v1/echo?children=x", ["children: is repeated messages, which no query parameter can be; send it in a body"]],
    ["GET /v1/echo?stringMap=x", ["string_map: a query sets an entry of a map as string_map[key]=value"]],
    ["GET /v1/echo?messageMap[a]=x", ["message_map: is a map of messages, which no query parameter can be; send it in a body"]],
    ["GET /v1/echo?intMap[x]=1", ['int_map[x]: expected a key that is a 64-bit integer, got "x"']],
    ["GET /v1/echo?string[a]=1", ['string[a]: expected string without brackets, since it is no map, got "string[a]"']],
    ["GET /v1/echo?string=%zz", ["string: expected percent escapes that are UTF-8 in the query, got others"]],
    ["GET /v1/echo?string=%ff", ["string: expected percent escapes that are UTF-8 in the query, got others"]],
    [
      "GET /v1/echo?secret=%ff&int32=x",
      ["secret: expected percent escapes that are UTF-8 in the query, got others", 'int32: expected a 32-bit integer, got "x"'],
    ],
    [
      `GET /v1/echo?${"child.".repeat(32)}string=x`,
      [`${"child.".repeat(32)}string: a query parameter reaches at most 32 messages deep`],
    ],
    ["GET /v1/echo/strings/x?string=y", ["string: set in the path and, to another value, in the query"]],
    ["GET /v1/echo/ints/x/yes", ['int64: expected a 64-bit integer, got "x"', 'bool: expected true or false, got "yes"']],
    ["GET /v1/echo/times/noon", ['timestamp: expected a time such as 2030-01-31T12:00:00Z, got "noon"']],
    ["POST /v1/echo?string=a", ["string: belongs to the body, and so cannot stand in the query"]],
    ["POST /v1/echo/int32?int32=1", ["int32: belongs to the body, and so cannot stand in the query"]],
    ["PUT /v1/echo/children/x?child.string=y", ["child.string: belongs to the body, and so cannot stand in the query"]],
  ];
  for (const [target, violations] of bad) {
    it(`refuses ${target.slice(0, 80)}`, () => {
      assert.deepEqual(read(target), violations);
    });
  }

  it("sets a field of the path over the same in the body, and refuses another", () => {
    assert.deepEqual(read("POST /v1/echo/x:verb", '{"string":"x"}'), { string: "x" });
    assert.deepEqual(read("POST /v1/echo/x:verb", '{"string":null}'), { string: "x" });
    assert.deepEqual(read("POST /v1/echo/x:verb", '{"string":""}'), [
      "string: set in the path and, to another value, in the body",
    ]);
    assert.deepEqual(read("POST /v1/echo/x:verb", '{"string":"y"}'), [
      "string: set in the path and, to another value, in the body",
    ]);
    assert.deepEqual(read("POST /v1/echo/x:verb", '{"string":"y"}', { lenient: true }), { string: "x" });
  });

  it("reads 10,000 query keys within 500 ms", () => {
    const start = performance.now();
    const query = Array.from({ length: 10_000 }, (_, index) => `stringMap[${index}]=x`).join("&");
    assert.equal(Object.keys((read(`GET /v1/echo?${query}`) as { stringMap: object }).stringMap).length, 10_000);
    assert.ok(performance.now() - start < 500);
  });
});
