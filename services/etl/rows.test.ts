import assert from "node:assert/strict";
import fc from "fast-check";
import { CellError, cast, fromJson, parseJson, read } from "./cell.ts";
import type { ReadRows } from "./chunk.ts";
import { copyLine } from "./copy-text.ts";
import { csvRows } from "./csv-rows.ts";
import type { FileInput, Position } from "./job.ts";
import { arrayRows, ndjsonRows } from "./json-rows.ts";

const csv = { delimiter: ",", noHeader: false, nullText: "", trim: false };
const two = ["a", "b"].map((name) => ({ name, type: "text" as const }));
const start = { offset: 0, line: 1 };
const inputOf = (format: FileInput["format"], more: Partial<FileInput> = {}): FileInput => {
  const base = {
    kind: "file",
    uploadId: "",
    format,
    csv,
    columns: two,
    fields: [0, 1],
    fieldCount: 2,
    ignoreUnknownFields: false,
  } as const;
  return { ...base, start, ...more };
};

/** What a reader makes of a text that it sees in stretches of `size` bytes, which grow where nothing fits into one. */
function readAll(rowsOf: typeof csvRows, text: string | Buffer, size: number, input: FileInput) {
  const bytes = Buffer.from(text);
  const found: [number, unknown, string][] = [];
  let position: Position = start;
  for (let length = size; ; ) {
    const piece = bytes.subarray(position.offset, position.offset + length);
    const last = position.offset + piece.length >= bytes.length;
    const read: ReadRows = rowsOf(piece, position, last, input);
    found.push(...read.rows.map(({ line, cells, text: raw }): [number, unknown, string] => [line, cells, raw()]));
    if (read.done) return found;
    if (read.next.offset === position.offset) {
      assert.ok(!last, "no progress at the end");
      length *= 2;
    } else length = size;
    position = read.next;
  }
}

describe("etl rows", () => {
  it("CSV: a quote where none may be takes its line with it, and reading goes on behind it", () => {
    const text = '1,"x\ny"\n2,a"b\n3,"open\n4,"c"d\n5,"",\n6,ok\r\n\n7,"end';
    assert.deepEqual(
      readAll(csvRows, text, 1000, inputOf("csv")).map(([line, cells]) => [line, cells]),
      [
        [1, ["1", "x\ny"]],
        [3, 'Invalid Opening Quote: a quote is found on field 1, value is "a"'],
        [
          4,
          'Invalid Closing Quote: got "c" instead of delimiter, record delimiter, trimable character (if activated) or comment',
        ],
        [
          5,
          'Invalid Closing Quote: got "d" instead of delimiter, record delimiter, trimable character (if activated) or comment',
        ],
        [6, "expected 2 fields, got 3"],
        [7, ["6", "ok"]],
        [9, "Quote Not Closed: the parsing is finished with an opening quote"],
      ],
    );
  });

  it("CSV: a row that is not UTF-8 is rejected, those beside it are read", () => {
    const bytes = Buffer.concat([Buffer.from("1,a\n2,"), Buffer.from([0xff]), Buffer.from("\n3,c\n")]);
    assert.deepEqual(
      readAll(csvRows, bytes, 1000, inputOf("csv")).map(([line, cells]) => [line, cells]),
      [
        [1, ["1", "a"]],
        [2, "expected UTF-8"],
        [3, ["3", "c"]],
      ],
    );
  });

  it("NDJSON: what is no object, or has an unknown field, is rejected by its line", () => {
    const text = '{"a":"1"}\n\n[1]\n{"a":\n{"c":1}\n{"b":null,"a":"x"}';
    assert.deepEqual(
      readAll(ndjsonRows, text, 1000, inputOf("ndjson")).map(([line, cells]) => [line, cells]),
      [
        [1, ["1", null]],
        [3, 'expected an object, got "[1]"'],
        [4, "expected JSON: Unexpected end of JSON input"],
        [5, 'unknown field "c"'],
        [6, ["x", null]],
      ],
    );
  });

  it("JSON: an item that is no JSON does not keep the next from being found; one array is expected, and its end", () => {
    const text = ' [\n{"a":"]"}, {"a" 1},\n {"a":"2"} ] ';
    assert.deepEqual(
      readAll(arrayRows, text, 1000, inputOf("json")).map(([line, cells]) => [line, Array.isArray(cells) ? cells : "bad"]),
      [
        [2, ["]", null]],
        [2, "bad"],
        [3, ["2", null]],
      ],
    );
    assert.throws(() => readAll(arrayRows, '{"a":"1"}', 1000, inputOf("json")), CellError);
    assert.throws(() => readAll(arrayRows, '[{"a":"1"}', 1000, inputOf("json")), /expected the end of the array/);
    assert.throws(() => readAll(arrayRows, '[{"a":"1"}] {"a":"2"}', 1000, inputOf("json")), /nothing behind the array/);
  });

  for (const [format, rowsOf, pieces] of [
    ["csv", csvRows, ["1,a\n", '2,"b\nc"\r\n', "3,é\n", "4\n", '5,x"y\n', '6,""\n', '7,"""q"""\n']],
    ["ndjson", ndjsonRows, ['{"a":"1"}\n', '{"a":"é","b":"\\n"}\r\n', "[]\n", "\n", '{"b":"}"}\n']],
  ] as const) {
    it(`${format}: how the bytes are cut does not change rows, lines and rejects`, () => {
      fc.assert(
        fc.property(fc.array(fc.constantFrom(...pieces), { maxLength: 30 }), fc.integer({ min: 20, max: 80 }), (some, size) => {
          const input = inputOf(format);
          assert.deepEqual(readAll(rowsOf, some.join(""), size, input), readAll(rowsOf, some.join(""), 100_000, input));
        }),
      );
    });
  }

  it("JSON: how the bytes are cut does not change rows, lines and rejects", () => {
    const items = ['{"a":"1"}', '{"a":"[\\"",\n"b":"2"}', "{}", "1", '{"a":"é"}'];
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...items), { maxLength: 30 }), fc.integer({ min: 20, max: 80 }), (some, size) => {
        const [input, text] = [inputOf("json"), `[${some.join(",\n")}]`];
        assert.deepEqual(readAll(arrayRows, text, size, input), readAll(arrayRows, text, 100_000, input));
      }),
    );
  });

  it("COPY escapes what it must", () => {
    assert.equal(copyLine(7, ["a\tb\\n", null, "\n\r", "\\N"]), "7\ta\\tb\\\\n\t\\N\t\\n\\r\t\\\\N\n");
  });
});

