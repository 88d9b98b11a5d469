import assert from "node:assert/strict";
import { emptyReading, readExposition, TooLargeError } from "./exposition.ts";
import { callsText, callsType } from "./metrics.fixture.ts";
import { FormatError } from "./sample-key.ts";
import { Vocabulary, vocabularyLimits } from "./vocabulary.ts";

const limits = { maxSamples: 1000, maxNew: 2000 };

/** Everything that a text says, by name. */
function read(text: string, vocabulary = new Vocabulary()) {
  const reading = emptyReading();
  readExposition(text, vocabulary, limits, reading);
  const measures: Record<string, number | readonly number[]> = {};
  for (const [at, { name, kind }] of vocabulary.measures.entries()) {
    const own = vocabulary.counters.filter(({ measure }) => measure === at).map(({ index }) => reading.values[index] ?? 0);
    measures[name] = kind === "counter" ? own : [reading.gaugeSums[at] ?? 0, reading.gaugeMaxima[at] ?? 0];
  }
  return { measures, samples: reading.samples, startTime: reading.startTime };
}

describe("readExposition", () => {
  for (const [value, expected] of [
    ["1", 1],
    ["+1", 1],
    ["-1.5", -1.5],
    ["1e3", 1000],
    [".5", 0.5],
    ["5.", 5],
    ["1.7e-07", 1.7e-7],
    ["9007199254740993", 9007199254740992],
    ["123456789012345678", 123456789012345680],
    ["1 1395066363000", 1],
    ["1 -62135596800000", 1],
    ["\t 7 \t ", 7],
  ] as const) {
    it(`takes x ${JSON.stringify(value)} for ${expected}`, () => {
      assert.deepEqual(read(`# TYPE x gauge\nx ${value}\n`).measures, { x: [expected, expected] });
    });
  }

  it("adds the samples of a gauge up and keeps the greatest, NaN and Inf left out", () => {
    const text = '# TYPE x gauge\nx{a="1"} 3\nx{a="2"} 4\nx{a="3"} NaN\nx{a="4"} +Inf\nx{a="5"} -Inf\n';
    assert.deepEqual(read(text), { measures: { x: [7, 4] }, samples: 5, startTime: undefined });
  });

  for (const line of [
    'x_total{a="b"} 2',
    'x_total{a="b",} 2',
    'x_total { a = "b" , c="d" } 2',
    "x_total{} 2",
    'x_total{a="}"} 2',
    'x_total{a="\\"\\\\\\n{"} 2',
    'x_total{a="Ä 日本"} 2',
    '  x_total{a=" # "} 2',
  ]) {
    it(`takes ${line}`, () => {
      assert.deepEqual(read(`# TYPE x_total counter\n${line}\n`).measures, { x_total: [2] });
    });
  }

  it("takes empty lines, comments, HELP with any text, and samples without a type", () => {
    const text = '\n \t\n# anything\n#\n# HELP x It\'s \\\\ "so" {\n# HELP y\nx 1\nx{a="2"} 2\nprocess_start_time_seconds 12.5\n';
    assert.deepEqual(read(text), { measures: {}, samples: 3, startTime: 12.5 });
  });

  it("counts number and sum of a histogram or summary as counters", () => {
    const text =
      '# TYPE h histogram\nh_bucket{le="1"} 1\nh_bucket{le="+Inf"} 2\nh_sum 5\nh_count 2\n# TYPE s summary\ns{quantile="0.5"} 1\ns_sum 7\ns_count 3\n';
    assert.deepEqual(read(text).measures, { h_sum: [5], h_count: [2], s_sum: [7], s_count: [3] });
  });

  for (const [text, message] of [
    ["x 1", /line 1, column 4: expected a line feed at the end/],
    ["x\n", /line 1, column 2: expected a blank and a value, got the end/],
    ["x \n", /line 1, column 3: expected a blank and a value, got the end/],
    ["ok 1\nx one\n", /line 2, column 3: expected a number, got "one"/],
    ["x 1\r\n", /expected a number, got "1\\r"/],
    ["x 0x10\n", /expected a number, got "0x10"/],
    ["x 1_000\n", /expected a number/],
    ["x 1 2 3\n", /expected a blank and a value/],
    ["x 1 1.5\n", /expected a timestamp in milliseconds, got "1.5"/],
    ["1x 1\n", /line 1, column 1: expected a name, got "1x"/],
    ["é 1\n", /expected a name/],
    ['x{1a="b"} 1\n', /line 1, column 3: expected a name/],
    ['x{a:b="b"} 1\n', /column 4: expected "="/],
    ["x{a=b} 1\n", /column 5: expected "\\"", got "b}"/],
    ['x{a="b"\n', /column 1: expected "}" at the end of the labels, got the end of the line/],
    ['x{a="b\n"} 1\n', /expected "}" at the end of the labels/],
    ['x{a="b" c="d"} 1\n', /column 9: expected ",", got "c=/],
    ['x{a="b",a="c"} 1\n', /label a is there twice/],
    ['x{a="\\t"} 1\n', /expected an escape/],
    ['x{a="1"} 1\nx{a="1"} 2\n', /line 2, column 1: x\{a="1"\} is there twice/],
    ["# TYPE x gauge\n# TYPE x gauge\nx 1\n", /line 2, .*second TYPE of x/],
    ["x 1\n# TYPE x gauge\n", /line 2, .*TYPE of x comes after its samples/],
    ["# TYPE x meter\n", /column 10: expected counter, gauge, histogram, summary or untyped, got "meter"/],
    ["# TYPE x\n", /expected counter, gauge/],
    ["# HELP\n", /expected a name, got ""/],
    ['x{a="1"} 1\ny 1\nx{a="2"} 1\n', /line 3, column 1: the samples of x do not stand together/],
    ["# TYPE h histogram\nh 1\n", /expected h_bucket, h_sum or h_count of histogram h/],
    ["<html>\n", /line 1, column 1: expected a name, got "<html>"/],
  ] as const) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      const vocabulary = new Vocabulary();
      assert.throws(
        () => read(text, vocabulary),
        (error) => error instanceof FormatError && message.test(error.message),
      );
      // What is known of a refused text does not make it right.
      assert.throws(
        () => read(text, vocabulary),
        (error) => error instanceof FormatError && message.test(error.message),
      );
    });
  }

  it("says the same of a text that it knows, with other values and in another order", () => {
    const vocabulary = new Vocabulary();
    const lines = ['x_total{a="1"} 1', 'x_total{a="2"} 2', 'x_total{a="3"} 3'];
    const text = (...some: readonly (string | undefined)[]) => `# TYPE x_total counter\n${some.join("\n")}\n`;
    assert.deepEqual(read(text(...lines), vocabulary).measures, { x_total: [1, 2, 3] });
    assert.deepEqual(read(text(...lines.toReversed()), vocabulary).measures, { x_total: [1, 2, 3] });
    assert.deepEqual(read(text(lines[2]?.replace(" 3", " 30")), vocabulary).measures, { x_total: [Number.NaN, Number.NaN, 30] });
    assert.deepEqual(read(text(...lines), vocabulary).measures, { x_total: [1, 2, 3] });
  });

  it("goes on with a name whose type changed, back and forth", () => {
    const vocabulary = new Vocabulary();
    const gauge = "# TYPE x gauge\nx 5\n";
    const counter = "# TYPE x counter\nx 6\n";
    for (let turn = 0; turn < 3; turn++) {
      assert.deepEqual(read(gauge, vocabulary).measures.x, turn === 0 ? [5, 5] : [Number.NaN]);
      assert.deepEqual(read(counter, vocabulary).measures.x, [6]);
    }
    assert.equal(vocabulary.counters.length, 1);
  });

  it("does not take x for x{}, and x_count for a family when x became a histogram", () => {
    const vocabulary = new Vocabulary();
    assert.equal(read("x 1\nx_count 3\n", vocabulary).samples, 2);
    const histogram = '# TYPE x histogram\nx_bucket{le="+Inf"} 4\nx_sum 1\nx_count 4\n';
    assert.deepEqual(read(histogram, vocabulary).measures, { x_sum: [1], x_count: [4] });
    assert.equal(read("x 1\nx_count 3\n", vocabulary).samples, 2);
  });

  it("stops at 1,000 samples, and at 2,000 lines that it does not know", () => {
    const samples = Array.from({ length: 1001 }, (_, at) => `x{a="${at}"} 1\n`).join("");
    assert.throws(() => read(samples), new TooLargeError("more than 1000 samples"));
    const comments = Array.from({ length: 2001 }, (_, at) => `# HELP x${at} text\n`).join("");
    assert.throws(() => read(comments), new TooLargeError("more than 2000 of its series are new"));
  });

  it("stops when the vocabulary is full, and at its measures with the rest left out", () => {
    const vocabulary = new Vocabulary({ ...vocabularyLimits, maxEntries: 4, maxMeasures: 1 });
    assert.deepEqual(read("# TYPE x gauge\nx 1\n# TYPE y gauge\ny 2\n", vocabulary).measures, { x: [1, 1] });
    assert.deepEqual([...vocabulary.truncated], ["measure"]);
    assert.throws(() => read("z 1\n", vocabulary), TooLargeError);
  });

  it("counts methods beyond its limit as other", () => {
    const vocabulary = new Vocabulary({ ...vocabularyLimits, maxMethods: 1 });
    read(
      callsType + callsText("a", "OK", [1, 0, 0]) + callsText("b", "OK", [1, 0, 0]) + callsText("c", "OK", [1, 0, 0]),
      vocabulary,
    );
    assert.deepEqual(
      vocabulary.callSeries.map(({ method }) => method),
      ["a", "other", "other"],
    );
    assert.deepEqual([...vocabulary.truncated], ["method"]);
  });
});
