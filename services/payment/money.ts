/** What the sagas do at the ledger, each exactly once by its key. In the service's own name. */

import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { AccountService, AccountStatus } from "#gen/ledger/v1/account_pb.ts";
import { TransactionService } from "#gen/ledger/v1/transaction_pb.ts";
import type { MeshClient } from "#mesh/client/client.ts";
import { failedPrecondition, internal, reasonOf } from "#mesh/errors.ts";
import type { StoredPayment } from "./store.ts";

/** The ledger, as payments see it. Refusals are FAILED_PRECONDITION with the ledger's reason, or NOT_FOUND. */
export interface Money {
  /** Reserves a payment's money; answers with the hold. */
  reserve(payment: StoredPayment, key: string, signal: AbortSignal): Promise<string>;
  /** Sees to it that nothing of a hold remains: released, or what was captured moved back. */
  free(holdId: string, key: string, signal: AbortSignal): Promise<void>;
  /** The hold that `reserve` made with this key, if it made one. */
  find(payment: StoredPayment, key: string, signal: AbortSignal): Promise<string | undefined>;
  /** Moves what a hold reserves, or a part of it, to the payee. */
  capture(payment: StoredPayment, amount: number, key: string, signal: AbortSignal): Promise<void>;
  /** Moves a part of what was captured back. */
  refund(payment: StoredPayment, amount: number, key: string, signal: AbortSignal): Promise<void>;
  /** Takes back what `refund` did with this key, if it did. */
  unrefund(payment: StoredPayment, amount: number, refundKey: string, key: string, signal: AbortSignal): Promise<void>;
  /** @throws FAILED_PRECONDITION when an account cannot be paid in the currency. */
  assertPayable(payment: StoredPayment, signal: AbortSignal): Promise<void>;
}

/** How much longer than the authorization a hold lasts: it must not end while a capture that came in time is under way. */
const marginMs = 24 * 3_600_000;

/** The ledger over the mesh. */
export function ledgerMoney(mesh: MeshClient): Money {
  const accounts = mesh.client(AccountService);
  const ledger = mesh.client(TransactionService);
  const reserve: Money["reserve"] = async ({ accountId, amount, currency, expireTime }, requestId, signal) => {
    const request = {
      requestId,
      accountId,
      amount: BigInt(amount),
      currency,
      expireTime: timestampFromMs(expireTime + marginMs),
    };
    const { hold } = await ledger.reserveFunds(request, { signal });
    if (hold === undefined) throw internal(new Error("the ledger answered without a hold"));
    return hold.id;
  };
  const describe = ({ id, description }: StoredPayment) => (description === "" ? `payment ${id}` : description);
  return {
    reserve,
    async find(payment, key, signal) {
      try {
        // The same key answers with the same hold. Should the first have been lost on its way, this makes it, to be released.
        return await reserve(payment, key, signal);
      } catch (error) {
        if (isRefusal(error)) return undefined;
        throw error;
      }
    },
    async free(holdId, key, signal) {
      try {
        await ledger.releaseHold({ requestId: key, holdId }, { signal });
      } catch (error) {
        if (!(error instanceof ConnectError) || reasonOf(error) !== "HOLD_CAPTURED") throw error;
        await ledger.refundCapture({ requestId: `${key}/refund`, holdId, amount: 0n, description: "payment undone" }, { signal });
      }
    },
    async capture(payment, amount, requestId, signal) {
      const { holdId, payeeAccountId, category } = payment;
      const request = { requestId, holdId, amount: BigInt(amount), payeeAccountId, category, description: describe(payment) };
      await ledger.captureHold(request, { signal });
    },
    async refund(payment, amount, requestId, signal) {
      const description = `refund of ${describe(payment)}`;
      await ledger.refundCapture({ requestId, holdId: payment.holdId, amount: BigInt(amount), description }, { signal });
    },
    async unrefund(payment, amount, refundKey, key, signal) {
      try {
        await this.refund(payment, amount, refundKey, signal);
      } catch (error) {
        if (isRefusal(error)) return;
        throw error;
      }
      const holdId = await reserve({ ...payment, amount }, `${key}/reserve`, signal);
      await this.capture({ ...payment, holdId, description: "refund undone" }, amount, `${key}/capture`, signal);
    },
    async assertPayable({ payeeAccountId, currency }, signal) {
      if (payeeAccountId === "") return;
      const { account } = await accounts.getAccount({ accountId: payeeAccountId }, { signal });
      if (account?.status === AccountStatus.CLOSED) throw failedPrecondition("PAYEE_CLOSED", "the payee's account is closed");
      if (account?.currency !== currency) {
        throw failedPrecondition("CURRENCY_MISMATCH", `the payee's account is in ${account?.currency}, not ${currency}`);
      }
    },
  };
}

/** True for answers that say that nothing was done, and that a repeat would be told the same. */
function isRefusal(error: unknown): boolean {
  return error instanceof ConnectError && refusals.has(error.code);
}

const refusals: ReadonlySet<Code> = new Set([Code.FailedPrecondition, Code.NotFound, Code.InvalidArgument, Code.OutOfRange]);
