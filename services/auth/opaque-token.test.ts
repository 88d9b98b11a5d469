import assert from "node:assert/strict";
import { hashRecoveryCode, hashToken, newOpaqueToken, newRecoveryCode, shownPrefix } from "./opaque-token.ts";

describe("opaque tokens", () => {
  it("have 256 random bits behind a beginning that says what they are", () => {
    assert.match(newOpaqueToken("refresh"), /^hr_[A-Za-z0-9_-]{43}$/);
    assert.match(newOpaqueToken("api-key"), /^hk_[A-Za-z0-9_-]{43}$/);
    assert.match(newOpaqueToken("email"), /^he_[A-Za-z0-9_-]{43}$/);
    assert.equal(new Set(Array.from({ length: 100 }, () => newOpaqueToken("refresh"))).size, 100);
  });

  it("are stored as SHA-256 and shown by 11 characters", () => {
    assert.equal(hashToken("abc").toString("hex"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert.equal(shownPrefix("hk_0123456789"), "hk_01234567");
  });

  it("recovery codes are four groups of four, and the same however they are typed", () => {
    const code = newRecoveryCode();
    assert.match(code, /^[a-z2-9]{4}(-[a-z2-9]{4}){3}$/);
    assert.deepEqual(hashRecoveryCode(` ${code.toUpperCase().replaceAll("-", " ")}`), hashRecoveryCode(code));
  });
});
