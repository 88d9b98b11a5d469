/** The contract: where data come from, what is missing, what is refused, and pictures. */
import assert from "node:assert/strict";
import { ColumnType, Layout } from "#gen/etl/v1/table_pb.ts";
import { type Fixture, refusal, startFixture, type TableAnswer } from "./analysis.fixture.ts";
import { expected } from "./expected.fixture.ts";

const { mtcars = {}, airquality = {} } = expected.datasets;
type Data = Record<string, (number | string | null)[]>;
const cars = mtcars as Data;
const air = airquality as Data;

const dose: TableAnswer = [
  {
    columns: [
      { name: "dose", type: ColumnType.INTEGER },
      { name: "length", type: ColumnType.DOUBLE },
      { name: "price", type: ColumnType.DECIMAL },
      { name: "kind", type: ColumnType.TEXT },
    ],
    rowCount: 5n,
    batch: {
      rowCount: 3,
      values: [
        { integers: [1n, 1n, 2n] },
        { doubles: [4, 0, 9], missing: [1] },
        { texts: ["0.10", "0.20", "0.30"] },
        { texts: ["a", "b", "a"] },
      ],
    },
  },
  {
    batch: {
      rowCount: 2,
      values: [{ integers: [2n, 3n] }, { doubles: [11, 14] }, { texts: ["0.40", "0.50"] }, { texts: ["b", "a"] }],
    },
  },
];

