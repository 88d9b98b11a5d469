/** NIST's Statistical Reference Datasets (https://www.itl.nist.gov/div898/strd): certified values of hard cases. */
import assert from "node:assert/strict";
import { frameOf } from "./expected.fixture.ts";
import type { Frame } from "./frame.ts";
import { operations } from "./operations.ts";

const norris = `0.2 0.1, 337.4 338.8, 118.2 118.1, 884.6 888.0, 10.1 9.2, 226.5 228.1, 666.3 668.5, 996.3 998.5, 448.6 449.1, 777.0 778.9,
558.2 559.2, 0.4 0.3, 0.6 0.1, 775.5 778.1, 666.9 668.8, 338.0 339.3, 447.5 448.9, 11.6 10.8, 556.0 557.7, 228.1 228.3, 995.8 998.0,
887.6 888.8, 120.2 119.6, 0.3 0.3, 0.3 0.6, 556.8 557.6, 339.1 339.3, 887.2 888.0, 999.0 998.5, 779.0 778.9, 11.1 10.2, 118.3 117.6,
229.2 228.9, 669.1 668.4, 448.9 449.2, 0.5 0.2`;

describe("services/analysis on NIST's reference data", () => {
  it("Norris, of lower difficulty: certified values to 1e-10", () => {
    const rows = norris.split(",").map((row) => row.trim().split(" ").map(Number));
    const answer = operations.regress(frame({ x: rows.map(([x]) => x ?? 0), y: rows.map(([, y]) => y ?? 0) }), {
      response: "y",
    }).answer;
    certified(answer, [
      ["(Intercept)", -0.262323073774029, 0.232818234301152],
      ["x", 1.00211681802045, 0.000429796848199937],
    ]);
    close(answer.residualStandardError, 0.88479639614438);
    close(answer.rSquared, 0.999993745883712);
    close(answer.test?.statistic, 5436385.54079785);
  });

  it("Longley, of higher difficulty: certified values to 1e-10", () => {
    const column = (name: string, scale: number) => {
      const found = frameOf("longley").columns.find((one) => one.name === name);
      assert.ok(found?.kind === "numbers");
      return Array.from(found.values, (value) => Math.round(value * scale * 10) / 10);
    };
    const data = {
      deflator: column("GNP.deflator", 1),
      gnp: column("GNP", 1000),
      unemployed: column("Unemployed", 10),
      forces: column("Armed.Forces", 10),
      population: column("Population", 1000),
      year: column("Year", 1),
      employed: column("Employed", 1000),
    };
    const answer = operations.regress(frame(data), { response: "employed" }).answer;
    certified(answer, [
      ["(Intercept)", -3482258.63459582, 890420.383607373],
      ["deflator", 15.0618722713733, 84.9149257747669],
      ["gnp", -0.035819179292591, 0.0334910077722432],
      ["unemployed", -2.02022980381683, 0.488399681651699],
      ["forces", -1.03322686717359, 0.214274163161675],
      ["population", -0.0511041056535807, 0.22607320006937],
      ["year", 1829.15146461355, 455.478499142212],
    ]);
    close(answer.residualStandardError, 304.854073561965);
    close(answer.rSquared, 0.995479004577296);
    close(answer.test?.statistic, 330.285339234588);
  });

  it("NumAcc4, 1,001 values near 10,000,000: certified mean, and standard deviation to 1e-8", () => {
    const values = Array.from({ length: 1001 }, (_, at) => (at === 0 ? 10000000.2 : at % 2 === 1 ? 10000000.1 : 10000000.3));
    const numeric = operations.describe(frame({ x: values }), {}).answer.summaries[0]?.numeric;
    assert.equal(numeric?.mean, 10000000.2);
    // The values themselves are stored with 8 digits behind the point less than these.
    close(numeric?.standardDeviation, 0.1, 1e-8);
  });
});

function frame(data: Readonly<Record<string, readonly number[]>>): Frame {
  const columns = Object.entries(data).map(([name, values]) => ({
    kind: "numbers" as const,
    name,
    values: Float64Array.from(values),
  }));
  return { rowCount: columns[0]?.values.length ?? 0, columns };
}

function certified(
  { coefficients }: ReturnType<typeof operations.regress>["answer"],
  right: readonly (readonly [name: string, estimate: number, error: number])[],
): void {
  assert.deepEqual(
    coefficients.map(({ name }) => name),
    right.map(([name]) => name),
  );
  for (const [at, [, estimate, error]] of right.entries()) {
    close(coefficients[at]?.estimate, estimate);
    close(coefficients[at]?.standardError, error);
  }
}

function close(got: number | undefined, right: number, tolerance = 1e-10): void {
  const off = Math.abs((got ?? Number.NaN) - right) / Math.abs(right);
  assert.ok(off <= tolerance, `${got} against ${right}: ${off}`);
}
