/** What a way of sending is to the sender: one call that sends one message once and says what became of it. */

/** One message to one recipient, and what identifies it at the receiver. */
export interface OutgoingMessage {
  /** The notification's id: the same in every attempt, so that a receiver can drop what it has seen. */
  readonly id: string;
  readonly userId: string;
  readonly recipient: string;
  readonly subject: string;
  readonly body: string;
  /** When the notification was stored, in milliseconds since the epoch. */
  readonly createTime: number;
}

/**
 * What became of an attempt. `detail` is the provider's answer or the error, for the history. A permanent failure is one that
 * another attempt cannot heal. `retryAfterMs`: the provider asked not to be tried before.
 */
export type Delivery =
  | { readonly ok: true; readonly detail: string }
  | { readonly ok: false; readonly permanent: boolean; readonly detail: string; readonly retryAfterMs?: number };

/** One way of sending. */
export interface Channel {
  /** Sends once. Never rejects for what a network or provider does; ends soon after `signal` aborts. */
  send(message: OutgoingMessage, signal: AbortSignal): Promise<Delivery>;
}

/** The longest detail that the history keeps, in characters. */
export const maxDetailLength = 500;

/** A provider's words as one line of at most 500 characters. Pure. */
export function detailOf(text: string): string {
  // Control characters of any plane, among them U+0000, which PostgreSQL does not store.
  const line = text
    .replaceAll(/[\p{Cc}\u2028\u2029]+/gu, " ")
    .trim()
    .toWellFormed();
  return line.length <= maxDetailLength ? line : `${line.slice(0, maxDetailLength - 1).toWellFormed()}…`;
}

/** The delivery that an error of the network means: another attempt may heal it. */
export function failedBy(error: unknown): Delivery {
  return { ok: false, permanent: false, detail: detailOf(error instanceof Error ? error.message || error.name : String(error)) };
}
