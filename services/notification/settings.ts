/** The environment that the notification service reads, beside what every process does. */
import { duration, flag, integer, optionalUrl, type Setting, secret, text } from "#mesh/config.ts";
import { isWebhookSecret } from "./webhook.ts";

/** By the names that the code uses. */
export const settings = {
  /** Where mail goes: smtp://user:password@host:587, smtps://... for TLS from the start. Unset: .eml files in HEDDLE_DATA. */
  smtpUrl: optionalUrl("SMTP_URL", "smtp:", "smtps:"),
  /** The sender of mail. */
  from: checked(text("NOTIFICATION_FROM", "Heddle <no-reply@localhost>"), "an email address, or name <address>", isMailbox),
  /** A provider with Twilio's form: its base (https://api.twilio.com), or with a path the exact URL. Unset: SMS fail, and say so. */
  smsUrl: optionalUrl("SMS_URL", "http:", "https:"),
  /** The account's SID, the user name of Basic authentication. */
  smsAccount: text("SMS_ACCOUNT", ""),
  smsToken: secret("SMS_TOKEN", ""),
  /** The sending number in E.164, or a sender's name. */
  smsFrom: text("SMS_FROM", ""),
  /** The VAPID pair in base64url; made and stored in the database unless both are set. */
  vapidPublicKey: checked(text("VAPID_PUBLIC_KEY", ""), "65 bytes in base64url", (value) => hasBytes(value, 65)),
  vapidPrivateKey: checked(secret("VAPID_PRIVATE_KEY", ""), "32 bytes in base64url", (value) => hasBytes(value, 32)),
  /** Where push services reach the operator. */
  vapidContact: checked(text("VAPID_CONTACT", "mailto:no-reply@localhost"), "a mailto: or https: URL", (value) =>
    /^(mailto:.+@.+|https:\/\/.+)$/.test(value),
  ),
  /** What webhooks are signed with, the same for all receivers; made and stored in the database unless set. */
  webhookSecret: checked(secret("NOTIFICATION_WEBHOOK_SECRET", ""), "whsec_ and 24 to 64 bytes in base64", isWebhookSecret),
  /** Lets webhooks and pushes go to private addresses, and pushes over http: for tests and closed networks. */
  allowPrivateWebhooks: flag("NOTIFICATION_ALLOW_PRIVATE_WEBHOOKS", false),
  /** Attempts at most, the first included. With the other defaults the eighth comes after some 80 minutes. */
  maxAttempts: integer("NOTIFICATION_MAX_ATTEMPTS", 1, 100, 8),
  /** The wait after the first attempt, how much longer each next one is, and the longest. */
  initialMs: duration("NOTIFICATION_RETRY_INITIAL", "1s"),
  factor: integer("NOTIFICATION_RETRY_FACTOR", 1, 100, 4),
  maxMs: duration("NOTIFICATION_RETRY_MAX", "1h"),
  /** Attempts at the same time, per channel and process. */
  concurrency: integer("NOTIFICATION_CONCURRENCY", 1, 1000, 8),
};

/** A text that must also pass `good`; the fallback need not. */
function checked(setting: Setting<string>, expected: string, good: (value: string) => boolean): Setting<string> {
  return { ...setting, expected, parse: (value) => (good(value) ? value : undefined) };
}

/** `user@domain` or `name <user@domain>`, on one line. */
function isMailbox(value: string): boolean {
  return /^(?:[^<>\p{Cc}]*<[^\s<>@]+@[^\s<>@]+>|[^\s<>@]+@[^\s<>@]+)$/u.test(value);
}

function hasBytes(value: string, count: number): boolean {
  return /^[A-Za-z0-9_-]+$/.test(value) && Buffer.from(value, "base64url").length === count;
}
