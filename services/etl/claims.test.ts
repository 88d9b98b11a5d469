import assert from "node:assert/strict";
import { Status } from "#gen/etl/v1/job_pb.ts";
import type { Database } from "#mesh/storage/database.ts";
import type { Chunk } from "./chunk.ts";
import { asAnn, ended, type Fixture, freshDatabase, rowsOf, serve, succeeded, upload } from "./etl.fixture.ts";
import { getJob } from "./job-store.ts";
import { copyRows, makeStaging, stagingTable } from "./staging-store.ts";
import { chunkStaged, claimJobs, failStalled, LostClaim, release, renew } from "./work-store.ts";

const columns = [{ name: "a", type: "text" as const }];
const chunk: Chunk = {
  copy: new TextEncoder().encode("1\tx\n"),
  staged: 1,
  read: 1,
  filtered: 0,
  rejects: [],
  next: { offset: 4, line: 3 },
  done: false,
};

describe("etl claims", () => {
  let db: Database;
  let idle: Fixture;
  before(async () => {
    db = await freshDatabase();
    idle = await serve(db, { working: false });
  });
  after(async () => {
    await idle[Symbol.asyncDispose]();
    await db[Symbol.asyncDispose]();
  });
  beforeEach(() => db.query("DELETE FROM job"));

  const make = async () => {
    const client = idle.as(asAnn);
    const uploadId = await upload(client, "a.csv", "a\nx\ny\n");
    const source = { kind: { case: "file" as const, value: { uploadId } } };
    const { job } = await client.createJob({ source, load: { kind: { case: "table", value: { table: "a", mode: 2 } } } });
    return job?.id ?? "";
  };
  const claim = async (now: number, busy: readonly string[] = []) =>
    (await claimJobs(db, 1, { leaseMs: 1000, folder: idle.folder.id, busy }, now))[0];
  const stage = (id: string, of: NonNullable<Awaited<ReturnType<typeof claim>>>, now: number) =>
    db.transaction(async (tx) => {
      const table = stagingTable(id, 0, "rows");
      await makeStaging(tx, table, columns);
      await copyRows(tx, table, columns, chunk.copy);
      await chunkStaged(tx, of.claim, chunk, { first: true, lasting: true, bytesRead: 4 }, now);
    });

  it("a claim that has ended is another one's: what its process still writes is undone, whoever has the new one", async () => {
    const id = await make();
    const now = Date.now();
    const first = await claim(now);
    assert.ok(first);
    assert.equal(await claim(now + 999), undefined);
    const second = await claim(now + 1000);
    assert.ok(second);
    assert.notEqual(second.claim.leaseId, first.claim.leaseId);
    await assert.rejects(stage(id, first, now), LostClaim);
    assert.equal(await renew(db, first.claim, now), false);
    await release(db, first.claim, now, 0, true);
    await stage(id, second, now + 1000);
    assert.deepEqual(await db.query(`SELECT heddle_row, a FROM ${stagingTable(id, 0, "rows")}`), [{ heddle_row: "1", a: "x" }]);
    const job = await getJob(db, id);
    assert.deepEqual([job?.rowsStaged, job?.position, job?.attempts], [1, { offset: 4, line: 3 }, 2]);
    // Whoever takes it up goes on behind that row.
    await release(db, second.claim, now, 0, true);
    await using working = await serve(db, { folder: idle.folder.path });
    succeeded(await ended(working.as(asAnn), id));
    assert.deepEqual(await rowsOf(working.as(asAnn), "a"), [{ a: "x" }, { a: "y" }]);
  });

  it("a process does not claim again what it works on", async () => {
    const id = await make();
    const now = Date.now();
    assert.ok(await claim(now));
    assert.equal(await claim(now + 5000, [id]), undefined);
  });

  it("a job is for those who have its files", async () => {
    await make();
    const elsewhere = "0198a2b0-0000-7000-8000-000000000001";
    assert.deepEqual(await claimJobs(db, 1, { leaseMs: 1000, folder: elsewhere, busy: [] }, Date.now()), []);
  });

  it("a job that five processes began on and none got further is FAILED", async () => {
    const id = await make();
    let now = Date.now();
    for (let attempt = 0; attempt < 5; attempt++) {
      assert.ok(await claim(now));
      now += 1000;
    }
    assert.equal(await claim(now), undefined);
    assert.equal(await failStalled(db, now, 1000), 1);
    const { job } = await idle.as(asAnn).getJob({ jobId: id });
    assert.deepEqual([job?.status, job?.failureReason], [Status.FAILED, "the job got no further in 5 attempts"]);
  });
});
