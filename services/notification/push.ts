/** Web Push (RFC 8030, encrypted by RFC 8291, signed by RFC 8292) to all browsers that a user subscribed. */
import webpush from "web-push";
import type { Queryable } from "#mesh/storage/database.ts";
import { type Channel, type Delivery, detailOf, failedBy, type OutgoingMessage } from "./channel.ts";
import { deliveryOf } from "./http-outcome.ts";
import { type HttpPost, PrivateAddressError, post } from "./http-post.ts";
import type { PushSubscription } from "./notification.ts";
import { markTaken, removeSubscription, subscriptionsFor } from "./push-store.ts";

/** The key pair by which push services know this service, base64url. */
export interface VapidKeys {
  readonly publicKey: string;
  readonly privateKey: string;
}

/** How pushes go out. */
export interface PushOptions extends Pick<HttpPost, "allowPrivate" | "timeoutMs" | "lookup"> {
  readonly db: Queryable;
  readonly vapid: VapidKeys;
  /** Where the push service reaches the operator: a mailto: or https: URL. */
  readonly contact: string;
  readonly clock: () => number;
}

/** How long a push service keeps the message for a browser that is away: a day, in seconds. */
const keptForSeconds = 86_400;

/**
 * The channel for push. A browser that has taken the message gets no second copy when the others are tried again; one whose
 * subscription has ended (404, 410) is forgotten. Sent means that every browser that is left has taken it, and at least one has.
 */
export function pushChannel(options: PushOptions): Channel {
  const { db } = options;
  return {
    async send(message, signal): Promise<Delivery> {
      const subscriptions = await subscriptionsFor(db, message.userId, message.id);
      const results = await Promise.all(
        subscriptions.map(async (subscription): Promise<Delivery & { gone?: boolean }> => {
          if (subscription.taken) return { ok: true, detail: "taken before" };
          const delivery = await sendToOne(message, subscription, options, signal);
          if (delivery.ok) await markTaken(db, message.id, subscription.id);
          if (delivery.gone) await removeSubscription(db, subscription.id);
          return delivery;
        }),
      );
      return summary(results);
    },
  };
}

/** One delivery out of those to each browser. Pure. */
export function summary(results: readonly (Delivery & { gone?: boolean })[]): Delivery {
  const left = results.filter(({ gone }) => gone !== true);
  if (left.length === 0) return { ok: false, permanent: true, detail: "the user has no push subscription" };
  const failures = left.filter((delivery) => !delivery.ok);
  const counts = `${left.length - failures.length} of ${left.length} browsers took it`;
  const detail = detailOf([counts, ...new Set(failures.map((failure) => failure.detail))].join("; "));
  const retryable = failures.filter((failure) => !failure.permanent);
  if (retryable.length > 0) {
    const retryAfterMs = Math.max(...retryable.map((failure) => failure.retryAfterMs ?? 0));
    return { ok: false, permanent: false, detail, ...(retryAfterMs > 0 ? { retryAfterMs } : {}) };
  }
  return failures.length < left.length ? { ok: true, detail } : { ok: false, permanent: true, detail };
}

async function sendToOne(
  message: OutgoingMessage,
  { endpoint, p256dh, auth }: PushSubscription,
  { vapid, contact, clock, allowPrivate, ...how }: PushOptions,
  signal: AbortSignal,
): Promise<Delivery & { gone?: boolean }> {
  const request = encrypted(message, { endpoint, keys: { p256dh, auth } }, { subject: contact, ...vapid });
  if (typeof request === "string") return { ok: false, permanent: true, detail: detailOf(request) };
  try {
    const { timeoutMs, lookup } = how;
    const limits = { ...(timeoutMs === undefined ? {} : { timeoutMs }), ...(lookup === undefined ? {} : { lookup }) };
    const answer = await post({ url: new URL(endpoint), ...request, signal, allowPrivate, ...limits });
    const gone = answer.status === 404 || answer.status === 410;
    return { ...deliveryOf(answer, clock()), ...(gone ? { gone } : {}) };
  } catch (error) {
    return { ...failedBy(error), ok: false, permanent: error instanceof PrivateAddressError };
  }
}

/** Headers and body for the push service; a text says why the keys or the message do not serve. */
function encrypted(
  { id, subject, body }: OutgoingMessage,
  subscription: webpush.PushSubscription,
  vapidDetails: { subject: string } & VapidKeys,
): { headers: Record<string, string>; body: Buffer } | string {
  try {
    const payload = JSON.stringify({ id, title: subject, body });
    // The topic (RFC 8030, 5.4: 32 characters of base64url) makes a repeated message replace the one that still waits.
    const topic = Buffer.from(id.replaceAll("-", ""), "hex").toString("base64url");
    const details = webpush.generateRequestDetails(subscription, payload, { vapidDetails, TTL: keptForSeconds, topic });
    const headers = Object.entries(details.headers).map(([name, value]) => [name.toLowerCase(), String(value)]);
    return { headers: Object.fromEntries(headers), body: details.body };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
