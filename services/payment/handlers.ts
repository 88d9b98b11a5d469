/** The contract's methods: messages to domain values, rules, store, and back. */

import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { AccountService, AccountStatus } from "#gen/ledger/v1/account_pb.ts";
import { CaptureMode } from "#gen/payment/v1/payment_message_pb.ts";
import { type CreatePaymentRequest, PaymentService } from "#gen/payment/v1/payment_pb.ts";
import type { MeshClient } from "#mesh/client/client.ts";
import { type CallContext, currentContext, runWithContext } from "#mesh/context.ts";
import { failedPrecondition, internal, invalidArgument, notFound, notYours } from "#mesh/errors.ts";
import { type Implementation, implement } from "#mesh/server/implementation.ts";
import { badPageToken, decodePageToken, defaultPageSize, encodePageToken } from "#mesh/storage/page.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import type { Feed } from "./feed.ts";
import { statusNameOf, toPaymentMessage, toRefundMessage } from "./messages.ts";
import { callerKey, mayActFor, ownerOf, type Who } from "./ownership.ts";
import { assertAuthorized, captureAmount, refundAmount } from "./payment.ts";
import { beginOperation, beginPayment, fingerprint, type RequestParts, repeatedPayment } from "./requests.ts";
import { findPayment, listPayments, type NewPayment, type StoredPayment } from "./store.ts";

/** What the handlers work with. */
export interface HandlerParts extends RequestParts {
  readonly mesh: MeshClient;
  readonly feed: Feed;
  /** Milliseconds that an authorization lasts. */
  readonly authorizationMs: number;
}

/** The contract and its methods. */
export function paymentHandlers(parts: HandlerParts): Implementation {
  const { db, mesh, feed, clock, authorizationMs } = parts;
  const accounts = mesh.client(AccountService);

  /** @throws NOT_FOUND when there is none, or it is another's. */
  const visible = async (id: string, who: Who): Promise<StoredPayment> => {
    const payment = await findPayment(db, id);
    if (payment === undefined) throw notFound("payment", id);
    if (!mayActFor(who, payment.userId)) throw notYours("payment", id);
    return payment;
  };

  return implement(PaymentService, {
    async createPayment(request) {
      const who = currentWho();
      const fresh = draftOf(request, who, clock(), authorizationMs);
      const before = await repeatedPayment(db, fresh);
      if (before !== undefined) return { payment: toPaymentMessage(before) };
      // As the service, which sees every account: a person's API key for payments need not be one for accounts.
      const { account } = await inNobodysName(() => accounts.getAccount({ accountId: fresh.accountId }));
      if (account?.userId !== fresh.userId) throw notYours("account", fresh.accountId);
      if (account.status === AccountStatus.CLOSED) throw failedPrecondition("ACCOUNT_CLOSED", "the account is closed");
      if (account.currency !== fresh.currency) {
        throw failedPrecondition("CURRENCY_MISMATCH", `the account is in ${account.currency}, not ${fresh.currency}`);
      }
      return { payment: toPaymentMessage(await beginPayment(parts, fresh)) };
    },

    async getPayment({ paymentId }) {
      return { payment: toPaymentMessage(await visible(paymentId, currentWho())) };
    },

    async listPayments({ userId, pageSize, pageToken, status, accountId }) {
      const { items, more } = await listPayments(db, {
        userId: ownerOf(currentWho(), userId),
        size: pageSize || defaultPageSize,
        after: positionOf(pageToken),
        status: statusNameOf(status),
        accountId: accountId === "" ? undefined : accountId,
      });
      const last = items.at(-1);
      const nextPageToken = more && last !== undefined ? encodePageToken([last.createTime, last.id]) : "";
      return { payments: items.map(toPaymentMessage), nextPageToken };
    },

    async capturePayment({ requestId, paymentId, amount }) {
      const who = currentWho();
      const requested = Number(amount);
      const amountOf = (payment: StoredPayment) => captureAmount(payment, requested);
      const asked = { paymentId, kind: "capture", caller: callerKey(who), requestId, requested, reason: "", who } as const;
      const { payment } = await beginOperation(parts, { ...asked, amountOf });
      return { payment: toPaymentMessage(payment) };
    },

    async cancelPayment({ requestId, paymentId }) {
      const who = currentWho();
      const amountOf = (payment: StoredPayment) => {
        assertAuthorized(payment);
        return payment.amount;
      };
      const asked = { paymentId, kind: "cancel", caller: callerKey(who), requestId, requested: 0, reason: "", who } as const;
      const { payment } = await beginOperation(parts, { ...asked, amountOf });
      return { payment: toPaymentMessage(payment) };
    },

    async refundPayment({ requestId, paymentId, amount, reason }) {
      const who = currentWho();
      const requested = Number(amount);
      const amountOf = (payment: StoredPayment) => refundAmount(payment, requested);
      const asked = { paymentId, kind: "refund", caller: callerKey(who), requestId, requested, reason, who } as const;
      const { payment, operationId } = await beginOperation(parts, { ...asked, amountOf });
      const refund = payment.refunds.find(({ id }) => id === operationId);
      if (refund === undefined) throw internal(new Error(`refund ${operationId} is gone`));
      return { refund: toRefundMessage(refund, payment.currency) };
    },

    async *watchPayment({ paymentId, afterNumber }, { requestHeader, responseHeader, signal }) {
      await visible(paymentId, currentWho());
      const seen = requestHeader.get("last-event-id");
      const after = seen !== null && /^\d{1,15}$/.test(seen) ? Number(seen) : Number(afterNumber);
      if (seen === String(after)) responseHeader.set("last-event-id", seen);
      for await (const { number, type, payment, time } of feed.watch(paymentId, after, signal)) {
        yield { number: BigInt(number), type, payment: toPaymentMessage(payment), time: timestampFromMs(time) };
      }
    },
  });
}

