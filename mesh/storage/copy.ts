/** COPY, PostgreSQL's way in for many rows at once, as a statement of a transaction like any other. */
import type { Queryable } from "./database.ts";
import type { Lease } from "./lease.ts";

const leases = new WeakMap<Queryable, Lease>();

/**
 * Sends `data` by a `COPY ... FROM STDIN` within the transaction `tx`, and answers how many rows that made.
 *
 * @param sql the statement, which says the format of `data`
 * @throws What Queryable.query throws, and Error when `tx` is no transaction that `Database.transaction` opened.
 */
export async function copyIn(tx: Queryable, sql: string, data: Uint8Array): Promise<number> {
  const lease = leases.get(tx);
  if (lease === undefined) throw new Error("COPY needs a transaction of the database's own");
  return lease.copy(sql, data);
}

/** Lets `copyIn` find the connection of a transaction. @package */
export function allowCopy(tx: Queryable, lease: Lease): void {
  leases.set(tx, lease);
}
