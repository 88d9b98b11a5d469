import assert from "node:assert/strict";
import { Code } from "@connectrpc/connect";
import { parquetReadObjects } from "hyparquet";
import { FileFormat, Function as Fn, LoadMode, Status } from "#gen/etl/v1/job_pb.ts";
import { ColumnType } from "#gen/etl/v1/table_pb.ts";
import type { UpsertItemsRequest } from "#gen/vector/v1/vector_pb.ts";
import type { Database } from "#mesh/storage/database.ts";
import {
  asAnn,
  bytesOf,
  type Fixture,
  freshDatabase,
  refused,
  rowsOf,
  run,
  serve,
  succeeded,
  textOf,
  upload,
} from "./etl.fixture.ts";

const people = [
  '{"id": 1, "name": "Ann", "tags": ["a", "b"], "active": true, "born": "1990-02-28T10:00:00.123456Z"}',
  '{"id": 2, "name": "Bob", "tags": [], "active": false, "born": null}',
  '{"id": 3, "name": "Cleo \\u00e9", "active": null}',
];

describe("etl formats", () => {
  let db: Database;
  let fixture: Fixture;
  const items: UpsertItemsRequest[] = [];
  before(async () => {
    db = await freshDatabase();
    fixture = await serve(db, { upsertItems: (request) => void items.push(request) });
  });
  after(async () => {
    await fixture[Symbol.asyncDispose]();
    await db[Symbol.asyncDispose]();
  });
  const file = (uploadId: string, more = {}) => ({ kind: { case: "file" as const, value: { uploadId, ...more } } });
  const table = (name: string, mode: LoadMode = LoadMode.REPLACE) => ({
    kind: { case: "table" as const, value: { table: name, mode } },
  });
  const download = (format: FileFormat) => ({ kind: { case: "file" as const, value: { format } } });

  for (const [name, text] of [
    ["people.ndjson", `${people.join("\n")}\n`],
    ["people.json", `[${people.join(",\n")}]`],
    ["people.jsonl", people.join("\r\n\r\n")],
  ] as const) {
    it(`reads ${name}: types by the values, what is missing is null`, async () => {
      const client = fixture.as(asAnn);
      const job = succeeded(await run(client, { source: file(await upload(client, name, text)), load: table("people") }));
      assert.equal(job.rowsLoaded, 3n);
      assert.deepEqual(await rowsOf(client, "people"), [
        { id: 1, name: "Ann", tags: ["a", "b"], active: true, born: "1990-02-28T10:00:00.123456Z" },
        { id: 2, name: "Bob", tags: [], active: false, born: null },
        { id: 3, name: "Cleo é", tags: null, active: null, born: null },
      ]);
    });
  }

  it("writes Parquet that it reads again: every type, nulls, and times to the microsecond", async () => {
    const client = fixture.as(asAnn);
    const types = {
      i: ColumnType.INTEGER,
      d: ColumnType.DOUBLE,
      n: ColumnType.DECIMAL,
      b: ColumnType.BOOLEAN,
      t: ColumnType.TIMESTAMP,
      day: ColumnType.DATE,
      j: ColumnType.JSON,
    };
    const csv =
      's,i,d,n,b,t,day,j\nx,9007199254740993,1.5,0.10,yes,2026-11-21T10:00:00.123456+01:00,2024-02-29,"{""a"": [1]}"\n,,,,,,,\n';
    const made = succeeded(
      await run(client, {
        source: file(await upload(client, "all.csv", csv)),
        steps: [{ kind: { case: "cast", value: { types } } }],
        load: download(FileFormat.PARQUET),
      }),
    );
    const bytes = await bytesOf(client.downloadOutput({ jobId: made.id }));
    assert.equal(BigInt(bytes.length), made.outputBytes);
    const [first] = await parquetReadObjects({ file: bytes.buffer });
    assert.deepEqual([first?.s, first?.i, first?.d, first?.b], ["x", 9007199254740993n, 1.5, true]);
    const again = succeeded(
      await run(client, { source: file(await upload(client, "all.parquet", bytes)), load: download(FileFormat.NDJSON) }),
    );
    assert.deepEqual(
      again.columns.map(({ name, type }) => [name, type]),
      Object.entries({ s: ColumnType.TEXT, ...types, n: ColumnType.TEXT }),
    );
    assert.equal(
      await textOf(client.downloadOutput({ jobId: again.id })),
      '{"s":"x","i":9007199254740993,"d":1.5,"n":"0.10","b":true,"t":"2026-11-21T09:00:00.123456+00:00","day":"2024-02-29","j":{"a":[1]}}\n' +
        '{"s":null,"i":null,"d":null,"n":null,"b":null,"t":null,"day":null,"j":null}\n',
    );
  });

  it("does the steps in order: derive, filter, deduplicate, rename, select, aggregate, and rows behind them again", async () => {
    const client = fixture.as(asAnn);
    const csv = "day,shop,price,count\n1,a,2.5,4\n1,a,2.5,4\n1,b,1,1\n2,a,10,1\n2,b,3,x\n2,b,0,5\n";
    const job = succeeded(
      await run(client, {
        source: file(await upload(client, "sales.csv", csv)),
        steps: [
          { kind: { case: "cast", value: { types: { price: ColumnType.DOUBLE, count: ColumnType.INTEGER } } } },
          { kind: { case: "deduplicate", value: {} } },
          { kind: { case: "derive", value: { column: "total", expression: "price * double(count)" } } },
          { kind: { case: "filter", value: { expression: "total > 0.0" } } },
          { kind: { case: "rename", value: { names: { shop: "Shop" } } } },
          { kind: { case: "select", value: { columns: ["Shop", "total"] } } },
          {
            kind: {
              case: "aggregate",
              value: {
                groupBy: ["Shop"],
                measures: [
                  { function: Fn.SUM, column: "total", name: "sum" },
                  { function: Fn.COUNT, name: "n" },
                  { function: Fn.MEDIAN, column: "total", name: "median" },
                ],
              },
            },
          },
          { kind: { case: "derive", value: { column: "note", expression: "Shop + ':' + string(n)" } } },
        ],
        load: table("sums"),
      }),
    );
    assert.deepEqual([job.rowsRead, job.rowsRejected, job.rowsFiltered, job.rowsLoaded, job.stageCount], [6n, 1n, 1n, 2n, 3]);
    assert.deepEqual(await rowsOf(client, "sums"), [
      { Shop: "a", sum: 20, n: 2, median: 10, note: "a:2" },
      { Shop: "b", sum: 1, n: 1, median: 1, note: "b:1" },
    ]);
  });

  it("deduplicates by columns, the first or the last, and keeps the order", async () => {
    const client = fixture.as(asAnn);
    const uploadId = await upload(client, "k.csv", "k,v\n2,a\n1,b\n2,c\n1,d\n3,e\n");
    for (const [keepLast, expected] of [
      [false, ["2a", "1b", "3e"]],
      [true, ["2c", "1d", "3e"]],
    ] as const) {
      const steps = [{ kind: { case: "deduplicate" as const, value: { columns: ["k"], keepLast } } }];
      succeeded(await run(client, { source: file(uploadId), steps, load: table("kept") }));
      const rows = (await rowsOf(client, "kept")) as { k: string; v: string }[];
      assert.deepEqual(
        rows.map(({ k, v }) => k + v),
        expected,
      );
    }
  });

  it("appends to a table of the same columns, refuses one of others, and refuses to create one that is there", async () => {
    const client = fixture.as(asAnn);
    const one = file(await upload(client, "one.csv", "a\n1\n2\n"));
    const other = file(await upload(client, "other.csv", "b\n1\n"));
    succeeded(await run(client, { source: one, load: table("grown", LoadMode.CREATE) }));
    succeeded(await run(client, { source: one, load: table("grown", LoadMode.APPEND) }));
    assert.deepEqual(await rowsOf(client, "grown"), [{ a: "1" }, { a: "2" }, { a: "1" }, { a: "2" }]);
    const failed = await run(client, { source: other, load: table("grown", LoadMode.APPEND) });
    assert.deepEqual([failed.status, failed.failureReason], [Status.FAILED, "table grown has other columns: a text"]);
    await refused(client.createJob({ source: one, load: table("grown", LoadMode.CREATE) }), Code.FailedPrecondition);
    assert.equal((await client.getTable({ table: "grown" })).table?.rowCount, 4n);
  });

  it("sends rows to a vector collection: id, text, metadata, in the user's name", async () => {
    const client = fixture.as(asAnn);
    const uploadId = await upload(
      client,
      "docs.ndjson",
      '{"id":"x","text":"hello","year":2026}\n{"id":"y","text":"bye","year":null}\n',
    );
    const load = { kind: { case: "vector" as const, value: { collection: "docs", idColumn: "id", textColumn: "text" } } };
    const job = succeeded(await run(client, { source: file(uploadId), load }));
    assert.equal(job.rowsLoaded, 2n);
    assert.deepEqual(
      items.flatMap(({ collection, userId, items: some }) =>
        some.map(({ id, text, metadata }) => ({ collection, userId, id, text, metadata })),
      ),
      [
        { collection: "docs", userId: job.userId, id: "x", text: "hello", metadata: { year: 2026 } },
        { collection: "docs", userId: job.userId, id: "y", text: "bye", metadata: {} },
      ],
    );
  });

  it("reads CSV as its options say: delimiter, no header, null text, blanks", async () => {
    const client = fixture.as(asAnn);
    const uploadId = await upload(client, "x.csv", '1; a ;NULL\n2;"NULL";"; "\n');
    const columns = ["n", "a", "b"].map((name) => ({ name, type: name === "n" ? ColumnType.INTEGER : ColumnType.TEXT }));
    const csv = { delimiter: ";", noHeader: true, nullText: "NULL", trim: true };
    succeeded(await run(client, { source: file(uploadId, { csv, columns }), load: table("x") }));
    assert.deepEqual(await rowsOf(client, "x"), [
      { n: 1, a: "a", b: null },
      { n: 2, a: "NULL", b: "; " },
    ]);
  });
});
