/** Second factors: TOTP with recovery codes. */
import type { Principal } from "#mesh/context.ts";
import { failedPrecondition, invalidArgument } from "#mesh/errors.ts";
import type { Database, Queryable } from "#mesh/storage/database.ts";
import type { AttemptGuard } from "./attempt-guard.ts";
import type { AuditLog } from "./audit.ts";
import { hashRecoveryCode, newRecoveryCode } from "./opaque-token.ts";
import type { Reauthentication } from "./reauthentication.ts";
import {
  confirmSecondFactor,
  deleteSecondFactor,
  enrollSecondFactor,
  findSecondFactor,
  insertRecoveryCodes,
  useRecoveryCode,
  useStep,
} from "./second-factor-store.ts";
import type { SecretBox } from "./secret-box.ts";
import { newTotpSecret, stepOfCode, totpUri } from "./totp.ts";
import type { User } from "./user.ts";

/** What second factors work with. */
export interface SecondFactorsOptions {
  readonly db: Database;
  readonly box: SecretBox;
  readonly guard: AttemptGuard;
  readonly reauthentication: Reauthentication;
  readonly audit: AuditLog;
  readonly clock: () => number;
}

/** How a sign-in stands with the second factor. */
export type FactorState = "off" | "good" | "required" | "wrong";

/** So many recovery codes are handed out. */
const recoveryCodeCount = 10;

/** The second factors of all users. */
export class SecondFactors {
  readonly #o: SecondFactorsOptions;

  constructor(options: SecondFactorsOptions) {
    this.#o = options;
  }

  /** Checks a TOTP or recovery code and uses it up, in the transaction of what it is for. */
  async check(tx: Queryable, user: User, code: string): Promise<FactorState> {
    if (!user.mfaEnabled) return "off";
    if (code === "") return "required";
    const { box, clock } = this.#o;
    if (!/^\d{6}$/.test(code)) {
      return (await useRecoveryCode(tx, user.id, hashRecoveryCode(code), clock())) ? "good" : "wrong";
    }
    const factor = await findSecondFactor(tx, user.id);
    if (factor === undefined) return "wrong";
    const step = stepOfCode(box.open("totp", user.id, factor.secret), code, clock(), factor.lastStep);
    return step !== undefined && (await useStep(tx, user.id, step)) ? "good" : "wrong";
  }

  /** Makes a secret that counts once it is confirmed. @throws FAILED_PRECONDITION MFA_ALREADY_ENABLED while one is on. */
  async enroll(principal: Principal, password: string): Promise<{ readonly secret: string; readonly uri: string }> {
    const { db, box, audit, reauthentication } = this.#o;
    const { id: userId, sessionId } = principal;
    const proof = await reauthentication.prove(principal, password, "password");
    const secret = newTotpSecret();
    const enrolled = await db.transaction(async (tx) => {
      await proof.attempt.succeeded(tx);
      const fresh = await enrollSecondFactor(tx, userId, box.seal("totp", userId, secret));
      const why = fresh ? {} : { reason: "one is on already" };
      await audit.record(tx, { action: "mfa.enrolled", success: fresh, userId, sessionId, ...why });
      return fresh;
    });
    if (!enrolled) throw alreadyEnabled();
    return { secret, uri: totpUri(secret, proof.user.email) };
  }

  /** Turns the enrolled factor on by a code from it; answers with the recovery codes, which exist nowhere else. */
  async confirm(principal: Principal, code: string): Promise<string[]> {
    const { db, box, guard, audit, clock } = this.#o;
    const { id: userId, sessionId } = principal;
    const refused = (reason: string) => ({ action: "mfa.confirm_failed", success: false, userId, sessionId, reason });
    const attempt = await guard.secondFactor(userId, (tx) => audit.record(tx, refused("locked out")));
    const codes = Array.from({ length: recoveryCodeCount }, newRecoveryCode);
    const outcome = await db.transaction(async (tx) => {
      const factor = await findSecondFactor(tx, userId);
      if (factor === undefined || factor.confirmed) {
        await attempt.takenBack(tx);
        await audit.record(tx, refused(factor === undefined ? "none was enrolled" : "one is on already"));
        return factor === undefined ? "none" : "on already";
      }
      const step = stepOfCode(box.open("totp", userId, factor.secret), code, clock(), factor.lastStep);
      if (step === undefined || !(await confirmSecondFactor(tx, userId, factor.secret, step, clock()))) {
        await audit.record(tx, refused("wrong code"));
        return "wrong";
      }
      await attempt.succeeded(tx);
      await insertRecoveryCodes(tx, userId, codes.map(hashRecoveryCode));
      await audit.record(tx, { action: "mfa.enabled", success: true, userId, sessionId });
      return "enabled";
    });
    if (outcome === "none") throw failedPrecondition("MFA_NOT_ENROLLED", "enroll a second factor first");
    if (outcome === "on already") throw alreadyEnabled();
    if (outcome === "wrong") throw invalidArgument([{ field: "code", description: "is not a code of the enrolled factor" }]);
    return codes;
  }

  /** Turns the factor off. @throws FAILED_PRECONDITION MFA_NOT_ENABLED when none is on; RESOURCE_EXHAUSTED after too many wrong codes. */
  async disable(principal: Principal, password: string, code: string): Promise<void> {
    const { db, guard, audit, reauthentication } = this.#o;
    const { id: userId, sessionId } = principal;
    const proof = await reauthentication.prove(principal, password, "password");
    const entry = (success: boolean, reason = "") => ({ action: "mfa.disabled", success, userId, sessionId, reason });
    const attempt = await guard.secondFactor(userId, async (tx) => {
      await audit.record(tx, entry(false, "locked out"));
      await proof.attempt.succeeded(tx);
    });
    const state = await db.transaction(async (tx) => {
      const factor = await this.check(tx, proof.user, code);
      if (factor === "off") await attempt.takenBack(tx);
      if (factor === "good") {
        await attempt.succeeded(tx);
        await deleteSecondFactor(tx, userId);
      }
      const why = factor === "good" ? "" : factor === "off" ? "none is on" : "wrong code";
      await audit.record(tx, entry(factor === "good", why));
      // The password was right, whatever the code is; after the code's count, as above, so that two callers never wait for each other.
      await proof.attempt.succeeded(tx);
      return factor;
    });
    if (state === "off") throw failedPrecondition("MFA_NOT_ENABLED", "no second factor is on");
    if (state !== "good") throw invalidArgument([{ field: "code", description: "is wrong or was used before" }]);
  }
}

function alreadyEnabled(): Error {
  return failedPrecondition("MFA_ALREADY_ENABLED", "a second factor is on already: turn it off first");
}
