/** The payments' SQL. Amounts fit a number: a payment is 10^12 at most. */
import type { Queryable } from "#mesh/storage/database.ts";
import type { Operation, Payment, PaymentSecrets } from "./payment.ts";
import type { RiskFacts } from "./risk.ts";

/** A payment as the service itself sees it. */
export interface StoredPayment extends Payment, PaymentSecrets {
  readonly contentHash: string;
}

/** A payment to store. */
export interface NewPayment
  extends PaymentSecrets,
    Omit<Payment, "status" | "capturedAmount" | "refundedAmount" | "failureReason" | "failureMessage" | "holdId" | "refunds"> {
  readonly caller: string;
  readonly requestId: string;
  readonly contentHash: string;
}

/** What changes of a payment. */
export type PaymentPatch = Partial<
  Pick<StoredPayment, "status" | "holdId" | "chargeId" | "capturedAmount" | "refundedAmount" | "failureReason" | "failureMessage">
>;

/** Stores a payment, unless its request came before: then false. */
export async function insertPayment(tx: Queryable, p: NewPayment): Promise<boolean> {
  const rows = await tx.query(
    `insert into payment (id, caller, request_id, content_hash, user_id, account_id, payee_account_id, amount, currency, method,
       manual_capture, description, category, receipt_email, status, create_time, update_time, expire_time)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 'processing', $15, $15, $16)
     on conflict (caller, request_id) do nothing returning 1`,
    [
      ...[p.id, p.caller, p.requestId, p.contentHash, p.userId, p.accountId, p.payeeAccountId || null, p.amount, p.currency],
      ...[p.method, p.manualCapture, p.description, p.category, p.receiptEmail, new Date(p.createTime), new Date(p.expireTime)],
    ],
  );
  return rows.length === 1;
}

export async function findByRequest(db: Queryable, caller: string, requestId: string): Promise<StoredPayment | undefined> {
  return (await select(db, "p.caller = $1 and p.request_id = $2", [caller, requestId]))[0];
}

export async function findPayment(db: Queryable, id: string): Promise<StoredPayment | undefined> {
  return (await select(db, "p.id = $1", [id]))[0];
}

/** Finds a payment and holds its row until the transaction ends. */
export async function lockPayment(tx: Queryable, id: string): Promise<StoredPayment | undefined> {
  await tx.query("select 1 from payment where id = $1 for update", [id]);
  return findPayment(tx, id);
}

/** A user's payments, latest first, and whether there are more. */
export async function listPayments(
  db: Queryable,
  q: {
    readonly userId: string;
    readonly size: number;
    readonly after: { readonly time: number; readonly id: string } | undefined;
    readonly status: string | undefined;
    readonly accountId: string | undefined;
  },
): Promise<{ items: StoredPayment[]; more: boolean }> {
  const rows = await select(
    db,
    `p.user_id = $1 and ($2::text is null or p.status = $2) and ($3::uuid is null or p.account_id = $3)
       and ($4::timestamptz is null or (p.create_time, p.id) < ($4, $5::uuid))
     order by p.create_time desc, p.id desc limit $6`,
    [
      ...[q.userId, q.status ?? null, q.accountId ?? null, q.after === undefined ? null : new Date(q.after.time)],
      ...[q.after?.id ?? null, q.size + 1],
    ],
  );
  return { items: rows.slice(0, q.size), more: rows.length > q.size };
}

/** Changes a payment, notes the change for those who watch, and answers with the payment after it and the change's number. */
export async function changePayment(
  tx: Queryable,
  id: string,
  patch: PaymentPatch,
  type: string,
  now: number,
): Promise<{ payment: StoredPayment; number: number }> {
  const [row] = await tx.query<{ changes: number }>(
    `update payment set status = coalesce($2, status), hold_id = coalesce($3, hold_id), charge_id = coalesce($4, charge_id),
       captured_amount = coalesce($5, captured_amount), refunded_amount = coalesce($6, refunded_amount),
       failure_reason = coalesce($7, failure_reason), failure_message = coalesce($8, failure_message),
       changes = changes + 1, update_time = $9 where id = $1 returning changes`,
    [
      ...[id, patch.status ?? null, patch.holdId ?? null, patch.chargeId ?? null, patch.capturedAmount ?? null],
      ...[patch.refundedAmount ?? null, patch.failureReason ?? null, patch.failureMessage ?? null, new Date(now)],
    ],
  );
  const payment = await findPayment(tx, id);
  if (row === undefined || payment === undefined) throw new Error(`payment ${id} is gone`);
  const { method: _, chargeId: __, receiptEmail: ___, contentHash: ____, ...shown } = payment;
  await tx.query("insert into change (payment_id, number, type, payment, time) values ($1, $2, $3, $4, $5)", [
    id,
    row.changes,
    type,
    JSON.stringify(shown),
    new Date(now),
  ]);
  await tx.query("select pg_notify('payment_changed', $1)", [id]);
  return { payment, number: row.changes };
}

