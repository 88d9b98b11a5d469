import assert from "node:assert/strict";
import { SecretBox } from "./secret-box.ts";

describe("SecretBox", () => {
  const box = new SecretBox("a secret with more than thirty-two characters");

  it("opens what it sealed, also in another process, and never seals the same way twice", () => {
    const sealed = box.seal("totp", "ada", "secret ü");
    assert.equal(new SecretBox("a secret with more than thirty-two characters").open("totp", "ada", sealed), "secret ü");
    assert.notDeepEqual(box.seal("totp", "ada", "secret ü"), sealed);
  });

  it("opens nothing of another owner, purpose or secret, and nothing that was changed or cut", () => {
    const sealed = box.seal("totp", "ada", "secret");
    assert.throws(() => box.open("totp", "eve", sealed));
    assert.throws(() => box.open("mail", "ada", sealed));
    assert.throws(() => new SecretBox("another secret with more than 32 characters").open("totp", "ada", sealed));
    for (let index = 0; index < sealed.length; index++) {
      const changed = Buffer.from(sealed);
      changed.writeUInt8(changed.readUInt8(index) ^ 1, index);
      assert.throws(() => box.open("totp", "ada", changed));
    }
    assert.throws(() => box.open("totp", "ada", sealed.subarray(0, -1)));
    assert.throws(() => box.open("totp", "ada", Buffer.alloc(0)));
  });
});
