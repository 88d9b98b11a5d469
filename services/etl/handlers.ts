/** The contract's methods: messages to domain values, rules, store, and back. */
import { open } from "node:fs/promises";
import { stringify } from "csv-stringify/sync";
import { EtlService } from "#gen/etl/v1/etl_pb.ts";
import { Layout } from "#gen/etl/v1/table_pb.ts";
import { currentContext } from "#mesh/context.ts";
import { failedPrecondition, notFound, unavailable } from "#mesh/errors.ts";
import { type Implementation, implement } from "#mesh/server/implementation.ts";
import { decodePageToken, defaultPageSize, encodePageToken } from "#mesh/storage/page.ts";
import type { Changes } from "./changes.ts";
import type { Job } from "./job.ts";
import { cancel, listJobs, listRejects } from "./job-store.ts";
import { nameOf, statusNames, toColumn, toJob, toTable, toUpload } from "./messages.ts";
import { mediaTypeOf } from "./output-file.ts";
import { ownerOf, type Who } from "./ownership.ts";
import { chosenColumns, readTable } from "./read-table.ts";
import type { ReceiveParts } from "./receive.ts";
import { createJob, ownJob, ownUpload, type RequestParts } from "./request.ts";
import { dropTable, getTable, listTables, type UserTable } from "./table-store.ts";
import { uploadHandler } from "./upload-handler.ts";
import { dropUpload, listUploads } from "./upload-store.ts";

/** What the handlers work with. */
export interface HandlerParts extends ReceiveParts, RequestParts {
  readonly changes: Changes;
}

/** Bytes of one message of a download, and rejects of one. */
const [pieceBytes, pieceRejects] = [256 * 1024, 200];

