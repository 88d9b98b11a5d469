import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import { EtlService } from "#gen/etl/v1/etl_pb.ts";
import { type Job, Status } from "#gen/etl/v1/job_pb.ts";
import { ColumnType } from "#gen/etl/v1/table_pb.ts";
import { startProcess, stopProcess } from "#mesh/process.fixture.ts";
import { openDatabase } from "#mesh/storage/database.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import { startMesh, type TestMesh, testDatabase } from "#mesh/testing.ts";
import { ann, type JobInit, silent, textOf } from "./etl.fixture.ts";
import { sqlName } from "./table-store.ts";

const long = process.env.HEDDLE_SOAK === "1";
const totalBytes = long ? 10 ** 9 : 6 * 10 ** 6;
const maxBytes = 200 * 2 ** 20;
const maxDelayMs = long ? 20 : 250;
/** Every so many rows one is bad, by turns in one of three ways. */
const badEvery = 1499;

describe(`etl: a CSV of ${(totalBytes / 1e6).toLocaleString("en")} MB into a table, kill -9 three times`, function () {
  this.timeout(long ? 3_600_000 : 180_000);
  let mesh: TestMesh;
  let child: ChildProcess;
  before(async () => {
    mesh = await startMesh([]);
  });
  after(async () => {
    await stopProcess(child);
    await mesh[Symbol.asyncDispose]();
  });
  const start = (env: Record<string, string>, loaded?: URL) =>
    startProcess({
      mesh,
      module: new URL("./service.ts", import.meta.url),
      env,
      ask: () => mesh.client(EtlService).listTables({ userId: ann }),
      ...(loaded !== undefined && { loaded }),
    });

  it("rows exact, every bad row in the reject file with its line and the reason, less than 200 MB", async () => {
    const client = mesh.client(EtlService);
    const env = { ETL_DATABASE_URL: await testDatabase(), ETL_LEASE: "1s", HEDDLE_DATA: mesh.env.HEDDLE_DATA ?? "" };
    await using db = await openDatabase({ url: env.ETL_DATABASE_URL, service: "test", log: silent });
    child = await start(env);
    const seen = { pss: 0, delayMs: 0 };
    let kills = 0;
    let sampling = true;
    const samples = (async () => {
      while (sampling) {
        seen.pss = Math.max(seen.pss, await memoryOf(child));
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    })();

    const expected = expectation();
    const started = performance.now();
    const { upload } = await client.uploadFile(requests(expected));
    const uploaded = performance.now();
    assert.equal(upload?.sizeBytes, BigInt(expected.bytes));
    assert.equal(upload?.sha256, expected.hash.digest("hex"));
    const request = {
      requestId: uuidv7(),
      userId: ann,
      source: { kind: { case: "file", value: { uploadId: upload?.id ?? "" } } },
      steps: [
        {
          kind: {
            case: "cast",
            value: { types: { id: ColumnType.INTEGER, amount: ColumnType.DECIMAL, at: ColumnType.TIMESTAMP } },
          },
        },
        { kind: { case: "filter", value: { expression: "region != 'void'" } } },
        { kind: { case: "derive", value: { column: "double_id", expression: "id * 2" } } },
      ],
      load: { kind: { case: "table", value: { table: "big" } } },
    } satisfies JobInit;
    const jobId = (await eventuallyLong("the job", () => look(client.createJob(request)))).id;

    // Somewhere in each third of the file.
    const places = [0, 1, 2].map((third) => Math.floor((expected.bytes * (third + Math.random() * 0.9)) / 3));
    const killedAt: number[] = [];
    for (const place of places) {
      const at = await eventuallyLong("the place of the next kill", async () => {
        const job = await look(client.getJob({ jobId }));
        return job !== undefined && (Number(job.bytesRead) >= place || job.completeTime !== undefined) ? job : undefined;
      });
      if (at.completeTime !== undefined) break;
      await stopProcess(child, "SIGKILL");
      if (long)
        console.log(
          `      killed at ${at.bytesRead} of ${expected.bytes} bytes, ${((performance.now() - uploaded) / 1000).toFixed(0)} s after the upload`,
        );
      kills++;
      killedAt.push(Number(at.bytesRead));
      child = await start(env);
    }
    const job = await eventuallyLong("the end of the job", async () => {
      const one = await look(client.getJob({ jobId }));
      return one?.completeTime === undefined ? undefined : one;
    });
    const seconds = (performance.now() - uploaded) / 1000;
    sampling = false;
    await samples;

    assert.equal(job.status, Status.SUCCEEDED, job.failureReason);
    assert.deepEqual(
      [job.rowsRead, job.rowsRejected, job.rowsFiltered, job.rowsLoaded],
      [expected.rows, expected.rejects.length, expected.voids, expected.rows - expected.rejects.length - expected.voids].map(
        BigInt,
      ),
    );
    const [row] = await db.query<Record<string, string>>(
      `SELECT count(*) AS n, count(DISTINCT id) AS ids, sum(id) AS sum, sum(double_id) AS doubled, sum(amount) AS amount,
         min(heddle_row) AS first, max(heddle_row) AS last FROM ${sqlName(ann, "big")}`,
    );
    const n = String(job.rowsLoaded);
    assert.deepEqual(row, {
      n,
      ids: n,
      sum: String(expected.sum),
      doubled: String(2n * expected.sum),
      amount: `${expected.cents / 100n}.${String(expected.cents % 100n).padStart(2, "0")}`,
      first: "1",
      last: n,
    });
    const rejects = await textOf(client.downloadRejects({ jobId }));
    assert.equal(rejects, `line,reason,row\n${expected.rejects.join("")}`);
    const left = await db.query("SELECT 1 FROM pg_tables WHERE schemaname = 'staging'");
    assert.equal(left.length, 0);

    const megabytes = expected.bytes / 1e6;
    console.log(
      `      ${expected.rows.toLocaleString("en")} rows, ${megabytes.toFixed(0)} MB: uploaded in ${((uploaded - started) / 1000).toFixed(1)} s, loaded in ${seconds.toFixed(1)} s (${(megabytes / seconds).toFixed(1)} MB/s)`,
    );
    console.log(
      `      ${kills} kills at ${killedAt.map((at) => `${((100 * at) / expected.bytes).toFixed(0)} %`).join(", ")}; ${expected.rejects.length} rejected rows, each with line and reason`,
    );
    console.log(`      memory: ${(seen.pss / 2 ** 20).toFixed(0)} MB (PSS, bar: 200 MB)`);
    assert.ok(kills === 3 || !long, `expected 3 kills, got ${kills}`);
    assert.ok(seen.pss < maxBytes, `expected less than 200 MB, got ${seen.pss / 2 ** 20} MB`);
  });

  it(`keeps the event loop late by less than ${maxDelayMs} ms at the 99th percentile while it loads`, async () => {
    await stopProcess(child);
    const env = { ETL_DATABASE_URL: await testDatabase(), HEDDLE_DATA: mesh.env.HEDDLE_DATA ?? "" };
    child = await start(env, new URL("../../mesh/measured.fixture.ts", import.meta.url));
    const client = mesh.client(EtlService);
    const expected = expectation(Math.min(totalBytes, 100 * 10 ** 6));
    const { upload } = await client.uploadFile(requests(expected));
    await ask(child, "begin");
    const request = {
      requestId: uuidv7(),
      userId: ann,
      source: { kind: { case: "file", value: { uploadId: upload?.id ?? "" } } },
      steps: [{ kind: { case: "cast", value: { types: { id: ColumnType.INTEGER, amount: ColumnType.DECIMAL } } } }],
      load: { kind: { case: "table", value: { table: "small" } } },
    } satisfies JobInit;
    const { id: jobId } = await eventuallyLong("the job", () => look(client.createJob(request)));
    await eventuallyLong("the end of the job", async () => (await look(client.getJob({ jobId })))?.completeTime);
    const { delayP99Ms, delayMaxMs } = (await ask(child, "end")) as { delayP99Ms: number; delayMaxMs: number };
    console.log(
      `      event loop delay while loading: p99 ${delayP99Ms.toFixed(1)} ms (bar: 20 ms), max ${delayMaxMs.toFixed(1)} ms`,
    );
    assert.ok(delayP99Ms < maxDelayMs, `expected less than ${maxDelayMs} ms, got ${delayP99Ms} ms`);
  });
});

/** What a file comes to, as it is made. */
interface Expectation {
  readonly target: number;
  readonly hash: ReturnType<typeof createHash>;
  readonly rejects: string[];
  bytes: number;
  rows: number;
  voids: number;
  sum: bigint;
  cents: bigint;
}

function expectation(target = totalBytes): Expectation {
  return { target, hash: createHash("sha256"), rejects: [], bytes: 0, rows: 0, voids: 0, sum: 0n, cents: 0n };
}

async function* requests(expected: Expectation) {
  const first = { userId: ann, fileName: "big.csv" };
  let sent = false;
  for (const piece of pieces(expected)) {
    expected.bytes += piece.length;
    expected.hash.update(piece);
    yield sent ? { content: { data: piece } } : { ...first, content: { data: piece } };
    sent = true;
  }
}

/** The file in pieces of some 256 KB: rows of about 100 bytes, some of two lines, the same every time. */
function* pieces(expected: Expectation): Generator<Uint8Array> {
  const encoder = new TextEncoder();
  let text = "id,region,amount,at,note\n";
  let line = 2;
  let made = 0;
  for (let id = 1; made + text.length < expected.target; id++) {
    const cents = (id * 7919) % 1_000_000;
    const amount = `${Math.floor(cents / 100)}.${String(cents % 100).padStart(2, "0")}`;
    const region = id % 101 === 0 ? "void" : ["north", "south", "east", "west"][id % 4];
    const at = `2026-${String((id % 12) + 1).padStart(2, "0")}-15T${String(id % 24).padStart(2, "0")}:00:00Z`;
    const lines = id % 50 === 0 ? 2 : 1;
    const note = lines === 2 ? `"a note\nof ""two"" lines"` : `note ${id} with some words, but`.replace(",", ";");
    const good = `${id},${region},${amount},${at},${note}${"x".repeat(id % 40)}`.replace(/"x+$/, '"');
    expected.rows++;
    if (id % badEvery === 0) {
      const [bad, reason] = [
        [`${id},${region},${amount}`, "expected 5 fields, got 3"],
        [`${id},${region},1.2.3,${at},n`, 'amount: expected a decimal, got ""1.2.3""'],
        [
          `${id},${region},${amount},${at},it is "here"`,
          'Invalid Opening Quote: a quote is found on field 4, value is ""it is ""',
        ],
      ][Math.floor(id / badEvery) % 3] as [string, string];
      text += `${bad}\n`;
      expected.rejects.push(`${line},${/[",]/.test(reason) ? `"${reason}"` : reason},"${bad.replaceAll('"', '""')}"\n`);
      line++;
    } else {
      text += `${good}\n`;
      line += lines;
      if (region === "void") expected.voids++;
      else {
        expected.sum += BigInt(id);
        expected.cents += BigInt(cents);
      }
    }
    if (text.length > 250_000) {
      made += text.length;
      yield encoder.encode(text);
      text = "";
    }
  }
  yield encoder.encode(text);
}

/** The job, or undefined while the process is away. */
async function look(call: Promise<{ job?: Job | undefined }>): Promise<Job | undefined> {
  try {
    return (await call).job;
  } catch (error) {
    const { code } = ConnectError.from(error);
    if (code !== Code.Unavailable && code !== Code.DeadlineExceeded) throw error;
    return undefined;
  }
}

/** Polls until `get` answers something: rarely, since what it asks is what is measured. */
async function eventuallyLong<T>(what: string, get: () => Promise<T | undefined>): Promise<T> {
  for (const end = Date.now() + (long ? 3_600_000 : 100_000); Date.now() < end; ) {
    const value = await get();
    if (value !== undefined) return value;
    await new Promise((resolve) => setTimeout(resolve, long ? 500 : 20));
  }
  throw new Error(`waited in vain for ${what}`);
}

async function ask(child: ChildProcess, what: "begin" | "end"): Promise<unknown> {
  const { once } = await import("node:events");
  const answer = once(child, "message");
  child.send(what);
  return (await answer)[0];
}

/** Bytes of memory that a process has for itself and its share of what it has with others (PSS); 0 when it is gone. */
async function memoryOf({ pid }: ChildProcess): Promise<number> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, "utf8").catch(() => "");
  return Number(/^Pss:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) * 1024;
}
