import assert from "node:assert/strict";
import { describeJson, JsonError, NumberText, parseJson } from "./json.ts";

describe("gateway/json", () => {
  const values: [text: string, value: unknown][] = [
    ["null", null],
    [" true\r\n\t", true],
    ["-0", -0],
    ["12.5e2", 1250],
    ["9007199254740991", 9007199254740991],
    ["9007199254740993", new NumberText("9007199254740993")],
    ["1.0000000000000001", new NumberText("1.0000000000000001")],
    ["1e400", new NumberText("1e400")],
    ["1e-400", new NumberText("1e-400")],
    ["0e999", 0],
    ['"a\\u00e9\\n\\ud83d\\ude00"', "aé\n😀"],
    ['""', ""],
    ["[1,[],{}]", [1, [], new Map()]],
    [
      '{"__proto__":1,"a":[true]}',
      new Map<string, unknown>([
        ["__proto__", 1],
        ["a", [true]],
      ]),
    ],
  ];
  for (const [text, value] of values) {
    it(`reads ${text}`, () => {
      assert.deepEqual(parseJson(text), value);
    });
  }

  const mistakes: [text: string, message: string][] = [
    ["", "expected a JSON value, got the end (line 1, column 1)"],
    ["nul", 'expected a JSON value, got "n" (line 1, column 1)'],
    ["{} x", 'expected nothing after the value, got "x" (line 1, column 4)'],
    ["{}{}", 'expected nothing after the value, got "{" (line 1, column 3)'],
    ['{"a":1,\n"a":2}', 'the key "a" stands here for the second time (line 2, column 1)'],
    ['{"a":1,"\\u0061":2}', 'the key "a" stands here for the second time (line 1, column 8)'],
    ["{a:1}", 'expected a key in double quotes, got "a" (line 1, column 2)'],
    ['{"a":1,}', 'expected a key in double quotes, got "}" (line 1, column 8)'],
    ['{"a" 1}', 'expected ":" after a key, got "1" (line 1, column 6)'],
    ['{"a":1 "b":2}', 'expected "," or "}" after a member, got "\\"" (line 1, column 8)'],
    ["[1,]", 'expected a JSON value, got "]" (line 1, column 4)'],
    ["[1 2]", 'expected "," or "]" after an item, got "2" (line 1, column 4)'],
    ["[1", 'expected "," or "]" after an item, got the end (line 1, column 3)'],
    ["01", 'expected a JSON number, got "01" (line 1, column 2)'],
    ["1.", 'expected a JSON number, got "1." (line 1, column 2)'],
    ["+1", 'expected a JSON value, got "+" (line 1, column 1)'],
    ["NaN", 'expected a JSON value, got "N" (line 1, column 1)'],
    ["0x10", 'expected a JSON number, got "0x" (line 1, column 2)'],
    ['"a', 'expected a closing ", got the end (line 1, column 1)'],
    ['"a\nb"', 'expected an escape for the control character "\\n" in a string (line 1, column 3)'],
    ['"\\x41"', 'expected an escape such as \\n or \\u00e9, got "\\\\x" (line 1, column 2)'],
    ['"\\u00g0"', 'expected an escape such as \\n or \\u00e9, got "\\\\u" (line 1, column 2)'],
    ['"\\ud800"', "a string with half of a surrogate pair is not Unicode (line 1, column 1)"],
    ["'a'", 'expected a JSON value, got "\'" (line 1, column 1)'],
    ["[".repeat(101), "arrays and objects nest deeper than 100 (line 1, column 101)"],
  ];
  const heavy: string[] = [
    `[${"{},".repeat(1_390_000)}{}]`,
    `{${Array.from({ length: 290_000 }, (_, n) => `"k${n}":{}`).join(",")}}`,
    `[${"[],".repeat(1_390_000)}[]]`,
    `[${'"",'.repeat(1_390_000)}""]`,
    `[${"1,".repeat(2_090_000)}1]`,
  ];
  for (const text of heavy) {
    it(`refuses ${text.slice(0, 12)}... of 4 MB before its values take more than 16 MB`, () => {
      assert.throws(
        () => parseJson(text),
        (error) =>
          error instanceof JsonError &&
          /^the values up to here take more memory than a request may; .* \(line 1, column/.test(error.message),
      );
    });
  }

  const light: [what: string, text: string][] = [
    ["600,000 numbers", `[${"0.125,".repeat(600_000)}1]`],
    ["20,000 rows of five members", `[${'{"time":1,"name":"sensor","value":1.5,"unit":"C","ok":true},'.repeat(20_000)}1]`],
    ["a text of 4 MB", `"${"x".repeat(4_000_000)}"`],
  ];
  for (const [what, text] of light) {
    it(`reads ${what}`, () => {
      assert.doesNotThrow(() => parseJson(text));
    });
  }

  for (const [text, message] of mistakes) {
    it(`refuses ${JSON.stringify(text.slice(0, 30))}: ${message}`, () => {
      assert.throws(
        () => parseJson(text),
        (error) => error instanceof JsonError && assert.equal(error.message, message) === undefined,
      );
    });
  }

  it("reads 100 nested arrays", () => {
    assert.ok(Array.isArray(parseJson("[".repeat(100) + "]".repeat(100))));
  });

  it("refuses 100,000 nested arrays at once", () => {
    assert.throws(() => parseJson("[".repeat(100_000)), JsonError);
  });

  it("agrees with JSON.parse on what it takes", () => {
    const text = JSON.stringify({ a: [1, -2.5, 1e21, '\u007f\u2028\\"', null, { b: { c: [] } }], d: true });
    assert.deepEqual(plain(parseJson(text)), JSON.parse(text));
  });

  it("describes a long text by its beginning", () => {
    assert.equal(describeJson("x".repeat(1000)), `"${"x".repeat(49)}... (1000 characters)`);
  });
});

function plain(value: unknown): unknown {
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, member]) => [key, plain(member)]));
  return Array.isArray(value) ? value.map(plain) : value;
}
