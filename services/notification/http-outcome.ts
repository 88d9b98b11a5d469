/** What a provider's HTTP answer means for a delivery. Pure. */
import { type Delivery, detailOf } from "./channel.ts";

/** An HTTP answer: its status, its Retry-After header as it came, and the beginning of its body. */
export interface HttpAnswer {
  readonly status: number;
  readonly retryAfter: string | undefined;
  readonly body: string;
}

/**
 * | status | means |
 * | --- | --- |
 * | 2xx | taken |
 * | 408, 425, 429, 5xx | not now (RFC 9110, RFC 8470, RFC 6585): try again, not before Retry-After |
 * | any other | never: the request is wrong, the receiver is gone, or it redirects, which is not followed |
 */
export function deliveryOf({ status, retryAfter, body }: HttpAnswer, now: number): Delivery {
  const detail = detailOf(`HTTP ${status}${body.trim() === "" ? "" : `: ${body.slice(0, 300)}`}`);
  if (status >= 200 && status < 300) return { ok: true, detail };
  const permanent = !(status >= 500 || status === 408 || status === 425 || status === 429);
  const retryAfterMs = permanent || retryAfter === undefined ? undefined : parseRetryAfter(retryAfter, now);
  return { ok: false, permanent, detail, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
}

/** Milliseconds from `now` that a Retry-After header asks for (RFC 9110, 10.2.3: seconds, or a date); undefined when it says neither. */
export function parseRetryAfter(header: string, now: number): number | undefined {
  const value = header.trim();
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000;
  const date = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
