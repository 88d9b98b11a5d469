/** The SQL of captures, cancellations and refunds. */
import type { Queryable } from "#mesh/storage/database.ts";
import type { Operation } from "./payment.ts";

/** An operation to store. */
export interface NewOperation extends Pick<Operation, "id" | "paymentId" | "kind" | "amount" | "reason" | "createTime"> {
  readonly caller: string;
  readonly requestId: string;
  readonly contentHash: string;
}

export async function insertOperation(tx: Queryable, o: NewOperation): Promise<void> {
  await tx.query(
    `insert into operation (id, payment_id, kind, caller, request_id, content_hash, amount, reason, status, create_time, update_time)
     values ($1, $2, $3, $4, $5, $6, $7, $8, 'pending', $9, $9)`,
    [o.id, o.paymentId, o.kind, o.caller, o.requestId, o.contentHash, o.amount, o.reason, new Date(o.createTime)],
  );
}

/** The operation that a request made, if it came before. */
export async function operationOfRequest(
  db: Queryable,
  caller: string,
  requestId: string,
): Promise<{ id: string; contentHash: string } | undefined> {
  const [row] = await db.query<{ id: string; content_hash: string }>(
    "select id, content_hash from operation where caller = $1 and request_id = $2",
    [caller, requestId],
  );
  return row === undefined ? undefined : { id: row.id, contentHash: row.content_hash };
}

/** Ends an operation. */
export async function endOperation(
  tx: Queryable,
  id: string,
  end: Pick<Operation, "status" | "failureReason" | "failureMessage">,
  now: number,
): Promise<void> {
  await tx.query("update operation set status = $2, failure_reason = $3, failure_message = $4, update_time = $5 where id = $1", [
    id,
    end.status,
    end.failureReason,
    end.failureMessage,
    new Date(now),
  ]);
}
