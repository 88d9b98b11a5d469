/** A database that dies at the n-th statement: what is left of a call that was cut off between any two of its writes. */
import { unavailable } from "../errors.ts";
import type { Database, Queryable } from "./database.ts";

/** `db`, with a count of the statements that came through, the n-th of which fails; 0 fails none. */
export function failingAt(db: Database, n: number): { db: Database; count(): number } {
  let count = 0;
  const guard = (q: Queryable): Queryable => ({
    query: async (sql, params) => {
      count++;
      if (count === n) throw unavailable("the database is away", 1000);
      return q.query(sql, params);
    },
  });
  const guarded: Database = {
    ...guard(db),
    transaction: (work, options) =>
      db.transaction(async (tx) => {
        const result = await work(guard(tx));
        // The moment before COMMIT is a place to die at, too.
        count++;
        if (count === n) throw unavailable("the database is away", 1000);
        return result;
      }, options),
    listen: (...args) => db.listen(...args),
    check: (signal) => db.check(signal),
    [Symbol.asyncDispose]: async () => {},
  };
  return { db: guarded, count: () => count };
}
