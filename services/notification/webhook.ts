/**
 * Webhooks: the body, as it is, in a POST that carries a signature by the Standard Webhooks specification
 * (github.com/standard-webhooks): `webhook-id`, `webhook-timestamp` in seconds, `webhook-signature: v1,<base64 of HMAC-SHA256 over
 * "id.timestamp.body">`.
 */
import { createHmac, randomBytes } from "node:crypto";
import { type Channel, type Delivery, failedBy } from "./channel.ts";
import { deliveryOf } from "./http-outcome.ts";
import { type HttpPost, PrivateAddressError, post } from "./http-post.ts";

/** How webhooks go out. */
export interface WebhookOptions extends Pick<HttpPost, "allowPrivate" | "timeoutMs" | "lookup"> {
  /** `whsec_` and the key in base64. */
  readonly secret: string;
  readonly clock: () => number;
}

/** The channel for webhooks. */
export function webhookChannel({ secret, clock, ...how }: WebhookOptions): Channel {
  return {
    async send({ id, recipient, body }, signal): Promise<Delivery> {
      if (!URL.canParse(recipient)) return { ok: false, permanent: true, detail: "recipient is not a URL" };
      const timestamp = Math.floor(clock() / 1000);
      const headers = {
        "content-type": isJson(body) ? "application/json" : "text/plain; charset=utf-8",
        "webhook-id": id,
        "webhook-timestamp": String(timestamp),
        "webhook-signature": signature(secret, id, timestamp, body),
        "idempotency-key": id,
      };
      try {
        const answer = await post({ url: new URL(recipient), headers, body: Buffer.from(body), signal, ...how });
        return deliveryOf(answer, clock());
      } catch (error) {
        return { ...failedBy(error), ok: false, permanent: error instanceof PrivateAddressError };
      }
    },
  };
}

/** The value of `webhook-signature`. Pure. */
export function signature(secret: string, id: string, timestamp: number, body: string): string {
  const key = Buffer.from(secret.slice(secretPrefix.length), "base64");
  return `v1,${createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64")}`;
}

const secretPrefix = "whsec_";

/** A new secret of 32 bytes, the length of HMAC-SHA256's own output. */
export function newWebhookSecret(): string {
  return secretPrefix + randomBytes(32).toString("base64");
}

/** True for `whsec_` and 24 to 64 bytes in base64, what the specification asks for. */
export function isWebhookSecret(text: string): boolean {
  if (!/^whsec_[A-Za-z0-9+/]+={0,2}$/.test(text)) return false;
  const { length } = Buffer.from(text.slice(secretPrefix.length), "base64");
  return length >= 24 && length <= 64;
}

function isJson(body: string): boolean {
  try {
    JSON.parse(body);
    return true;
  } catch {
    return false;
  }
}
