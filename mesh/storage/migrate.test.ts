import assert from "node:assert/strict";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { pino } from "pino";
import { testDatabase } from "#mesh/testing.ts";
import { type Database, openDatabase } from "./database.ts";
import { migrate } from "./migrate.ts";

const log = pino({ level: "silent" });

describe("migrate", () => {
  let folder = "";
  let db: Database;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "heddle-migrate-"));
    db = await openDatabase({ url: await testDatabase(), service: "test", log });
    await file("001_one.sql", "create table a (n int); insert into a values (1);");
    await file("002_two.sql", "insert into a select n + 1 from a;");
  });
  afterEach(async () => {
    await db[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  });
  const file = (name: string, sql: string) => writeFile(join(folder, name), sql);
  const run = () => migrate(db, pathToFileURL(`${folder}/`), log);
  const numbers = async () => (await db.query<{ n: number }>("select n from a order by n")).map(({ n }) => n);

  it("applies files in order, each once", async () => {
    assert.equal(await run(), 2);
    assert.equal(await run(), 0);
    await file("003_three.sql", "insert into a values (3)");
    assert.equal(await run(), 1);
    assert.deepEqual(await numbers(), [1, 2, 3]);
  });

  it("applies each once when four processes start together", async () => {
    assert.deepEqual(
      (await Promise.all([run(), run(), run(), run()])).reduce((sum, n) => sum + n),
      2,
    );
    assert.deepEqual(await numbers(), [1, 2]);
  });

  it("a file that fails leaves nothing of itself, keeps those before it, and is named", async () => {
    await file("003_three.sql", "insert into a values (3); select 1/0;");
    await assert.rejects(run(), { message: "migration 003_three.sql failed: division by zero" });
    assert.deepEqual(await numbers(), [1, 2]);
    await file("003_three.sql", "insert into a values (3);");
    assert.equal(await run(), 1);
  });

  it("refuses a file that was changed, renamed or removed after it was applied, and a number that is taken", async () => {
    await run();
    await file("001_one.sql", "create table b (n int);");
    await assert.rejects(run(), { message: "migration 001_one.sql was changed after it was applied: add a new one" });
    await rename(join(folder, "001_one.sql"), join(folder, "001_uno.sql"));
    await assert.rejects(run(), { message: "migration 001_uno.sql was applied as 001_one.sql: do not rename it" });
    await rm(join(folder, "001_uno.sql"));
    await assert.rejects(run(), { message: "migration 001_one.sql was applied but its file is gone" });
    await file("002_other.sql", "select 1");
    await assert.rejects(run(), { message: "migrations 002_other.sql and 002_two.sql have the same number" });
  });
});
