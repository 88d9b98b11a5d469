import assert from "node:assert/strict";
import type { Database, Queryable } from "#mesh/storage/database.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import { ann, asAnn, type Fixture, freshDatabase, serve, violations } from "./ledger.fixture.ts";

describe("ledger, the database alone", () => {
  let db: Database;
  let fixture: Fixture;
  let accountId = "";
  before(async () => {
    db = await freshDatabase();
    fixture = serve(db);
    accountId = await fixture.funded(asAnn, 1000n);
  });
  after(async () => {
    assert.deepEqual(await violations(db), []);
    await fixture[Symbol.asyncDispose]();
    await db[Symbol.asyncDispose]();
  });

  const time = new Date(Date.now() + 1000);
  const transaction = async (tx: Queryable, id: string, currency = "EUR") =>
    tx.query(
      `INSERT INTO transaction (id, kind, currency, category, description, occur_time, create_time)
       VALUES ($1, 'entry', $2, 'x', '', $3, $3)`,
      [id, currency, time],
    );
  const outside = async (tx: Queryable, id: string, line: number, amount: number, currency = "EUR") =>
    tx.query(
      `INSERT INTO posting (transaction_id, line, outside, amount, currency, kind, category, occur_time, create_time)
       VALUES ($1, $2, 'entry', $3, $4, 'entry', 'x', $5, $5)`,
      [id, line, amount, currency, time],
    );
  const onAccount = async (tx: Queryable, id: string, amount: number, number: number, balance: number, currency = "EUR") =>
    tx.query(
      `INSERT INTO posting (transaction_id, line, account_id, user_id, amount, number, balance, currency, kind, category, occur_time,
         create_time)
       VALUES ($1, 1, $2, $3, $4, $5, $6, $7, 'entry', 'x', $8, $8)`,
      [id, accountId, ann, amount, number, balance, currency, time],
    );
  const account = async (tx: Queryable, postings: number, balance: number, held = 0) =>
    tx.query("UPDATE account SET balance = $2, postings = $3, held = $4, last_time = $5 WHERE id = $1", [
      ...[accountId, balance, postings, held, time],
    ]);

  const cases: readonly (readonly [title: string, pattern: RegExp, work: (tx: Queryable) => Promise<unknown>])[] = [
    [
      "postings that sum to 1",
      /postings of transaction .* sum to 1, not 0/,
      async (tx) => {
        const id = uuidv7();
        await transaction(tx, id);
        await outside(tx, id, 2, -99);
        await onAccount(tx, id, 100, 2, 1100);
        await account(tx, 2, 1100);
      },
    ],
    ["a transaction without postings", /has no postings/, (tx) => transaction(tx, uuidv7())],
    [
      "postings in two currencies",
      /violates foreign key/,
      async (tx) => {
        const id = uuidv7();
        await transaction(tx, id, "USD");
        await outside(tx, id, 2, -100, "USD");
        await onAccount(tx, id, 100, 2, 1100, "EUR");
      },
    ],
    [
      "a posting in another currency than its account's",
      /violates foreign key/,
      async (tx) => {
        const id = uuidv7();
        await transaction(tx, id, "USD");
        await onAccount(tx, id, 100, 2, 1100, "USD");
      },
    ],
    [
      "a posting that does not go on from the one before",
      /does not go on from the one before/,
      async (tx) => {
        const id = uuidv7();
        await transaction(tx, id);
        await outside(tx, id, 2, -100);
        await onAccount(tx, id, 100, 2, 1200);
        await account(tx, 2, 1200);
      },
    ],
    [
      "a posting put in before the first",
      /does not go on from the one before/,
      async (tx) => {
        const id = uuidv7();
        await transaction(tx, id);
        await outside(tx, id, 2, -100);
        await tx.query(
          `INSERT INTO posting (transaction_id, line, account_id, user_id, amount, number, balance, currency, kind, category, occur_time,
             create_time) VALUES ($1, 1, $2, $3, 100, 1, 100, 'EUR', 'entry', 'x', now(), to_timestamp(0))`,
          [id, accountId, ann],
        );
      },
    ],
    ["a balance that no posting made", /its postings say 1000/, (tx) => account(tx, 1, 5000)],
    ["a balance under the limit", /account_limit/, (tx) => account(tx, 1, -1)],
    ["a hold that leaves less than the limit", /account_limit/, (tx) => account(tx, 1, 1000, 1001)],
    ["a held amount that no hold reserves", /its holds say 0/, (tx) => account(tx, 1, 1000, 10)],
    ["a changed posting", /only grows: UPDATE is refused/, (tx) => tx.query("UPDATE posting SET amount = amount + 1")],
    ["a deleted posting", /only grows: DELETE is refused/, (tx) => tx.query("DELETE FROM posting")],
    ["a truncated posting table", /only grows: TRUNCATE is refused/, (tx) => tx.query("TRUNCATE posting CASCADE")],
    ["a changed transaction", /only grows: UPDATE is refused/, (tx) => tx.query("UPDATE transaction SET category = 'y'")],
    ["a forgotten request", /only grows: DELETE is refused/, (tx) => tx.query("DELETE FROM request")],
    ["a deleted account", /only grows: DELETE is refused/, (tx) => tx.query("DELETE FROM account")],
    ["a closed account with money on it", /account_closed_empty/, (tx) => tx.query("UPDATE account SET close_time = now()")],
  ];
  for (const [title, pattern, work] of cases) {
    it(`refuses ${title}`, async () => {
      await assert.rejects(db.transaction(work), pattern);
    });
  }
});
