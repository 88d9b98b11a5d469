/**
 * The sagas of payments. Each row is a step with what undoes it:
 *
 *     payment           reserve (ledger: reserve | free the hold) -> check (payee's account, risk rules) -> charge (acquirer: charge,
 *                       or reserve when capture is manual | cancel) -> settle (ledger: capture; nothing when manual) -> notify
 *     payment-capture   hold (- | free the hold) -> charge (- | cancel the charge) -> capture (acquirer) -> settle (ledger) -> notify
 *     payment-cancel    hold (- | free the hold) -> charge (- | cancel the charge) -> give-up (refused, so that both are undone)
 *     payment-refund    refund (ledger | pay again) -> give-back (acquirer) -> notify
 *
 * What was charged is settled, however long the ledger is away: only its refusal turns back. A message that cannot be sent never does.
 */
import { Code, type ConnectError } from "@connectrpc/connect";
import { Channel } from "#gen/notification/v1/message_pb.ts";
import { NotificationService } from "#gen/notification/v1/notification_pb.ts";
import type { MeshClient } from "#mesh/client/client.ts";
import { failedPrecondition, from } from "#mesh/errors.ts";
import { requestIdOf } from "#mesh/saga/request-id.ts";
import type { SagaDefinition, SagaStep, StepContext } from "#mesh/saga/saga.ts";
import { isTransient } from "#mesh/saga/saga-state.ts";
import type { Database } from "#mesh/storage/database.ts";
import type { Money } from "./money.ts";
import type { PaymentSagaName, PaymentState } from "./payment-changes.ts";
import type { Charge, Provider } from "./provider.ts";
import { receiptOf } from "./receipt.ts";
import { type RiskLimits, riskOf } from "./risk.ts";
import { findPayment, riskFacts, type StoredPayment } from "./store.ts";

/** What the sagas work with. */
export interface PaymentSagaParts {
  readonly db: Database;
  readonly mesh: MeshClient;
  readonly money: Money;
  readonly provider: Provider;
  readonly limits: RiskLimits;
  /** Milliseconds that the acquirer may take to answer. */
  readonly providerTimeoutMs: number;
}

type Step = SagaStep<PaymentState>;
type Work = (payment: StoredPayment, state: PaymentState, context: StepContext) => Promise<Partial<PaymentState> | undefined>;

const callTimeoutMs = 10_000;

/** Repeated until it succeeds or is refused: there is no way back that would be better than forward. */
const forward = { maxAttempts: Number.MAX_SAFE_INTEGER };

