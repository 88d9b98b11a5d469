/**
 * An acquirer over HTTP, in the form of Stripe's Payment Intents with JSON bodies:
 *
 * | call | request | answer |
 * |---|---|---|
 * | charge | POST /v1/payment_intents `{amount, currency, payment_method, capture_method: "automatic" or "manual", confirm: true, description}` | `{id, status}` |
 * | capture | POST /v1/payment_intents/{id}/capture `{amount_to_capture}` | `{id, status}` |
 * | cancel | POST /v1/payment_intents/{id}/cancel, and when it was taken POST /v1/refunds `{payment_intent}` | `{id, status}` |
 * | refund | POST /v1/refunds `{payment_intent, amount}` | `{id, status}` |
 *
 * Each has the header `Idempotency-Key`, and the acquirer answers the same to the same key. A charge's status is `succeeded` or
 * `requires_capture`; `processing` means to ask again. 402 is a refusal, `{error: {code, message}}`, whose code in capitals is the
 * payment's reason (`card_declined`, `expired_card`); 409, 429 and 5xx mean to ask again, other codes are refusals.
 */
import type { ConnectError } from "@connectrpc/connect";
import { deadlineExceeded, failedPrecondition, unavailable } from "#mesh/errors.ts";
import type { Charge, ChargeRequest, Provider } from "./provider.ts";

/** Where the acquirer is. */
export interface HttpProviderOptions {
  readonly url: URL;
  /** Sent as `Authorization: Bearer`; "" sends none. */
  readonly apiKey: string;
  /** Default fetch. */
  readonly fetch?: typeof fetch;
}

/** The acquirer at a URL. */
export function httpProvider({ url, apiKey, fetch: send = fetch }: HttpProviderOptions): Provider {
  const post = async (path: string, body: object, key: string, signal: AbortSignal): Promise<Answer> => {
    const headers = {
      "content-type": "application/json",
      "idempotency-key": key,
      ...(apiKey === "" ? {} : { authorization: `Bearer ${apiKey}` }),
    };
    const target = new URL(`${url.pathname.replace(/\/$/, "")}${path}`, url);
    let response: Response;
    let answer: Answer;
    try {
      response = await send(target, { method: "POST", headers, body: JSON.stringify(body), signal, redirect: "error" });
      answer = answerOf(await response.text());
    } catch (error) {
      if (signal.aborted) throw deadlineExceeded("the acquirer has not answered in time");
      throw unavailable("the acquirer cannot be reached", 500, error);
    }
    if (response.ok) return answer;
    throw refusalOf(response.status, answer);
  };

  const charge = async (request: ChargeRequest, signal: AbortSignal): Promise<Answer> => {
    const { key, amount, method, currency, capture, description } = request;
    const body = {
      amount,
      currency: currency.toLowerCase(),
      payment_method: method,
      capture_method: capture ? "automatic" : "manual",
      confirm: true,
      description,
    };
    const answer = await post("/v1/payment_intents", body, key, signal);
    if (answer.id === undefined) throw unavailable("the acquirer's answer has no id", 500);
    return answer;
  };

  /** The id of a charge whose answer was lost is learnt by asking for it again, under its own key. Undefined: it was refused. */
  const idOf = async (one: Charge, signal: AbortSignal): Promise<string | undefined> => {
    if (one.id !== "") return one.id;
    try {
      return (await charge(one, signal)).id;
    } catch (error) {
      if (isRefusal(error)) return undefined;
      throw error;
    }
  };

  return {
    async charge(request, signal) {
      const { id = "", status } = await charge(request, signal);
      if (status === "processing") throw unavailable("the acquirer is still at it", 500);
      if (status === "succeeded" || status === "requires_capture") return id;
      throw failedPrecondition("CARD_DECLINED", `the acquirer answered with status ${status}`);
    },
    async capture(one, amount, key, signal) {
      const id = await idOf(one, signal);
      if (id === undefined) throw failedPrecondition("CHARGE_NOT_AUTHORIZED", "there is no such authorization");
      await post(`/v1/payment_intents/${encodeURIComponent(id)}/capture`, { amount_to_capture: amount }, key, signal);
    },
    async cancel(one, key, signal) {
      const id = await idOf(one, signal);
      if (id === undefined) return;
      try {
        await post(`/v1/payment_intents/${encodeURIComponent(id)}/cancel`, {}, key, signal);
      } catch (error) {
        if (!isRefusal(error)) throw error;
        // It was taken already, or is cancelled; giving back what was given back is refused, which is as good.
        await post("/v1/refunds", { payment_intent: id }, `${key}/refund`, signal).catch((refused: unknown) => {
          if (!isRefusal(refused)) throw refused;
        });
      }
    },
    async refund(one, amount, key, signal) {
      const id = await idOf(one, signal);
      if (id === undefined) throw failedPrecondition("CHARGE_NOT_CAPTURED", "there is no such charge");
      await post("/v1/refunds", { payment_intent: id, amount }, key, signal);
    },
  };
}

interface Answer {
  readonly id?: string;
  readonly status?: string;
  readonly error?: { readonly code?: string; readonly message?: string };
}

const refusals = new WeakSet<ConnectError>();

function refusalOf(status: number, { error }: Answer): ConnectError {
  const message = error?.message ?? `the acquirer answered ${status}`;
  if (status === 409 || status === 429 || status >= 500) return unavailable(message, 500);
  const reason = (error?.code ?? "CARD_DECLINED").toUpperCase().replaceAll(/[^A-Z0-9]+/g, "_");
  const refusal = failedPrecondition(reason, message);
  refusals.add(refusal);
  return refusal;
}

function isRefusal(error: unknown): boolean {
  return refusals.has(error as ConnectError);
}

function answerOf(text: string): Answer {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Answer) : {};
  } catch {
    return {};
  }
}
