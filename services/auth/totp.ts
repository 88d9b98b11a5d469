/** Time-based one-time passwords (RFC 6238): 6 digits, 30 s, SHA-1, as authenticator apps expect. */
import { randomBytes } from "node:crypto";
import { Secret, TOTP } from "otpauth";

const periodMs = 30_000;

/** A new shared secret of 160 bits, base32. */
export function newTotpSecret(): string {
  return new Secret({ buffer: new Uint8Array(randomBytes(20)).buffer }).base32;
}

/** The secret as an otpauth:// URI for the account `email`. */
export function totpUri(secret: string, email: string): string {
  return totp(secret, email).toString();
}

/**
 * The step (30 s since the epoch) whose code `code` is, looking one step back and ahead of `now` for clocks that are off; undefined when
 * it is none, or of a step that is not after `lastStep`: a code works once, and so does every one before it.
 */
export function stepOfCode(secret: string, code: string, now: number, lastStep: number): number | undefined {
  if (!/^\d{6}$/.test(code)) return undefined;
  const delta = totp(secret, "").validate({ token: code, window: 1, timestamp: now });
  if (delta === null) return undefined;
  const step = Math.floor(now / periodMs) + delta;
  return step > lastStep ? step : undefined;
}

/** The code at time `now`: for tests and for whoever plays the app. */
export function totpCode(secret: string, now: number): string {
  return totp(secret, "").generate({ timestamp: now });
}

function totp(secret: string, label: string): TOTP {
  return new TOTP({ issuer: "Heddle", label, secret: Secret.fromBase32(secret), algorithm: "SHA1", digits: 6, period: 30 });
}
