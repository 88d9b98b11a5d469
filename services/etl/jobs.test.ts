import assert from "node:assert/strict";
import { Code } from "@connectrpc/connect";
import { LoadMode, Status } from "#gen/etl/v1/job_pb.ts";
import { ColumnType, Layout } from "#gen/etl/v1/table_pb.ts";
import type { Database } from "#mesh/storage/database.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import {
  ann,
  asAdmin,
  asAnalysis,
  asAnn,
  asBob,
  bob,
  ended,
  eventually,
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

const file = (uploadId: string, more = {}) => ({ kind: { case: "file" as const, value: { uploadId, ...more } } });
const table = (name: string, mode: LoadMode = LoadMode.REPLACE) => ({
  kind: { case: "table" as const, value: { table: name, mode } },
});
const filter = (expression: string) => ({ kind: { case: "filter" as const, value: { expression } } });
const cast = (types: Record<string, ColumnType>) => ({ kind: { case: "cast" as const, value: { types } } });

describe("etl requests", () => {
  let db: Database;
  let fixture: Fixture;
  let uploadId: string;
  before(async () => {
    db = await freshDatabase();
    fixture = await serve(db);
    uploadId = await upload(fixture.as(asAnn), "n.csv", "n,text\n1,a\n2,b\n3,c\n");
  });
  after(async () => {
    await fixture[Symbol.asyncDispose]();
    await db[Symbol.asyncDispose]();
  });

  it("the same request_id makes one job; with other content it is ALREADY_EXISTS", async () => {
    const client = fixture.as(asAnn);
    const request = { requestId: uuidv7(), source: file(uploadId), load: table("once") };
    const [one, two] = await Promise.all([client.createJob(request), client.createJob(request)]);
    assert.equal(one.job?.id, two.job?.id);
    await refused(client.createJob({ ...request, load: table("twice") }), Code.AlreadyExists);
    await ended(client, one.job?.id ?? "");
  });

  for (const [what, steps, field] of [
    ["a column that is not there", [filter("nope > 1")], "steps[0].filter.expression"],
    ["what is no CEL", [filter("n >")], "steps[0].filter.expression"],
    ["a filter of numbers", [cast({ n: ColumnType.INTEGER }), filter("n + 1")], "steps[1].filter.expression"],
    ["a text compared with a number", [filter("n > 1")], "steps[0].filter.expression"],
    ["a cast of no column", [cast({ m: ColumnType.INTEGER })], "steps[0].cast.types"],
    [
      "a selected column twice renamed to one",
      [{ kind: { case: "rename" as const, value: { names: { n: "text" } } } }],
      "steps[0].rename",
    ],
    ["our own column", [{ kind: { case: "rename" as const, value: { names: { n: "heddle_row" } } } }], "steps[0].rename"],
    [
      "a sum of texts",
      [{ kind: { case: "aggregate" as const, value: { measures: [{ function: 3, column: "text", name: "s" }] } } }],
      "steps[0].aggregate.measures[0].column",
    ],
  ] as const) {
    it(`refuses ${what} as INVALID_ARGUMENT of ${field}`, async () => {
      const request = { source: file(uploadId), steps: steps as never, load: table("t") };
      await refused(fixture.as(asAnn).createJob(request), Code.InvalidArgument, field);
    });
  }

  for (const [name, content, field, message] of [
    ["empty.csv", " ", "source.file", /expected a name of 1 to 63 bytes/],
    ["twice.csv", "a,a\n1,2\n", "source.file", /column "a" is there twice/],
    ["no.json", '{"a":1}', "source.file", /expected one array/],
    ["no.parquet", "PAR1 but no more PAR1", "source.file", /cannot read the Parquet file/],
  ] as const) {
    it(`refuses the file ${name} as INVALID_ARGUMENT of ${field}`, async () => {
      const client = fixture.as(asAnn);
      const source = file(await upload(client, name, content));
      assert.match(await refused(client.createJob({ source, load: table("t") }), Code.InvalidArgument, field), message);
    });
  }

  it("is NOT_FOUND to others, but not to administrators and services", async () => {
    const job = succeeded(await run(fixture.as(asAnn), { source: file(uploadId), load: table("mine") }));
    const stranger = fixture.as(asBob);
    await refused(stranger.getJob({ jobId: job.id }), Code.NotFound);
    await refused(stranger.cancelJob({ jobId: job.id }), Code.NotFound);
    await refused(stranger.getUpload({ uploadId }), Code.NotFound);
    await refused(stranger.deleteUpload({ uploadId }), Code.NotFound);
    await refused(stranger.createJob({ source: file(uploadId), load: table("stolen") }), Code.NotFound);
    await refused(stranger.getTable({ table: "mine" }), Code.NotFound);
    await refused(stranger.getTable({ table: "mine", userId: ann }), Code.PermissionDenied);
    await refused(stranger.listJobs({ userId: ann }), Code.PermissionDenied);
    await refused(rowsOf(stranger, "mine"), Code.NotFound);
    await refused(textOf(stranger.downloadRejects({ jobId: job.id })), Code.NotFound);
    assert.equal((await fixture.as(asAdmin).getJob({ jobId: job.id })).job?.userId, ann);
    assert.equal((await fixture.as(asAnalysis).getTable({ table: "mine", userId: ann })).table?.rowCount, 3n);
    await refused(fixture.as(asAnalysis).getTable({ table: "mine" }), Code.InvalidArgument, "user_id");
    assert.equal((await fixture.as(asAdmin).listJobs({ userId: bob })).jobs.length, 0);
  });

  it("lists jobs, uploads and tables by pages", async () => {
    const client = fixture.as(asBob);
    for (const name of ["a", "b", "c"]) {
      const source = file(await upload(client, `${name}.csv`, "x\n1\n"));
      succeeded(await run(client, { source, load: table(name) }));
    }
    const jobs = await client.listJobs({ pageSize: 2, status: Status.SUCCEEDED });
    const rest = await client.listJobs({ pageSize: 2, pageToken: jobs.nextPageToken });
    const names = [...jobs.jobs, ...rest.jobs].map(({ load }) => (load?.kind.case === "table" ? load.kind.value.table : ""));
    assert.deepEqual([names, rest.nextPageToken], [["c", "b", "a"], ""]);
    const uploads = await client.listUploads({ pageSize: 2 });
    assert.deepEqual(
      uploads.uploads.map(({ fileName }) => fileName),
      ["c.csv", "b.csv"],
    );
    const tables = await client.listTables({ pageSize: 2 });
    assert.deepEqual(
      tables.tables.map(({ name }) => name),
      ["a", "b"],
    );
    assert.deepEqual(
      (await client.listTables({ pageToken: tables.nextPageToken })).tables.map(({ name }) => name),
      ["c"],
    );
    await refused(client.listJobs({ pageToken: "nonsense" }), Code.InvalidArgument, "page_token");
    await client.deleteTable({ table: "b" });
    await refused(client.getTable({ table: "b" }), Code.NotFound);
    await refused(client.deleteTable({ table: "b" }), Code.NotFound);
  });

  it("fails with the first reject beyond max_rejects, loads nothing, and keeps the rejects", async () => {
    const client = fixture.as(asAnn);
    const id = await upload(client, "bad.csv", "n\n1\nx\ny\n4\n");
    const job = await run(client, {
      source: file(id),
      steps: [cast({ n: ColumnType.INTEGER })],
      load: table("bad"),
      maxRejects: 1n,
    });
    assert.deepEqual(
      [job.status, job.failureReason],
      [Status.FAILED, 'more than 1 rows were rejected, the last of them at line 4: n: expected an integer, got "y"'],
    );
    await refused(client.getTable({ table: "bad" }), Code.NotFound);
    assert.equal(
      await textOf(client.downloadRejects({ jobId: job.id })),
      'line,reason,row\n3,"n: expected an integer, got ""x""",x\n',
    );
    await refused(textOf(client.downloadOutput({ jobId: job.id })), Code.FailedPrecondition);
  });

  it("gives tables in columns, from any row on, and ABORTED when they are loaded meanwhile", async () => {
    const client = fixture.as(asAnn);
    const types = cast({ n: ColumnType.INTEGER });
    const load = { source: file(uploadId), steps: [types], load: table("read") };
    succeeded(await run(client, load));
    const batches = [];
    for await (const one of client.readTable({ table: "read", layout: Layout.COLUMNS, columns: ["n"], afterRow: 1n }))
      batches.push(one);
    assert.deepEqual(
      batches.map(({ columns, rowCount, nextRow, batch }) => [columns.length, rowCount, nextRow, batch?.values[0]?.integers]),
      [[1, 3n, 3n, [2n, 3n]]],
    );
    await refused(rowsOf(client, "nothing"), Code.NotFound);
    const reading = client.readTable({ table: "read", batchSize: 1 })[Symbol.asyncIterator]();
    await reading.next();
    succeeded(await run(client, load));
    assert.match(await refused(reading.next(), Code.Aborted), /was loaded meanwhile/);
  });
});

