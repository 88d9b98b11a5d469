import assert from "node:assert/strict";
import { create, equals, fromJson, type JsonValue, type Message, toBinary, toJson, toJsonString } from "@bufbuild/protobuf";
import fc from "fast-check";
import { decode } from "./decode.ts";
import { echoContracts, echoService } from "./fixtures/echo.ts";
import { compileRouter } from "./router.ts";
import { routesOf } from "./routes.ts";

const router = compileRouter(routesOf(echoContracts));
const { types } = echoContracts;
const everything = echoService.methods.find(({ name }) => name === "Echo")?.input ?? assert.fail();

const junk = fc.jsonValue({ maxDepth: 2 });
const strayText = fc.constantFrom(
  "COLOR_RED",
  "1.5s",
  "2030-01-01T00:00:00.5Z",
  "a,b.c",
  "AAE=",
  "-_8",
  "7",
  "0x10",
  "NaN",
  " 1",
  "",
);

/** Nearly always what the field takes; otherwise a text or value of some other field. */
function mostly(good: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 60, arbitrary: good }, { weight: 1, arbitrary: strayText }, { weight: 1, arbitrary: junk });
}

function integers(min: bigint, max: bigint): fc.Arbitrary<unknown> {
  const exact = fc.bigInt({ min, max });
  // Beyond 2^53 a JSON number of JavaScript is another one, so such values go as text.
  return fc.oneof(exact.map(String), exact.filter((value) => value < 2n ** 53n && value > -(2n ** 53n)).map(Number));
}

const int32 = mostly(integers(-(2n ** 31n), 2n ** 31n - 1n));
const int64 = mostly(integers(-(2n ** 63n), 2n ** 63n - 1n));
const text = mostly(fc.string({ unit: "grapheme", maxLength: 10 }));
const time = mostly(
  fc.date({ min: new Date("0001-01-01"), max: new Date("9999-12-31"), noInvalidDate: true }).map((date) => date.toISOString()),
);

/** ProtoJSON of an Everything. */
const bodies: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  body: fc.record(
    {
      string: text,
      bool: mostly(fc.boolean()),
      int32,
      uint32: mostly(integers(0n, 2n ** 32n - 1n)),
      int64,
      uint64: mostly(integers(0n, 2n ** 64n - 1n)),
      double: mostly(
        fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.constantFrom("NaN", "Infinity", "-Infinity", "1.5e3")),
      ),
      float: mostly(fc.float({ noNaN: true, noDefaultInfinity: true })),
      bytes: mostly(fc.uint8Array({ maxLength: 9 }).map((bytes) => Buffer.from(bytes).toString("base64url"))),
      color: mostly(fc.oneof(fc.constantFrom("COLOR_RED", "COLOR_BLUE"), fc.integer({ min: -9, max: 9 }))),
      child: fc.oneof({ depthSize: "xsmall" }, fc.constant({}), tie("body")),
      maybe: text,
      left: text,
      strings: fc.array(text, { maxLength: 3 }),
      ints: fc.array(int32, { maxLength: 3 }),
      children: fc.array(fc.oneof({ depthSize: "xsmall" }, fc.constant({}), tie("body")), { maxLength: 2 }),
      stringMap: fc.dictionary(fc.string({ maxLength: 5 }), text, { maxKeys: 3, noNullPrototype: true }),
      intMap: fc.dictionary(fc.integer().map(String), int32, { maxKeys: 3, noNullPrototype: true }),
      timestamp: time,
      duration: mostly(fc.constantFrom("0s", "-1.5s", "315576000000s", "0.000000001s", "-0.5s")),
      mask: mostly(fc.constantFrom("", "a", "fooBar,b.cD")),
      value: junk,
      struct: fc.dictionary(fc.string({ maxLength: 5 }), junk, { maxKeys: 3, noNullPrototype: true }),
      listValue: fc.array(junk, { maxLength: 3 }),
      int64Value: int64,
      stringValue: text,
      longString: int64,
    },
    { requiredKeys: [], noNullPrototype: true },
  ),
})).body;

describe("gateway/decode against protobuf-es's own reader", () => {
  it("never makes another message of 500 generated bodies, and takes what it writes", () => {
    let taken = 0;
    fc.assert(
      fc.property(bodies, (body) => {
        const ours = attempt(() => read("POST", "/v1/echo", "", JSON.stringify(body)));
        const theirs = attempt(() => fromJson(everything, JSON.parse(JSON.stringify(body)) as JsonValue, { registry: types }));
        if (ours === undefined) return;
        taken++;
        assert.ok(theirs !== undefined && sameBytes(ours, theirs), "taken here alone, or as another message");
        const written = toJsonString(everything, theirs, { registry: types });
        assert.ok(sameBytes(read("POST", "/v1/echo", "", written), theirs), "written and read, another message");
      }),
      { numRuns: 500, seed: 7 },
    );
    assert.ok(taken > 100, `only ${taken} bodies were good`);
  });

  it("brings every scalar through a query as it was", () => {
    const scalars = fc.record({
      string: fc.string({ unit: "grapheme" }),
      int64: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
      uint32: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      double: fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0),
      bytes: fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes).toString("base64")),
      color: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
      timestamp: fc
        .date({ min: new Date("0001-01-01T00:00:00Z"), max: new Date("9999-12-31T23:59:59Z"), noInvalidDate: true })
        .map((date) => date.toISOString()),
    });
    fc.assert(
      fc.property(scalars, (values) => {
        const query = Object.entries(values).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
        const message = read("GET", "/v1/echo", query.join("&"), "");
        assert.deepEqual(toJson(everything, message), toJson(everything, fromJson(everything, values)));
      }),
      { numRuns: 1000, seed: 7 },
    );
  });

  it("brings every string through a path as it was", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", minLength: 1 }), (string) => {
        const message = read("GET", `/v1/echo/strings/${encodeURIComponent(string)}`, "", "");
        assert.ok(equals(everything, message, create(everything, { string })));
      }),
      { numRuns: 1000, seed: 7 },
    );
  });
});

function read(method: string, path: string, query: string, body: string): Message {
  const found = router.match(method, path);
  assert.ok(found.kind === "found");
  const type = "application/json";
  const parts = { pathValues: found.values, query, body: Buffer.from(body), mediaType: type, contentType: type };
  return decode(found.entry.target, parts, { types, lenient: false });
}

/** Unlike `equals`, true for NaN and NaN, and false for 0 and -0. */
function sameBytes(a: Message, b: Message): boolean {
  return Buffer.compare(toBinary(everything, a), toBinary(everything, b)) === 0;
}

function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
