/** What of auth can be set by the environment. */
import { duration, integer, list, secret, text } from "#mesh/config.ts";

/** The settings of auth, beside those of every process. */
export const authSettings = {
  /** Where people reach the gateway; the links in mails begin with it. */
  publicUrl: text("AUTH_PUBLIC_URL", "http://127.0.0.1:8080"),
  /**
   * Encrypts signing keys, TOTP secrets and waiting mails in the database. Unset: a key derived from HEDDLE_MESH_SECRET. With another
   * value than before, signed-in users keep their tokens, new keys are made, and second factors must be enrolled again.
   */
  encryptionSecret: {
    ...secret("AUTH_ENCRYPTION_SECRET", ""),
    expected: "a text of at least 32 characters",
    parse: (value: string) => (value.length >= 32 ? value : undefined),
  },
  /**
   * Those who register with one of these addresses and confirm it while signed in (POST /api/v1/auth/verify-email with the access token)
   * become administrators. Opening the mailed link alone confirms the address and makes nobody one.
   */
  adminEmails: list("AUTH_ADMIN_EMAILS"),
  /** A session that is not refreshed for so long ends. */
  sessionIdleMs: duration("AUTH_SESSION_IDLE", "30d"),
  /** So long a key signs before the next one takes over. */
  keyLifetimeMs: duration("AUTH_KEY_LIFETIME", "30d"),
  /** Audit events older than this are removed. */
  auditRetentionMs: duration("AUTH_AUDIT_RETENTION", "365d"),
  /** With this many failures in a row an account is locked. */
  lockoutThreshold: integer("AUTH_LOCKOUT_THRESHOLD", 1, 1_000_000, 5),
  /** The same for a client address, which many people may share. */
  addressThreshold: integer("AUTH_LOCKOUT_ADDRESS_THRESHOLD", 1, 1_000_000, 100),
  /** The first lock lasts so long, each further failure doubles it, up to one hour. */
  lockoutBaseMs: duration("AUTH_LOCKOUT_BASE", "30s"),
  /** A refused sign-in takes at least so long, so that its time tells nothing. */
  refusalMs: duration("AUTH_REFUSAL_TIME", "150ms"),
};