describe("etl cancel and retention", () => {
  it("cancels a job that waits at once, and leaves nothing of it", async () => {
    await using db = await freshDatabase();
    await using idle = await serve(db, { working: false });
    const client = idle.as(asAnn);
    const id = await upload(client, "a.csv", "a\n1\n");
    const { job } = await client.createJob({ source: file(id), load: table("a") });
    const jobId = job?.id ?? "";
    await refused(client.deleteUpload({ uploadId: id }), Code.FailedPrecondition);
    assert.equal((await client.cancelJob({ jobId })).job?.status, Status.CANCELLED);
    assert.equal((await client.cancelJob({ jobId })).job?.status, Status.CANCELLED);
    await client.deleteUpload({ uploadId: id });
    assert.deepEqual(await idle.folder.uploads(), []);
  });

  it("deletes uploads, outputs and rejects when their time is up", async () => {
    await using db = await freshDatabase();
    let now = Date.now();
    await using fixture = await serve(db, { clock: () => now, retentionMs: 1000 });
    const client = fixture.as(asAnn);
    const id = await upload(client, "a.csv", "a\n1\n2,3\n");
    const job = succeeded(await run(client, { source: file(id), load: { kind: { case: "file", value: {} } } }));
    assert.equal(await textOf(client.downloadOutput({ jobId: job.id })), '{"a":"1"}\n');
    await fixture.sweeper.sweep();
    assert.deepEqual([await fixture.folder.uploads(), await fixture.folder.outputs()], [[id], [job.id]]);
    now += 2000;
    await fixture.sweeper.sweep();
    assert.deepEqual([await fixture.folder.uploads(), await fixture.folder.outputs()], [[], []]);
    await refused(client.getUpload({ uploadId: id }), Code.NotFound);
    await refused(textOf(client.downloadOutput({ jobId: job.id })), Code.FailedPrecondition);
    assert.equal(await textOf(client.downloadRejects({ jobId: job.id })), "line,reason,row\n");
    assert.equal((await db.query("SELECT 1 FROM pg_tables WHERE schemaname = 'staging'")).length, 0);
  });

  it("an upload that breaks off leaves nothing, and its request_id begins anew; beyond the limits it is RESOURCE_EXHAUSTED", async () => {
    await using db = await freshDatabase();
    await using fixture = await serve(db, { maxUploadBytes: 100 });
    const client = fixture.as(asAnn);
    const requestId = uuidv7();
    const first = { requestId, fileName: "a.csv", content: { data: Buffer.from("a\n1\n") } };
    const broken = async function* () {
      yield first;
      throw new Error("the cable");
    };
    await assert.rejects(client.uploadFile(broken()));
    await eventually("nothing to be left", async () => (await client.listUploads({})).uploads.length === 0);
    assert.deepEqual(await fixture.folder.uploads(), []);
    const whole = async function* () {
      yield first;
    };
    const one = await client.uploadFile(whole());
    const two = await client.uploadFile(whole());
    assert.deepEqual([two.upload?.id, two.upload?.sizeBytes], [one.upload?.id, 4n]);
    await refused(upload(client, "large.csv", "x".repeat(101)), Code.ResourceExhausted);
    await refused(upload(client, "unknown.bin", "x"), Code.InvalidArgument, "format");
    assert.deepEqual(await fixture.folder.uploads(), [one.upload?.id]);
  });
});
