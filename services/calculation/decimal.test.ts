import assert from "node:assert/strict";
import fc from "fast-check";
import { decimalOf, decimalOfDouble, one, quotient, type Rounding, toDouble, toShortText, toText } from "./decimal.ts";

describe("decimals", () => {
  for (const [text, expected] of [
    ["12.30", "12.3"],
    ["-0.5", "-0.5"],
    ["1e-7", "0.0000001"],
    ["1.5e+3", "1500"],
    ["999999999999999999.999999999999999999", "999999999999999999.999999999999999999"],
    ["0.00000000000000000000000000000000000000001", "0"],
  ] as const) {
    it(`${text} is ${expected}`, () => assert.equal(toShortText(decimalOf(text), 20, "half-even"), expected));
  }

  for (const text of ["", ".", "1.2.3", "0x10", "1e", "NaN", "Infinity", "1 2", "1e301", "--1"]) {
    it(`${JSON.stringify(text)} is none`, () => assert.throws(() => decimalOf(text), RangeError));
  }

  it("0.1 as a double is one tenth", () => assert.equal(decimalOfDouble(0.1) * 10n, one));

  it("rounds to the nearest, down, up, and to both infinities", () => {
    const rounded = (rounding: Rounding) =>
      ["0.125", "0.135", "-0.125", "0.121", "0.129", "-0.121", "0.12"].map((text) => toText(decimalOf(text), 2, rounding));
    assert.deepEqual(rounded("half-even"), ["0.12", "0.14", "-0.12", "0.12", "0.13", "-0.12", "0.12"]);
    assert.deepEqual(rounded("half-up"), ["0.13", "0.14", "-0.13", "0.12", "0.13", "-0.12", "0.12"]);
    assert.deepEqual(rounded("down"), ["0.12", "0.13", "-0.12", "0.12", "0.12", "-0.12", "0.12"]);
    assert.deepEqual(rounded("up"), ["0.13", "0.14", "-0.13", "0.13", "0.13", "-0.13", "0.12"]);
    assert.deepEqual(rounded("floor"), ["0.12", "0.13", "-0.13", "0.12", "0.12", "-0.13", "0.12"]);
    assert.deepEqual(rounded("ceiling"), ["0.13", "0.14", "-0.12", "0.13", "0.13", "-0.12", "0.12"]);
  });

  it("-0.001 to two decimals is 0.00, without a sign", () => assert.equal(toText(decimalOf("-0.001"), 2, "half-even"), "0.00"));

  it("2 / 3 and -2 / 3 are rounded once, at the 40th decimal", () => {
    assert.equal(quotient(2n * one, 3n * one), 6_666_666_666_666_666_666_666_666_666_666_666_666_667n);
    assert.equal(quotient(-2n * one, 3n * one), -6_666_666_666_666_666_666_666_666_666_666_666_666_667n);
  });

  it("any double between 1e-20 and 1e20 comes back", () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-20, max: 1e20, noNaN: true }), (value) => {
        assert.equal(toDouble(decimalOfDouble(value)), value);
      }),
    );
  });

  it("whatever the mode, an amount is moved by less than a unit", () => {
    const modes: Rounding[] = ["half-even", "half-up", "down", "up", "floor", "ceiling"];
    fc.assert(
      fc.property(fc.bigInt({ min: -(10n ** 50n), max: 10n ** 50n }), fc.constantFrom(...modes), (value, mode) => {
        const moved = decimalOf(toText(value, 2, mode)) - value;
        assert.ok(moved < one / 100n && moved > -one / 100n);
      }),
    );
  });
});