/** One change of a payment, as watchers see it. */
export interface PaymentChange {
  readonly number: number;
  readonly type: string;
  readonly payment: Payment;
  readonly time: number;
}

/** The changes after a number, in order, at most 100. */
export async function changesAfter(db: Queryable, id: string, number: number): Promise<PaymentChange[]> {
  const rows = await db.query<Omit<PaymentChange, "time"> & { time: Date }>(
    "select number, type, payment, time from change where payment_id = $1 and number > $2 order by number limit 100",
    [id, number],
  );
  return rows.map(({ time, ...same }) => ({ ...same, time: time.getTime() }));
}

/** What the risk rules look at. */
export async function riskFacts(db: Queryable, payment: Payment): Promise<RiskFacts> {
  const [row] = await db.query<{ recent: string; sum: string; declines: string }>(
    `select count(*) filter (where create_time > $3::timestamptz - interval '10 minutes') as recent,
       coalesce(sum(amount) filter (where currency = $4 and status not in ('declined', 'canceled', 'failed')), 0) as sum,
       count(*) filter (where status = 'declined' and update_time > $3::timestamptz - interval '1 hour') as declines
     from payment where user_id = $1 and id <> $2 and create_time > $3::timestamptz - interval '24 hours' and create_time <= $3`,
    [payment.userId, payment.id, new Date(payment.createTime), payment.currency],
  );
  return {
    amount: payment.amount,
    paymentsIn10Minutes: Number(row?.recent ?? 0),
    amountIn24Hours: Number(row?.sum ?? 0),
    declinesIn1Hour: Number(row?.declines ?? 0),
  };
}

/** Authorized payments whose time has come, each held until the transaction ends. */
export async function lockExpired(tx: Queryable, now: number): Promise<string[]> {
  const rows = await tx.query<{ id: string }>(
    "select id from payment where status = 'authorized' and expire_time <= $1 order by expire_time limit 50 for update skip locked",
    [new Date(now)],
  );
  return rows.map(({ id }) => id);
}

async function select(db: Queryable, condition: string, params: readonly unknown[]): Promise<StoredPayment[]> {
  const rows = await db.query<Row>(
    `select p.*, coalesce((select json_agg(json_build_object('id', o.id, 'paymentId', o.payment_id, 'kind', o.kind, 'amount', o.amount,
         'reason', o.reason, 'status', o.status, 'failureReason', o.failure_reason, 'failureMessage', o.failure_message,
         'createTime', floor(extract(epoch from o.create_time) * 1000), 'updateTime', floor(extract(epoch from o.update_time) * 1000))
         order by o.create_time, o.id) from operation o where o.payment_id = p.id and o.kind = 'refund'), '[]') as refunds
     from payment p where ${condition}`,
    params,
  );
  return rows.map(toPayment);
}

interface Row {
  readonly id: string;
  readonly content_hash: string;
  readonly user_id: string;
  readonly account_id: string;
  readonly payee_account_id: string | null;
  readonly amount: string;
  readonly currency: string;
  readonly method: string;
  readonly manual_capture: boolean;
  readonly description: string;
  readonly category: string;
  readonly receipt_email: string;
  readonly status: Payment["status"];
  readonly hold_id: string | null;
  readonly charge_id: string;
  readonly captured_amount: string;
  readonly refunded_amount: string;
  readonly failure_reason: string;
  readonly failure_message: string;
  readonly create_time: Date;
  readonly update_time: Date;
  readonly expire_time: Date;
  readonly refunds: Operation[];
}

function toPayment(row: Row): StoredPayment {
  return {
    id: row.id,
    contentHash: row.content_hash,
    userId: row.user_id,
    accountId: row.account_id,
    payeeAccountId: row.payee_account_id ?? "",
    amount: Number(row.amount),
    currency: row.currency,
    method: row.method,
    manualCapture: row.manual_capture,
    description: row.description,
    category: row.category,
    receiptEmail: row.receipt_email,
    status: row.status,
    holdId: row.hold_id ?? "",
    chargeId: row.charge_id,
    capturedAmount: Number(row.captured_amount),
    refundedAmount: Number(row.refunded_amount),
    failureReason: row.failure_reason,
    failureMessage: row.failure_message,
    refunds: row.refunds,
    createTime: row.create_time.getTime(),
    updateTime: row.update_time.getTime(),
    expireTime: row.expire_time.getTime(),
  };
}
