/**
 * The local acquirer, for development and tests. What it does depends on the card's token:
 *
 * | token | outcome |
 * |---|---|
 * | tok_declined | CARD_DECLINED |
 * | tok_insufficient_funds | CARD_INSUFFICIENT_FUNDS |
 * | tok_expired | CARD_EXPIRED |
 * | tok_late | charged, but the answer comes PAYMENT_SIMULATED_LATENESS after the first call |
 * | tok_late_decline | CARD_DECLINED, as late |
 * | tok_never | charged, and no answer ever comes |
 * | tok_flaky | UNAVAILABLE twice, then charged |
 * | tok_refund_refused | charged, but refunds are REFUND_REFUSED |
 * | any other, such as tok_visa | charged |
 *
 * Its books are tables of their own, so that it remembers through every death of the service, as an acquirer would.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { failedPrecondition, unavailable } from "#mesh/errors.ts";
import type { Database, Queryable } from "#mesh/storage/database.ts";
import type { Charge, ChargeRequest, Provider } from "./provider.ts";

/** What the acquirer works with. */
export interface SimulatedAcquirerOptions {
  readonly db: Database;
  readonly clock: () => number;
  /** Milliseconds until a late answer. */
  readonly latenessMs: number;
}

/** How the acquirer takes a card. */
interface Script {
  /** "" when it charges. */
  readonly declines: string;
  /** When the answer comes. */
  readonly answers: "at once" | "late" | "never";
  /** Calls that find it away, before one is heard. */
  readonly awayFor: number;
}

const plain: Script = { declines: "", answers: "at once", awayFor: 0 };

const scripts: ReadonlyMap<string, Script> = new Map([
  ["tok_declined", { ...plain, declines: "CARD_DECLINED" }],
  ["tok_insufficient_funds", { ...plain, declines: "CARD_INSUFFICIENT_FUNDS" }],
  ["tok_expired", { ...plain, declines: "CARD_EXPIRED" }],
  ["tok_late", { ...plain, answers: "late" }],
  ["tok_late_decline", { ...plain, declines: "CARD_DECLINED", answers: "late" }],
  ["tok_never", { ...plain, answers: "never" }],
  ["tok_flaky", { ...plain, awayFor: 2 }],
]);

/** The acquirer on the service's own database. */
export function simulatedAcquirer({ db, clock, latenessMs }: SimulatedAcquirerOptions): Provider {
  return {
    async charge(request, signal) {
      const script = scripts.get(request.method) ?? plain;
      const row = await db.transaction((tx) => book(tx, request, script, clock()));
      if (row.calls <= script.awayFor) throw unavailable("the acquirer is away", 100);
      const answerTime = { "at once": 0, late: row.create_time.getTime() + latenessMs, never: Number.POSITIVE_INFINITY };
      await answerAt(answerTime[script.answers], clock, signal);
      if (row.status === "declined") throw failedPrecondition(row.decline_reason, `the card was refused: ${row.decline_reason}`);
      if (row.status === "voided") throw failedPrecondition("CHARGE_VOIDED", "the charge was cancelled");
      return request.key;
    },

    async capture({ key }, amount) {
      await db.transaction(async (tx) => {
        const row = await lockCharge(tx, key);
        if (row?.status === "captured" && Number(row.captured_amount) === amount) return;
        if (row?.status !== "authorized") throw failedPrecondition("CHARGE_NOT_AUTHORIZED", "there is no such authorization");
        await tx.query("update acquirer_charge set status = 'captured', captured_amount = $2 where key = $1", [key, amount]);
      });
    },

    async cancel(charge) {
      await db.transaction(async (tx) => {
        // One that was never heard of is noted as cancelled, for the case that it comes yet.
        await insertCharge(tx, charge, "voided", "", clock());
        await tx.query(
          `update acquirer_charge set status = case when status in ('authorized') then 'voided' else status end,
             refunded_amount = captured_amount where key = $1`,
          [charge.key],
        );
      });
    },

    async refund({ key: chargeKey, method }, amount, key) {
      if (method === "tok_refund_refused") throw failedPrecondition("REFUND_REFUSED", "the acquirer refused the refund");
      await db.transaction(async (tx) => {
        const row = await lockCharge(tx, chargeKey);
        const made = await tx.query(
          "insert into acquirer_refund (key, charge_key, amount, create_time) values ($1, $2, $3, $4) on conflict do nothing returning 1",
          [key, chargeKey, amount, new Date(clock())],
        );
        if (made.length === 0) return;
        if (row === undefined || Number(row.captured_amount) - Number(row.refunded_amount) < amount) {
          throw failedPrecondition("REFUND_EXCEEDS_CHARGE", "that much was not taken");
        }
        await tx.query("update acquirer_charge set refunded_amount = refunded_amount + $2 where key = $1", [chargeKey, amount]);
      });
    },
  };
}

interface ChargeRow {
  readonly status: "authorized" | "captured" | "declined" | "voided";
  readonly decline_reason: string;
  readonly captured_amount: string;
  readonly refunded_amount: string;
  readonly calls: number;
  readonly create_time: Date;
}

/** Enters a charge into the books unless it is there, and counts the call. */
async function book(tx: Queryable, request: ChargeRequest, script: Script, now: number): Promise<ChargeRow> {
  const status = script.declines !== "" ? "declined" : request.capture ? "captured" : "authorized";
  await insertCharge(tx, request, status, script.declines, now);
  const [row] = await tx.query<ChargeRow>("update acquirer_charge set calls = calls + 1 where key = $1 returning *", [
    request.key,
  ]);
  if (row === undefined) throw new Error("a charge that was just booked is gone");
  return row;
}

async function insertCharge(
  tx: Queryable,
  { key, method, amount, currency }: ChargeRequest | Charge,
  status: ChargeRow["status"],
  reason: string,
  now: number,
): Promise<void> {
  const captured = status === "captured" ? amount : 0;
  await tx.query(
    `insert into acquirer_charge (key, method, amount, currency, status, decline_reason, captured_amount, create_time)
     values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (key) do nothing`,
    [key, method, amount, currency, status, reason, captured, new Date(now)],
  );
}

async function lockCharge(tx: Queryable, key: string): Promise<ChargeRow | undefined> {
  const [row] = await tx.query<ChargeRow>("select * from acquirer_charge where key = $1 for update", [key]);
  return row;
}

/** @throws What the signal says when it aborts first. */
async function answerAt(time: number, clock: () => number, signal: AbortSignal): Promise<void> {
  while (clock() < time) {
    signal.throwIfAborted();
    // A timer takes 2^31 ms at most, and nobody waits as long.
    await sleep(Math.min(time - clock(), 3_600_000), undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}
