import assert from "node:assert/strict";
import { weaknessOf } from "./password-rule.ts";

const rows: readonly (readonly [password: string, weakness: string | undefined])[] = [
  ["short", "is shorter than 8 characters"],
  ["        ", "consists of blanks"],
  ["aaaaaaaa", "repeats one or two characters"],
  ["abababab", "repeats one or two characters"],
  ["12345678", "is a sequence such as 12345678"],
  ["hgfedcba", "is a sequence such as 12345678"],
  ["password", "is among the most used passwords"],
  ["Password123!", "is among the most used passwords"],
  ["qwertyuiop", "is among the most used passwords"],
  ["1qaz2wsx", "is among the most used passwords"],
  ["ada@example.com", "is the address or the name"],
  ["Ada.Lovelace1815", "is the address or the name"],
  ["adalovelace", "is the address or the name"],
  ["correct horse battery", undefined],
  ["Tr0ub4dor&3", undefined],
  ["пароль-наоборот", undefined],
  ["🦀🦀🦀🐢🐢🐢🐙🐙", undefined],
];

describe("weaknessOf", () => {
  for (const [password, weakness] of rows) {
    it(`${JSON.stringify(password)} ${weakness ?? "is good"}`, () => {
      const email = password === "ada@example.com" ? "ADA@example.com" : "ada.lovelace@example.com";
      assert.equal(weaknessOf(password, email, "Ada Lovelace"), weakness);
    });
  }
});