describe("etl cells", () => {
  for (const [type, text, cell] of [
    ["integer", "9223372036854775807", "9223372036854775807"],
    ["integer", "+5", "+5"],
    ["double", ".5e3", ".5e3"],
    ["double", "nan", "NaN"],
    ["decimal", "-0.10", "-0.10"],
    ["boolean", "Yes", "t"],
    ["boolean", "0", "f"],
    ["timestamp", "2026-11-21 10:00", "2026-11-21 10:00"],
    ["timestamp", "2024-02-29T23:59:59.999999999-15:59", "2024-02-29T23:59:59.999999999-15:59"],
    ["date", "2000-02-29", "2000-02-29"],
    ["json", ' {"a": 12345678901234567890, "b": 0.10} ', '{"a":12345678901234567890,"b":0.10}'],
  ] as const) {
    it(`${text} is a ${type}`, () => assert.equal(read(type, text), cell));
  }

  for (const [type, text] of [
    ["integer", "9223372036854775808"],
    ["integer", "1.0"],
    ["integer", "0x10"],
    ["double", "1e999"],
    ["double", "1e-999"],
    ["double", "1,5"],
    ["decimal", "1e5000"],
    ["decimal", "NaN"],
    ["boolean", "maybe"],
    ["timestamp", "2026-02-29T00:00:00Z"],
    ["timestamp", "2026-01-01T24:00:00Z"],
    ["timestamp", "yesterday"],
    ["date", "1900-02-29"],
    ["date", "2026-13-01"],
    ["json", "{a:1}"],
    ["json", '"\\u0000"'],
    ["json", '"\\ud800"'],
    ["json", "1e99999"],
    ["text", "a\0b"],
  ] as const) {
    it(`${JSON.stringify(text)} is no ${type}`, () => assert.throws(() => read(type, text), CellError));
  }

  it("Cast drops blanks, makes null of nothing, and keeps digits", () => {
    assert.equal(cast("integer", "text", " 12 "), "12");
    assert.equal(cast("integer", "text", "  "), null);
    assert.equal(cast("integer", "double", "3.0"), "3");
    assert.equal(cast("json", "decimal", ".50"), "0.50");
    assert.equal(cast("text", "boolean", "t"), "true");
    assert.equal(cast("date", "timestamp", "2026-11-21 23:30:00-02"), "2026-11-22");
    assert.equal(cast("text", "json", '"a"'), "a");
    assert.throws(() => cast("integer", "double", "3.5"), CellError);
  });

  it("numbers of JSON keep what doubles cannot", () => {
    const { a, b } = parseJson('{"a": 9007199254740993, "b": 0.1234567890123456789}') as { a: unknown; b: unknown };
    assert.deepEqual([fromJson("integer", a), fromJson("decimal", b)], ["9007199254740993", "0.1234567890123456789"]);
  });
});
