import assert from "node:assert/strict";
import { Code } from "@connectrpc/connect";
import { good, refused, refusedField, refusedFor, signUp, startTestAuth, type TestAuth } from "./auth.fixture.ts";
import { totpCode } from "./totp.ts";

describe("second factors", () => {
  let auth: TestAuth;
  beforeEach(async () => {
    auth = await startTestAuth();
  });
  afterEach(() => auth[Symbol.asyncDispose]());

  describe("second factor", () => {
    it("enroll, confirm, sign in with a code that works once, recovery code that works once, disable", async () => {
      const { user, token } = await signUp(auth);
      const { secret, otpauthUri } = await auth.call("enrollMfa", { password: good }, { token });
      assert.ok(otpauthUri.startsWith("otpauth://totp/Heddle:") && otpauthUri.includes(`secret=${secret}`));
      await auth.call("login", { email: user.email, password: good });
      const code = () => totpCode(secret, auth.clock.now());
      const { recoveryCodes } = await auth.call("confirmMfa", { code: code() }, { token });
      assert.equal(new Set(recoveryCodes).size, 10);

      const login = (mfaCode: string) => auth.call("login", { email: user.email, password: good, mfaCode });
      await assert.rejects(login(""), refusedFor("MFA_REQUIRED"));
      await assert.rejects(login(code()), refusedFor("INVALID_MFA_CODE"));
      auth.clock.offsetMs += 30_000;
      assert.equal((await login(code())).user?.mfaEnabled, true);
      await assert.rejects(login(code()), refusedFor("INVALID_MFA_CODE"));
      const [recovery = "", spare = ""] = recoveryCodes;
      await login(recovery.toUpperCase());
      await assert.rejects(login(recovery), refusedFor("INVALID_MFA_CODE"));

      await assert.rejects(auth.call("enrollMfa", { password: good }, { token }), refusedFor("MFA_ALREADY_ENABLED"));
      await assert.rejects(auth.call("disableMfa", { password: good, code: "000000" }, { token }), refusedField("code"));
      await auth.call("disableMfa", { password: good, code: spare }, { token });
      assert.equal((await login("")).user?.mfaEnabled, false);
    });

    it("wrong codes lock out as wrong passwords do, and a try without a code does not reset the count", async () => {
      const { user, token } = await signUp(auth);
      const { secret } = await auth.call("enrollMfa", { password: good }, { token });
      await auth.call("confirmMfa", { code: totpCode(secret, auth.clock.now()) }, { token });
      for (let n = 0; n < 5; n++) {
        const login = (mfaCode: string) => auth.call("login", { email: user.email, password: good, mfaCode });
        await assert.rejects(login(""), refusedFor("MFA_REQUIRED"));
        await assert.rejects(login("000000"), refusedFor("INVALID_MFA_CODE"));
      }
      await assert.rejects(auth.call("login", { email: user.email, password: good }), refused(Code.ResourceExhausted));
    });

    it("wrong codes at disableMfa lock out, and a right password elsewhere does not reset the count", async () => {
      const { token } = await signUp(auth);
      const { secret } = await auth.call("enrollMfa", { password: good }, { token });
      await auth.call("confirmMfa", { code: totpCode(secret, auth.clock.now()) }, { token });
      const disable = (code: string) => auth.call("disableMfa", { password: good, code }, { token });
      for (let n = 0; n < 5; n++) {
        await assert.rejects(disable("000000"), refusedField("code"));
        await assert.rejects(auth.call("enrollMfa", { password: good }, { token }), refusedFor("MFA_ALREADY_ENABLED"));
        await auth.call("changePassword", { currentPassword: good, newPassword: good }, { token });
      }
      await assert.rejects(disable("000000"), refused(Code.ResourceExhausted));
      auth.clock.offsetMs += 30_000;
      await disable(totpCode(secret, auth.clock.now()));
    });

    it("wrong codes at disableMfa do not count as wrong passwords", async () => {
      const { token } = await signUp(auth);
      const { secret } = await auth.call("enrollMfa", { password: good }, { token });
      await auth.call("confirmMfa", { code: totpCode(secret, auth.clock.now()) }, { token });
      for (let n = 0; n < 5; n++) {
        await assert.rejects(auth.call("disableMfa", { password: good, code: "000000" }, { token }), refusedField("code"));
      }
      await assert.rejects(
        auth.call("disableMfa", { password: good, code: "000000" }, { token }),
        refused(Code.ResourceExhausted),
      );
      await auth.call("changePassword", { currentPassword: good, newPassword: good }, { token });
    });

    it("confirm needs an enrolment, and a code of it", async () => {
      const { token } = await signUp(auth);
      await assert.rejects(auth.call("confirmMfa", { code: "123456" }, { token }), refusedFor("MFA_NOT_ENROLLED"));
      const { secret } = await auth.call("enrollMfa", { password: good }, { token });
      const wrong = totpCode(secret, auth.clock.now() + 3_600_000);
      await assert.rejects(auth.call("confirmMfa", { code: wrong }, { token }), refusedField("code"));
      await assert.rejects(auth.call("disableMfa", { password: good, code: "123456" }, { token }), refusedFor("MFA_NOT_ENABLED"));
    });

    it("the secret is stored sealed", async () => {
      const { token } = await signUp(auth);
      const { secret } = await auth.call("enrollMfa", { password: good }, { token });
      const [row] = await auth.db.query<{ secret: Buffer }>("select secret from second_factors");
      assert.ok(row !== undefined && !row.secret.includes(secret));
    });
  });
});