describe("services/analysis", () => {
  let fixture: Fixture;
  before(() => {
    const huge = [{ columns: [{ name: "x", type: ColumnType.DOUBLE }], rowCount: 200_001n }];
    fixture = startFixture({ dose, huge });
  });
  after(() => fixture[Symbol.asyncDispose]());

  describe("data", () => {
    const csv = "mpg,wt\n21,2.62\n22.8,2.32\n21.4,NA\n18.7,3.44\n18.1,3.46\n";
    const numbers = { mpg: [21, 22.8, 21.4, 18.7, 18.1], wt: [2.62, 2.32, Number.NaN, 3.44, 3.46] };
    const bytes = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
    const lists = { mpg: numbers.mpg, wt: [2.62, 2.32, null, 3.44, 3.46] };
    const rows = lists.mpg.map((mpg, at) => (lists.wt[at] === null ? { mpg } : { mpg, wt: lists.wt[at] }));
    const forms = {
      "lists by name": { data: lists },
      columns: { columns: Object.entries(numbers).map(([name, values]) => ({ name, numbers: values })) },
      CSV: { csv },
      "a body of CSV with a byte order mark": {
        raw: { contentType: "text/csv; charset=utf-8", data: new TextEncoder().encode(`\ufeff${csv}`) },
      },
      "a body of JSON lists": { raw: { contentType: "application/json", data: bytes(lists) } },
      "a body of JSON objects": { raw: { contentType: "application/json", data: bytes(rows) } },
    };
    for (const [form, request] of Object.entries(forms)) {
      it(`comes as ${form}, and the row that lacks wt is left out`, async () => {
        const { coefficients, count, missing } = await fixture.client.regress({ ...request, response: "mpg" });
        assert.deepEqual(
          coefficients.map(({ name, estimate }) => [name, estimate?.toFixed(9)]),
          [
            ["(Intercept)", "31.058671440"],
            ["wt", "-3.685361973"],
          ],
        );
        const { rule, rowCount, usedRowCount, columns = [] } = missing ?? {};
        assert.deepEqual({ count, rule, rowCount, usedRowCount }, { count: 4, rule: "listwise", rowCount: 5, usedRowCount: 4 });
        assert.deepEqual(
          columns.map(({ name, count: lacking }) => [name, lacking]),
          [["wt", 1]],
        );
      });
    }

    it("comes from an etl table: only the columns in use are read, by column", async () => {
      const { count, estimate, samples } = await fixture.client
        .tTest({ table: "dose", variable: "length", group: "kind", equalVariances: true })
        .then(({ missing, ...rest }) => ({ ...rest, count: missing?.usedRowCount }));
      assert.deepEqual(
        [count, samples.map(({ name, count: of }) => [name, of])],
        [
          4,
          [
            ["a", 3],
            ["b", 1],
          ],
        ],
      );
      assert.equal(estimate, 9 - 11);
    }).timeout(5000);

    it("takes integers, decimals and texts of a table for what they are", async () => {
      const { summaries } = await fixture.client.describe({ table: "dose" });
      assert.deepEqual(
        summaries.map(({ variable, count, numeric, categorical }) => [variable, count, numeric?.mean ?? categorical?.levelCount]),
        [
          ["dose", 5, 1.8],
          ["length", 4, 9.5],
          ["price", 5, 0.3],
          ["kind", 5, 2],
        ],
      );
      const last = fixture.asked.at(-1);
      assert.deepEqual([last?.columns, last?.layout, last?.userId], [[], Layout.COLUMNS, ""]);
    });

    it("passes on that a table does not exist", async () => {
      assert.equal((await refusal(fixture.client.describe({ table: "none" }))).code, "NotFound");
    });
  });

  describe("missing values", () => {
    it("each two columns by the rows that have both, unless listwise is asked for", async () => {
      const variables = ["Ozone", "Solar.R", "Wind"];
      const pairwise = await fixture.client.correlate({ data: air, variables });
      const listwise = await fixture.client.correlate({ data: air, variables, missing: "listwise" });
      assert.deepEqual(
        pairwise.correlations.map(({ count }) => count),
        [111, 116, 146],
      );
      assert.deepEqual(
        listwise.correlations.map(({ count }) => count),
        [111, 111, 111],
      );
      assert.equal(pairwise.missing?.rule, "pairwise");
      assert.deepEqual(
        listwise.missing?.columns.map(({ name, count }) => [name, count]),
        [
          ["Ozone", 37],
          ["Solar.R", 7],
        ],
      );
    });

    it("says none where nothing is missing", async () => {
      const { missing } = await fixture.client.describe({ data: cars });
      assert.deepEqual([missing?.rule, missing?.rowCount, missing?.usedRowCount, missing?.columns], ["none", 32, 32, []]);
    });

    it("fills a gap of a series on the line and leaves out the ends", async () => {
      const { values, missing } = await fixture.client.timeSeries({
        data: { x: [null, 1, null, null, 4, 4, null] },
        model: "none",
      });
      assert.deepEqual(values, [1, 2, 3, 4, 4]);
      assert.deepEqual(
        [missing?.rule, missing?.rowCount, missing?.usedRowCount, missing?.columns[0]?.count],
        ["interpolated", 7, 5, 4],
      );
    });

    it("orders a series by its time", async () => {
      const data = { day: ["2026-01-03", "2026-01-01", "2026-01-02"], x: [3, 1, 2] };
      const { values } = await fixture.client.timeSeries({ data, time: "day", model: "none" });
      assert.deepEqual(values, [1, 2, 3]);
    });
  });

  describe("refuses", () => {
    const fields: readonly [string, (client: Fixture["client"]) => Promise<unknown>, string][] = [
      ["no data", (client) => client.describe({}), "data"],
      ["two kinds of data", (client) => client.describe({ csv: "a\n1\n", table: "t" }), "table"],
      ["a number among texts", (client) => client.describe({ data: { a: ["x", 1] } }), "data.a[1]"],
      ["a list in a list", (client) => client.describe({ data: { a: [1, [2]] } }), "data.a[1]"],
      ["20,001 values in data", (client) => client.describe({ data: { a: new Array(20_001).fill(1) } }), "data"],
      [
        "columns of two lengths",
        (client) =>
          client.describe({
            columns: [
              { name: "a", numbers: [1, 2] },
              { name: "b", texts: ["x"] },
            ],
          }),
        "columns",
      ],
      [
        "two columns of one name",
        (client) =>
          client.describe({
            columns: [
              { name: "a", numbers: [1] },
              { name: "a", numbers: [1] },
            ],
          }),
        "columns",
      ],
      [
        "an infinite number",
        (client) => client.describe({ columns: [{ name: "a", numbers: [1, Number.POSITIVE_INFINITY] }] }),
        "columns[0].numbers[1]",
      ],
      ["a line of CSV that is too long", (client) => client.describe({ csv: "a,b\n1,2,3\n" }), "csv"],
      [
        "a body of another type",
        (client) => client.describe({ raw: { contentType: "text/html", data: new Uint8Array(1) } }),
        "raw",
      ],
      [
        "a body that is no JSON",
        (client) => client.describe({ raw: { contentType: "application/json", data: new Uint8Array([123]) } }),
        "raw",
      ],
      [
        "a body that is no UTF-8",
        (client) => client.describe({ raw: { contentType: "text/csv", data: new Uint8Array([0xff]) } }),
        "raw",
      ],
      ["a table of 200,001 rows", (client) => client.describe({ table: "huge" }), "table"],
      ["a column that is not there", (client) => client.describe({ data: cars, variables: ["mpg", "no"] }), "variables[1]"],
      [
        "a text column where numbers are needed",
        (client) => client.regress({ data: { a: ["x"], b: [1] }, response: "a" }),
        "response",
      ],
      ["a group of three", (client) => client.tTest({ data: cars, variable: "mpg", group: "cyl" }), "group"],
      ["paired without a second", (client) => client.tTest({ data: cars, variable: "mpg", paired: true }), "second"],
      ["breaks that do not span the values", (client) => client.histogram({ data: { x: [1, 2, 3] }, breaks: [1, 2] }), "breaks"],
      ["a histogram of one of eleven columns", (client) => client.histogram({ data: cars }), "variable"],
      [
        "a multiplicative season of zeros",
        (client) => client.timeSeries({ data: { x: [1, 0, 1, 2, 1, 2] }, frequency: 2, seasonal: "multiplicative" }),
        "seasonal",
      ],
      ["a confidence level of 2", (client) => client.describe({ data: cars, confidenceLevel: 2 }), "confidence_level"],
    ];
    for (const [what, call, field] of fields) {
      it(`${what}, naming ${field}`, async () => {
        const { code, fields: named } = await refusal(call(fixture.client));
        assert.deepEqual([code, named], ["InvalidArgument", [field]]);
      });
    }

    const causes: readonly [string, (client: Fixture["client"]) => Promise<unknown>, string][] = [
      ["a t-test of one value", (client) => client.tTest({ data: { x: [1] }, variable: "x" }), "TOO_FEW_VALUES"],
      ["a t-test of 3, 3, 3", (client) => client.tTest({ data: { x: [3, 3, 3] }, variable: "x" }), "NO_VARIATION"],
      [
        "an analysis of variance of one group",
        (client) => client.anova({ data: { x: [1, 2], g: ["a", "a"] }, response: "x", factors: ["g"] }),
        "NO_VARIATION",
      ],
      [
        "one of groups of one",
        (client) => client.anova({ data: { x: [1, 2], g: ["a", "b"] }, response: "x", factors: ["g"] }),
        "TOO_FEW_VALUES",
      ],
      [
        "Tukey's comparisons of a design that is not balanced",
        (client) => client.anova({ data: cars, response: "mpg", factors: ["cyl", "am"], tukey: true }),
        "NOT_BALANCED",
      ],
      [
        "Holt and Winters' forecast of two seasons and no more",
        (client) => client.timeSeries({ data: { x: [1, 2, 1, 2] }, frequency: 2, model: "holt_winters" }),
        "TOO_FEW_VALUES",
      ],
    ];
    for (const [what, call, reason] of causes) {
      it(`${what} with ${reason}`, async () => {
        const { code, reason: got } = await refusal(call(fixture.client));
        assert.deepEqual([code, got], ["FailedPrecondition", reason]);
      });
    }
  });

  describe("degenerate data", () => {
    it("a perfect line has residuals of 0 and no test that would divide by them", async () => {
      const { rSquared, coefficients } = await fixture.client.regress({ data: { x: [1, 2, 4], y: [2, 4, 8] }, response: "y" });
      assert.ok(Math.abs((rSquared ?? 0) - 1) < 1e-12);
      assert.ok(Math.abs((coefficients[1]?.estimate ?? 0) - 2) < 1e-12);
    });

    it("as many terms as rows have estimates and no errors", async () => {
      const { coefficients, residualStandardError } = await fixture.client.regress({
        data: { x: [1, 3], y: [1, 5] },
        response: "y",
      });
      assert.deepEqual(
        coefficients.map(({ standardError }) => standardError),
        [undefined, undefined],
      );
      assert.equal(residualStandardError, undefined);
    });

    it("a column that does not vary has no correlation", async () => {
      const { correlations } = await fixture.client.correlate({ data: { x: [1, 1, 1], y: [1, 2, 3] } });
      assert.deepEqual([correlations[0]?.count, correlations[0]?.coefficient, correlations[0]?.test], [3, undefined, undefined]);
    });

    it("a column without values has a count of 0, and 5, 5 one bin", async () => {
      const { summaries } = await fixture.client.describe({ data: { x: [null, null] } });
      assert.deepEqual([summaries[0]?.count, summaries[0]?.missingCount, summaries[0]?.numeric], [0, 2, undefined]);
      const { bins } = await fixture.client.histogram({ data: { x: [5, 5] }, breaks: [0, 10] });
      assert.deepEqual(
        bins.map(({ count }) => count),
        [2],
      );
    });
  });

  describe("plots", () => {
    const plots: readonly [string, (client: Fixture["client"]) => Promise<{ contentType: string; data: Uint8Array }>, RegExp][] =
      [
        ["describe", (client) => client.drawDescribe({ data: air, variables: ["Ozone"], groupBy: "Month" }), /Ozone 5/],
        ["describe of texts", (client) => client.drawDescribe({ data: { kind: ["a", "b", "b"] } }), /kind/],
        ["correlate", (client) => client.drawCorrelate({ data: cars }), /-0\.85/],
        [
          "regress of one predictor",
          (client) => client.drawRegress({ data: cars, response: "mpg", predictors: ["wt"] }),
          /R squared 0\.753/,
        ],
        [
          "regress of two",
          (client) => client.drawRegress({ data: cars, response: "mpg", predictors: ["wt", "hp"] }),
          /fitted mpg/,
        ],
        ["t-test", (client) => client.drawTTest({ data: cars, variable: "mpg", group: "am" }), /welch t-test: t = -3\.77/],
        ["anova", (client) => client.drawAnova({ data: cars, response: "mpg", factors: ["cyl"] }), /mpg by cyl/],
        ["histogram", (client) => client.drawHistogram({ data: cars, variable: "mpg" }), /Histogram of mpg/],
        [
          "timeseries",
          (client) => client.drawTimeSeries({ data: { x: cars.mpg ?? [] }, frequency: 4 }),
          /forecast \(holt winters\)/,
        ],
      ];
    for (const [what, call, text] of plots) {
      it(`draws ${what} in 900 by 500 pixels or its default`, async () => {
        const { contentType, data } = await call(fixture.client);
        const svg = new TextDecoder().decode(data);
        assert.equal(contentType, "image/svg+xml");
        assert.match(svg, /^<svg [^>]*width="800" height="400"/);
        assert.match(svg, text);
        assert.doesNotMatch(svg, /NaN|Infinity|undefined/);
      }).timeout(20_000);
    }
  });
});
