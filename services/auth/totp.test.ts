import assert from "node:assert/strict";
import { Secret } from "otpauth";
import { newTotpSecret, stepOfCode, totpCode, totpUri } from "./totp.ts";

// RFC 6238, appendix B: the SHA-1 rows, of which 6 digits are the last 6 of the 8 given there.
const secret = Secret.fromUTF8("12345678901234567890").base32;
const vectors: readonly (readonly [seconds: number, code: string])[] = [
  [59, "287082"],
  [1_111_111_109, "081804"],
  [1_111_111_111, "050471"],
  [1_234_567_890, "005924"],
  [2_000_000_000, "279037"],
  [20_000_000_000, "353130"],
];

describe("TOTP", () => {
  for (const [seconds, code] of vectors) {
    it(`at ${seconds} s the code of RFC 6238's secret is ${code}`, () => {
      assert.equal(totpCode(secret, seconds * 1000), code);
      assert.equal(stepOfCode(secret, code, seconds * 1000, 0), Math.floor(seconds / 30));
    });
  }

  it("a code counts one step before and after its own, and not two", () => {
    const now = 1_800_000_000_000;
    const step = now / 30_000;
    const found = [-2, -1, 0, 1, 2].map((off) => stepOfCode(secret, totpCode(secret, now + off * 30_000), now, 0));
    assert.deepEqual(found, [undefined, step - 1, step, step + 1, undefined]);
  });

  it("a step that was used, and those before it, count no more", () => {
    const now = 1_800_000_000_000;
    const step = now / 30_000;
    assert.equal(stepOfCode(secret, totpCode(secret, now), now, step), undefined);
    assert.equal(stepOfCode(secret, totpCode(secret, now - 30_000), now, step), undefined);
    assert.equal(stepOfCode(secret, totpCode(secret, now + 30_000), now, step), step + 1);
  });

  for (const bad of ["", "12345", "1234567", "12345x", "１２３４５６"]) {
    it(`${JSON.stringify(bad)} is no code`, () => assert.equal(stepOfCode(secret, bad, 0, 0), undefined));
  }

  it("secrets have 160 bits and differ; the URI names issuer and account", () => {
    const [one, two] = [newTotpSecret(), newTotpSecret()];
    assert.equal(one.length, 32);
    assert.notEqual(one, two);
    const uri = new URL(totpUri(one, "ada@example.com"));
    assert.equal(decodeURIComponent(uri.pathname), "/Heddle:ada@example.com");
    assert.equal(uri.searchParams.get("secret"), one);
  });
});
