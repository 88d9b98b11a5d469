/** The changes of payments as they are committed, by this process or by any other: what the store announces. */
import { listenTo } from "#mesh/storage/announcements.ts";
import type { Database } from "#mesh/storage/database.ts";
import type { Logger } from "#mesh/telemetry/log.ts";
import { isSettled } from "./payment.ts";
import { changesAfter, type PaymentChange } from "./store.ts";

/** The feed. Disposing ends every watch. */
export interface Feed extends AsyncDisposable {
  /** The changes of a payment after number `after`, those of the past first, until it is settled or the signal aborts. */
  watch(paymentId: string, after: number, signal: AbortSignal): AsyncIterable<PaymentChange>;
}

/** Begins to follow. */
export async function followPayments(db: Database, log: Logger): Promise<Feed> {
  const announcements = await listenTo({ db, channel: "payment_changed", log });
  return {
    async *watch(id, after, signal) {
      using bell = announcements.bell(id, signal);
      for (let number = after; !signal.aborted; ) {
        const changes = await changesAfter(db, id, number);
        for (const change of changes) {
          yield change;
          number = change.number;
        }
        if (changes.length === 100) continue;
        const last = changes.at(-1) ?? (await changesAfter(db, id, number - 1))[0];
        if (last === undefined || isSettled(last.payment) || !(await bell.rung())) return;
      }
    },
    [Symbol.asyncDispose]: () => announcements[Symbol.asyncDispose](),
  };
}
