import assert from "node:assert/strict";
import { Code } from "@connectrpc/connect";
import { Status } from "#gen/etl/v1/job_pb.ts";
import { type Database, openDatabase } from "#mesh/storage/database.ts";
import { testDatabase } from "#mesh/testing.ts";
import { asAdmin, asAnn, type Fixture, freshDatabase, refused, rowsOf, run, serve, silent, succeeded } from "./etl.fixture.ts";

const load = { kind: { case: "table" as const, value: { table: "q" } } };
const from = (query: string, more = {}) => ({ kind: { case: "query" as const, value: { source: "shop", query, ...more } } });

describe("etl queries", () => {
  let db: Database;
  let shop: Database;
  let url: string;
  let fixture: Fixture;
  before(async () => {
    url = await testDatabase();
    shop = await openDatabase({ url, service: "shop", log: silent });
    await shop.query("CREATE TABLE item (id int, name text, price numeric, ok boolean, at timestamptz, more jsonb)");
    await shop.query(
      `INSERT INTO item SELECT i, 'item ' || i, i * 0.25, i % 2 = 0, timestamptz '2026-01-01 00:00:00Z' + i * interval '1 s', '{"a": 1}'
       FROM generate_series(1, 5000) i`,
    );
    db = await freshDatabase();
    fixture = await serve(db, { sources: new Map([["shop", url]]), queryTimeoutMs: 60_000 });
  });
  after(async () => {
    await fixture[Symbol.asyncDispose]();
    await db[Symbol.asyncDispose]();
    await shop[Symbol.asyncDispose]();
  });

  it("extracts the rows of a query with their types", async () => {
    const client = fixture.as(asAdmin);
    const job = succeeded(await run(client, { source: from("SELECT * FROM item ORDER BY id -- all"), load }));
    assert.deepEqual([job.rowsRead, job.rowsLoaded, job.totalBytes], [5000n, 5000n, 0n]);
    const rows = await rowsOf(client, "q");
    assert.equal(rows.length, 5000);
    assert.deepEqual(rows[1], {
      id: 2,
      name: "item 2",
      price: "0.50",
      ok: true,
      at: "2026-01-01T00:00:02+00:00",
      more: { a: 1 },
    });
  });

  for (const [what, query, message] of [
    ["a write", "DELETE FROM item RETURNING id", /query failed/],
    ["two statements", "SELECT 1 AS a) q; DROP TABLE item; SELECT * FROM (SELECT 1 AS a", /query failed/],
    ["a table that is not there", "SELECT * FROM nothing", /relation "nothing" does not exist/],
    ["a column without a name twice", "SELECT 1, 2", /is there twice/],
  ] as const) {
    it(`refuses ${what} as INVALID_ARGUMENT`, async () => {
      assert.match(
        await refused(fixture.as(asAdmin).createJob({ source: from(query), load }), Code.InvalidArgument, "source.query.query"),
        message,
      );
    });
  }

  it("fails a query that takes too long, and one with more rows than it may have", async () => {
    // Of a database of its own: another's runner would take its jobs.
    await using own = await freshDatabase();
    await using hasty = await serve(own, { sources: new Map([["shop", url]]), queryTimeoutMs: 500 });
    const client = hasty.as(asAdmin);
    const output = { kind: { case: "file" as const, value: {} } };
    const slow = await run(client, { source: from("SELECT pg_sleep(60)::text AS a"), load: output });
    assert.deepEqual([slow.status, slow.failureReason], [Status.FAILED, "the query took too long"]);
    const long = await run(fixture.as(asAdmin), { source: from("SELECT id FROM item", { maxRows: 10n }), load: output });
    assert.deepEqual([long.status, long.failureReason], [Status.FAILED, "the query has more than 10 rows"]);
  });

  it("is for callers with the role, on sources that there are", async () => {
    await refused(fixture.as(asAnn).createJob({ source: from("SELECT 1 AS a"), load }), Code.PermissionDenied);
    const elsewhere = { kind: { case: "query" as const, value: { source: "nowhere", query: "SELECT 1 AS a" } } };
    await refused(fixture.as(asAdmin).createJob({ source: elsewhere, load }), Code.InvalidArgument, "source.query.source");
  });
});