function currentWho(): Who {
  return currentContext() ?? { principal: undefined, caller: undefined };
}

function inNobodysName<T>(work: () => Promise<T>): Promise<T> {
  const context = currentContext();
  if (context === undefined) return work();
  const nobody: CallContext = { ...context, principal: undefined };
  return runWithContext(nobody, work);
}

/** @throws INVALID_ARGUMENT or PERMISSION_DENIED. */
function draftOf(request: CreatePaymentRequest, who: Who, now: number, authorizationMs: number): NewPayment {
  const userId = ownerOf(who, request.userId);
  const { requestId, currency, paymentMethod: method, captureMode, receiptEmail } = request;
  const [accountId, payeeAccountId] = [request.accountId.toLowerCase(), request.payeeAccountId.toLowerCase()];
  // JSON can carry half a surrogate pair; it becomes U+FFFD here, since it could be neither stored nor sent.
  const [description, category] = [request.description.toWellFormed(), request.category.toWellFormed()];
  const amount = Number(request.amount);
  const manualCapture = captureMode === CaptureMode.MANUAL;
  const content = {
    userId,
    accountId,
    payeeAccountId,
    amount,
    currency,
    method,
    manualCapture,
    description,
    category,
    receiptEmail,
  };
  if (!Intl.supportedValuesOf("currency").includes(currency)) {
    throw invalidArgument([{ field: "currency", description: "expected an ISO 4217 code" }]);
  }
  return {
    ...content,
    id: uuidv7(now),
    caller: callerKey(who),
    requestId,
    contentHash: fingerprint(Object.values(content)),
    chargeId: "",
    createTime: now,
    updateTime: now,
    expireTime: now + authorizationMs,
  };
}

function positionOf(token: string): { time: number; id: string } | undefined {
  const position = decodePageToken(token);
  if (position === undefined) return undefined;
  const [time, id] = position;
  if (id === undefined || !uuid.test(id) || !Number.isSafeInteger(Number(time))) throw badPageToken();
  return { time: Number(time), id };
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