/** The contract and its methods. */
export function etlHandlers(parts: HandlerParts): Implementation {
  const { db, folder, changes, clock, retentionMs } = parts;
  const upload = uploadHandler(parts);

  return implement(EtlService, {
    async uploadFile(requests) {
      return { upload: toUpload(await upload(requests, currentWho())) };
    },

    async getUpload({ uploadId }) {
      return { upload: toUpload(await ownUpload(db, uploadId, currentWho())) };
    },

    async listUploads({ userId, pageSize, pageToken }) {
      const size = pageSize || defaultPageSize;
      const found = await listUploads(db, ownerOf(currentWho(), userId), size, decodePageToken(pageToken));
      const { page, nextPageToken } = paged(found, size, ({ createTime, id }) => [createTime, id]);
      return { uploads: page.map(toUpload), nextPageToken };
    },

    async deleteUpload({ uploadId }) {
      await ownUpload(db, uploadId, currentWho());
      if (!(await db.transaction((tx) => dropUpload(tx, uploadId)))) {
        throw failedPrecondition("UPLOAD_IN_USE", "a job that has not ended needs the upload");
      }
      await folder.removeUpload(uploadId);
      return {};
    },

    async createJob(request) {
      return { job: toJob(await createJob(parts, request, currentWho())) };
    },

    async getJob({ jobId }) {
      return { job: toJob(await ownJob(db, jobId, currentWho())) };
    },

    async listJobs({ userId, pageSize, pageToken, status }) {
      const size = pageSize || defaultPageSize;
      const query = {
        userId: ownerOf(currentWho(), userId),
        size,
        after: decodePageToken(pageToken),
        status: nameOf(statusNames, status),
      };
      const { page, nextPageToken } = paged(await listJobs(db, query), size, ({ createTime, id }) => [createTime, id]);
      return { jobs: page.map(toJob), nextPageToken };
    },

    async cancelJob({ jobId }) {
      const who = currentWho();
      await ownJob(db, jobId, who);
      await cancel(db, jobId, clock(), retentionMs);
      const job = await ownJob(db, jobId, who);
      if (job.status !== "cancelled") throw failedPrecondition("JOB_ENDED", `the job has ${job.status} already`);
      return { job: toJob(job) };
    },

    async *watchJob({ jobId }, { signal }) {
      for await (const job of changes.watch(await ownJob(db, jobId, currentWho()), signal)) yield { job: toJob(job) };
    },

    async *downloadRejects({ jobId }) {
      await ownJob(db, jobId, currentWho());
      yield csvBody([["line", "reason", "row"]]);
      for (let after = 0; ; ) {
        const rejects = await listRejects(db, jobId, after, pieceRejects);
        if (rejects.length === 0) return;
        after = rejects.at(-1)?.number ?? after;
        yield csvBody(rejects.map(({ line, reason, row }) => [String(line), reason, row]));
      }
    },

    async *downloadOutput({ jobId }) {
      const job = await ownJob(db, jobId, currentWho());
      yield* pieces(outputOf(job), job.plan.load.kind === "file" ? job.plan.load.format : "");
    },

    async listTables({ userId, pageSize, pageToken }) {
      const size = pageSize || defaultPageSize;
      const found = await listTables(db, ownerOf(currentWho(), userId), size, decodePageToken(pageToken));
      const { page, nextPageToken } = paged(found, size, ({ name }) => [name]);
      return { tables: page.map(toTable), nextPageToken };
    },

    async getTable({ userId, table }) {
      return { table: toTable(await ownTable(userId, table)) };
    },

    async *readTable(request) {
      const table = await ownTable(request.userId, request.table);
      const columns = chosenColumns(table, request.columns);
      const reading = {
        columns: request.columns,
        maxRows: Number(request.maxRows),
        batchSize: request.batchSize || 1000,
        afterRow: Number(request.afterRow),
        layout: request.layout === Layout.COLUMNS ? "columns" : "rows",
      } as const;
      let head = { columns: columns.map(toColumn), rowCount: BigInt(table.rowCount) };
      let any = false;
      for await (const { batch, nextRow } of readTable(db, table, columns, reading)) {
        yield { ...head, batch, nextRow: BigInt(nextRow) };
        head = { columns: [], rowCount: 0n };
        any = true;
      }
      if (!any) yield { ...head, nextRow: request.afterRow };
    },

    async deleteTable({ userId, table }) {
      const { userId: owner } = await ownTable(userId, table);
      await db.transaction((tx) => dropTable(tx, owner, table));
      return {};
    },
  });

  /** @throws NOT_FOUND when the user has no such table. */
  async function ownTable(userId: string, name: string): Promise<UserTable> {
    const table = await getTable(db, ownerOf(currentWho(), userId), name);
    if (table === undefined) throw notFound("table", name);
    return table;
  }

  /** @throws FAILED_PRECONDITION when there is no file. */
  function outputOf({ id, plan, status, outputBytes, folder: where }: Job): string {
    if (plan.load.kind !== "file") throw failedPrecondition("NO_OUTPUT", `the job makes no file: it loads a ${plan.load.kind}`);
    if (status !== "succeeded") throw failedPrecondition("JOB_NOT_SUCCEEDED", `the job is ${status}`);
    if (outputBytes === 0)
      throw failedPrecondition("OUTPUT_DELETED", "the file was deleted when its time was up, or has no rows");
    if (where !== folder.id) throw unavailable("the file is on another machine of the service", 100);
    return folder.outputFile(id);
  }
}

async function* pieces(path: string, format: string) {
  const file = await open(path);
  try {
    for (;;) {
      const bytes = Buffer.allocUnsafe(pieceBytes);
      const { bytesRead } = await file.read(bytes, 0, pieceBytes);
      if (bytesRead === 0) return;
      yield { contentType: mediaTypeOf[format] ?? "", data: bytes.subarray(0, bytesRead) };
    }
  } finally {
    await file.close();
  }
}

function csvBody(records: readonly (readonly string[])[]) {
  return { contentType: "text/csv; charset=utf-8", data: new TextEncoder().encode(stringify(records as string[][])) };
}

function paged<T>(found: readonly T[], size: number, positionOf: (last: T) => (string | number)[]) {
  const page = found.slice(0, size);
  const last = page.at(-1);
  return { page, nextPageToken: found.length > size && last !== undefined ? encodePageToken(positionOf(last)) : "" };
}

function currentWho(): Who {
  return currentContext() ?? { principal: undefined, caller: undefined };
}
