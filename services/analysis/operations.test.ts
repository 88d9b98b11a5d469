/** Every number that R has for its own data sets. */
import assert from "node:assert/strict";
import { expected, frameOf } from "./expected.fixture.ts";
import { type Operation, operations } from "./operations.ts";

const tolerance = 1e-9;

describe(`services/analysis against ${expected.r}`, () => {
  for (const { name, operation, dataset, request, expected: right } of expected.cases) {
    it(`${name}: every number to 1e-9`, () => {
      const { answer } = operations[operation as Operation](frameOf(dataset), request);
      const differences = [...compare(answer, right, "")];
      assert.deepEqual(
        differences.filter(({ off }) => !(off <= tolerance)),
        [],
      );
      assert.ok(differences.length >= 5);
    });
  }

  for (const { name, dataset, request, sumOfSquaredErrors } of expected.best) {
    it(`${name}: errors as small as those of R's optimizer`, () => {
      const { answer } = operations.timeSeries(frameOf(dataset), request);
      const found = answer.forecast?.sumOfSquaredErrors ?? Number.NaN;
      assert.ok(found <= sumOfSquaredErrors * (1 + 1e-6), `${found} against ${sumOfSquaredErrors}`);
    });
  }
});

interface Difference {
  readonly path: string;
  readonly got: unknown;
  readonly right: unknown;
  /** Relative; of p-values that R makes as 1 less a number next to 1, what is beyond R's own rounding. */
  readonly off: number;
}

/** Every leaf of `right` with what `actual` has in its place. */
function* compare(actual: unknown, right: unknown, path: string): Generator<Difference> {
  if (typeof right === "object" && right !== null) {
    if (Array.isArray(right) && (!Array.isArray(actual) || actual.length !== right.length)) {
      yield { path, got: actual, right, off: Number.NaN };
    }
    for (const [key, value] of Object.entries(right)) {
      yield* compare((actual as Record<string, unknown> | undefined)?.[key], value, `${path}.${key}`);
    }
    return;
  }
  if (typeof right !== "number") yield { path, got: actual, right, off: actual === right ? 0 : Number.NaN };
  else if (typeof actual !== "number") yield { path, got: actual, right, off: Number.NaN };
  else yield { path, got: actual, right, off: actual === right ? 0 : Math.abs(actual - right) / Math.abs(right) };
}
