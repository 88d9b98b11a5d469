/** Secrets that we hand out and know again by their hash alone: refresh tokens, API keys, mail tokens, recovery codes. */
import { createHash, randomBytes } from "node:crypto";

/** What a token is for; its beginning says so, which lets scanners find one that leaked. */
export type TokenKind = "refresh" | "api-key" | "email";

const prefixes: Readonly<Record<TokenKind, string>> = { refresh: "hr_", "api-key": "hk_", email: "he_" };

/** A new token with 256 random bits, such as `hk_` and 43 characters of base64url. */
export function newOpaqueToken(kind: TokenKind): string {
  return prefixes[kind] + randomBytes(32).toString("base64url");
}

/** What of a token may be shown to tell it from others: 8 characters of the 43, which leaves 208 bits. */
export function shownPrefix(token: string): string {
  return token.slice(0, 11);
}

/** A new recovery code of 80 random bits, such as `k3vq-x7mp-2dha-5wnc`. */
export function newRecoveryCode(): string {
  const letters = "abcdefghijkmnpqrstuvwxyz23456789";
  const code = Array.from(randomBytes(16), (byte) => letters[byte & 31]).join("");
  return code.replaceAll(/(.{4})(?=.)/g, "$1-");
}

/** What is stored of a token. A plain hash is enough: nobody guesses 80 random bits, let alone 256. */
export function hashToken(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}

/** What is stored of a recovery code, however it was typed. */
export function hashRecoveryCode(code: string): Buffer {
  return hashToken(code.toLowerCase().replaceAll(/[\s-]/g, ""));
}
