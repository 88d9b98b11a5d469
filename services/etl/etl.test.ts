import assert from "node:assert/strict";
import { ColumnType } from "#gen/etl/v1/table_pb.ts";
import type { Database } from "#mesh/storage/database.ts";
import { asAnn, type Fixture, freshDatabase, rowsOf, run, serve, succeeded, textOf, upload } from "./etl.fixture.ts";

describe("etl jobs", () => {
  let db: Database;
  let fixture: Fixture;
  before(async () => {
    db = await freshDatabase();
    fixture = await serve(db);
  });
  after(async () => {
    await fixture[Symbol.asyncDispose]();
    await db[Symbol.asyncDispose]();
  });

  it("loads a CSV into a table: columns by the first line, types by Cast, bad rows rejected by line and reason", async () => {
    const client = fixture.as(asAnn);
    const uploadId = await upload(
      client,
      "orders.csv",
      'id,customer,amount\n1,"Ann, Inc.",10.50\n2,Bob,\n3,"two\nlines",7\n4,Cleo,ten\n5,Dora\n',
    );
    const job = succeeded(
      await run(client, {
        source: { kind: { case: "file", value: { uploadId } } },
        steps: [{ kind: { case: "cast", value: { types: { id: ColumnType.INTEGER, amount: ColumnType.DECIMAL } } } }],
        load: { kind: { case: "table", value: { table: "orders" } } },
      }),
    );
    assert.deepEqual([job.rowsRead, job.rowsRejected, job.rowsLoaded, job.bytesRead], [5n, 2n, 3n, job.totalBytes]);
    assert.deepEqual(await rowsOf(client, "orders"), [
      { id: 1, customer: "Ann, Inc.", amount: "10.50" },
      { id: 2, customer: "Bob", amount: null },
      { id: 3, customer: "two\nlines", amount: "7" },
    ]);
    assert.equal(
      await textOf(client.downloadRejects({ jobId: job.id })),
      'line,reason,row\n6,"amount: expected a decimal, got ""ten""","4,Cleo,ten"\n7,"expected 3 fields, got 2","5,Dora"\n',
    );
  });
});
