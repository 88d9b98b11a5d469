/** Gives up authorized payments whose time has come. */
import type { Logger } from "pino";
import { assertAuthorized } from "./payment.ts";
import { beginOperation, type RequestParts } from "./requests.ts";
import { lockExpired, type StoredPayment } from "./store.ts";

/** Looks every `everyMs`. Disposing ends it. */
export function startExpiry(parts: RequestParts & { readonly log: Logger; readonly everyMs: number }): AsyncDisposable {
  const { db, clock, log, everyMs } = parts;
  let running: Promise<void> = Promise.resolve();
  const look = async () => {
    try {
      const ids = await db.transaction((tx) => lockExpired(tx, clock()));
      for (const paymentId of ids) {
        const asked = { paymentId, kind: "cancel", caller: "service:payment", requestId: `expiry/${paymentId}` } as const;
        const amountOf = (payment: StoredPayment) => {
          assertAuthorized(payment);
          return payment.amount;
        };
        await beginOperation(parts, { ...asked, requested: 0, reason: "expired", who: undefined, amountOf });
        log.info({ payment: paymentId }, "the authorization of a payment has come to its end");
      }
    } catch (error) {
      log.warn({ err: error }, "cannot look for payments that have expired; trying again");
    }
  };
  const timer = setInterval(() => {
    running = running.then(look);
  }, everyMs);
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await running;
    },
  };
}
