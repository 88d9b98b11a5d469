import assert from "node:assert/strict";
import { moneyText } from "./receipt.ts";

describe("moneyText", () => {
  for (const [amount, currency, text] of [
    [1234, "EUR", "12.34 EUR"],
    [5, "EUR", "0.05 EUR"],
    [1234, "JPY", "1234 JPY"],
    [1234, "KWD", "1.234 KWD"],
  ] as const) {
    it(`${amount} of ${currency} is ${text}`, () => assert.equal(moneyText(amount, currency), text));
  }
});
