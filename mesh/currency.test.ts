import assert from "node:assert/strict";
import fc from "fast-check";
import { decimal, minorUnitDigits } from "./currency.ts";

describe("currencies", () => {
  for (const [amount, currency, expected] of [
    [0n, "EUR", "0.00"],
    [5n, "EUR", "0.05"],
    [-5n, "EUR", "-0.05"],
    [-123_456n, "EUR", "-1234.56"],
    [123_456n, "JPY", "123456"],
    [-1n, "JPY", "-1"],
    [1n, "KWD", "0.001"],
    [12_345n, "CLF", "1.2345"],
    [2n ** 63n - 1n, "USD", "92233720368547758.07"],
    [-(2n ** 63n), "USD", "-92233720368547758.08"],
  ] as const) {
    it(`write ${amount} of ${currency} as ${expected}`, () => {
      assert.equal(decimal(amount, currency), expected);
    });
  }

  it("lose no digit of any amount", () => {
    fc.assert(
      fc.property(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), fc.constantFrom(...minorUnitDigits.keys()), (amount, currency) => {
        const text = decimal(amount, currency);
        assert.equal(BigInt(text.replace(".", "")), amount);
        assert.equal(text.split(".")[1]?.length ?? 0, minorUnitDigits.get(currency));
      }),
    );
  });

  it("have codes of three letters, each once", () => {
    for (const code of minorUnitDigits.keys()) assert.match(code, /^[A-Z]{3}$/);
    assert.equal(minorUnitDigits.size, 164);
    assert.throws(() => decimal(1n, "XXX"), RangeError);
  });
});