/** The definitions, without what they tell the payment. */
export function paymentSagas({
  db,
  mesh,
  money,
  provider,
  limits,
  providerTimeoutMs,
}: PaymentSagaParts): readonly Pick<SagaDefinition<PaymentState> & { name: PaymentSagaName }, "name" | "steps">[] {
  const notifications = mesh.client(NotificationService);
  const within = (work: Work) => async (state: PaymentState, context: StepContext) => {
    const payment = await findPayment(db, state.paymentId);
    if (payment === undefined) throw new Error(`payment ${state.paymentId} is gone`);
    return { ...state, ...(await work(payment, state, context)) };
  };
  const step = (name: string, run: Work, more: Partial<Omit<Step, "run" | "compensate">> & { compensate?: Work } = {}): Step => {
    const { compensate, ...rest } = more;
    const work = within(run);
    const undo = compensate === undefined ? {} : { compensate: within(compensate) };
    const done = async (state: PaymentState, context: StepContext) => {
      const next = await work(state, context);
      return { ...next, done: [...next.done, name] };
    };
    return { name, timeoutMs: callTimeoutMs, run: done, ...undo, ...rest };
  };
  const nothing: Work = async () => undefined;

  const free: Work = async ({ holdId }, state, { key, signal }) => {
    const hold = state.holdId ?? holdId;
    if (hold !== "") await money.free(hold, key, signal);
    return undefined;
  };
  const cancel: Work = async (payment, _state, { key, signal }) => {
    await provider.cancel(chargeOf(payment), key, signal);
    return undefined;
  };
  const notify = step(
    "notify",
    async (payment, state, { key, signal }) => {
      try {
        const { userId, receiptEmail: recipient } = payment;
        const content = { case: "text", value: receiptOf(payment, state.operationId) } as const;
        const channel = recipient === "" ? Channel.PUSH : Channel.EMAIL;
        await notifications.send({ requestId: requestIdOf(key), userId, channel, recipient, content }, { signal });
      } catch (error) {
        // What is refused for good stays unsent: the payment is made all the same.
        if (signal.aborted || isTransient(from(error).code)) throw error;
      }
      return undefined;
    },
    forward,
  );

  return [
    {
      name: "payment",
      steps: [
        step("reserve", async (payment, _state, { key, signal }) => ({ holdId: await money.reserve(payment, key, signal) }), {
          async compensate(payment, state, context) {
            const reserveKey = `${context.sagaId}/reserve`;
            const holdId = state.holdId ?? (await money.find(payment, reserveKey, context.signal));
            return holdId === undefined ? undefined : free(payment, { ...state, holdId }, context);
          },
        }),
        step("check", async (payment, _state, { signal }) => {
          await payable(money, payment, signal);
          const refusal = riskOf(await riskFacts(db, payment), limits);
          if (refusal !== undefined) throw failedPrecondition(refusal.reason, refusal.message);
          return undefined;
        }),
        step("charge", async (payment, _state, { signal }) => ({ chargeId: await provider.charge(chargeOf(payment), signal) }), {
          timeoutMs: providerTimeoutMs,
          compensate: cancel,
        }),
        step(
          "settle",
          async (payment, { holdId = "" }, { key, signal }) => {
            if (!payment.manualCapture) await money.capture({ ...payment, holdId }, payment.amount, key, signal);
            return undefined;
          },
          forward,
        ),
        notify,
      ],
    },
    {
      name: "payment-capture",
      steps: [
        step("hold", nothing, { compensate: free }),
        step("charge", nothing, { compensate: cancel }),
        step(
          "capture",
          async (payment, { amount = 0 }, { key, signal }) => {
            await provider.capture(chargeOf(payment), amount, key, signal);
            return undefined;
          },
          { ...forward, timeoutMs: providerTimeoutMs },
        ),
        step(
          "settle",
          async (payment, { amount = 0 }, { key, signal }) => {
            await money.capture(payment, amount, key, signal);
            return undefined;
          },
          forward,
        ),
        notify,
      ],
    },
    {
      name: "payment-cancel",
      steps: [
        step("hold", nothing, { compensate: free }),
        step("charge", nothing, { compensate: cancel }),
        step("give-up", async () => {
          throw failedPrecondition("GIVEN_UP", "the payment is cancelled: what it holds is given back");
        }),
      ],
    },
    {
      name: "payment-refund",
      steps: [
        step(
          "refund",
          async (payment, { amount = 0 }, { key, signal }) => {
            await money.refund(payment, amount, key, signal);
            return undefined;
          },
          {
            async compensate(payment, { amount = 0 }, { sagaId, key, signal }) {
              await money.unrefund(payment, amount, `${sagaId}/refund`, key, signal);
              return undefined;
            },
          },
        ),
        step(
          "give-back",
          async (payment, { amount = 0 }, { key, signal }) => {
            await provider.refund(chargeOf(payment), amount, key, signal);
            return undefined;
          },
          { ...forward, timeoutMs: providerTimeoutMs },
        ),
        notify,
      ],
    },
  ];
}

/** The payment's charge at the acquirer: its key is the same in every saga of the payment. */
function chargeOf({ id, amount, currency, method, manualCapture, description, chargeId }: StoredPayment): Charge {
  return { key: `${id}/charge`, id: chargeId, amount, currency, method, capture: !manualCapture, description };
}

async function payable(money: Money, payment: StoredPayment, signal: AbortSignal): Promise<void> {
  try {
    await money.assertPayable(payment, signal);
  } catch (error) {
    const { code, rawMessage }: ConnectError = from(error);
    if (code !== Code.NotFound) throw error;
    throw failedPrecondition("PAYEE_NOT_FOUND", `the payee's account does not exist: ${rawMessage}`);
  }
}
