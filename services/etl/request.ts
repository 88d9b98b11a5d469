/** From a request for a job to the job: its file or query is looked at, its steps are planned, and it is stored once. */
import { createHash } from "node:crypto";
import type { CreateJobRequest } from "#gen/etl/v1/etl_pb.ts";
import type { FileSource, Load as LoadMessage, QuerySource, Step } from "#gen/etl/v1/job_pb.ts";
import {
  alreadyExists,
  failedPrecondition,
  invalidArgument,
  notFound,
  notYours,
  permissionDenied,
  resourceExhausted,
  unavailable,
} from "#mesh/errors.ts";
import type { Database } from "#mesh/storage/database.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import type { Column } from "./column.ts";
import type { Folder } from "./folder.ts";
import { type Combine, type FileInput, type Job, JobError, type Load, type QueryInput } from "./job.ts";
import { countOpen, findByRequestId, getJob, insertJob } from "./job-store.ts";
import { loadOf } from "./load-of.ts";
import { formatNames, functionNames, nameOf, requestJson, typeNames } from "./messages.ts";
import { callerKey, hasRole, mayActFor, ownerOf, type Who } from "./ownership.ts";
import { type AskedStep, planStages } from "./plan.ts";
import type { QuerySources } from "./query-source.ts";
import { getTable } from "./table-store.ts";
import { getUpload, holdUpload, type Upload } from "./upload-store.ts";
import type { Workers } from "./workers.ts";

/** What requests are checked with. */
export interface RequestParts {
  readonly db: Database;
  readonly folder: Folder;
  readonly workers: Workers;
  readonly sources: QuerySources;
  readonly sourceRole: string;
  readonly clock: () => number;
}

/** Rejects that a job has at most, and jobs of one user that have not ended. */
const [mostRejects, maxOpen] = [100_000, 100];

/** Makes a job, or finds the one that the same request made before. */
export async function createJob(parts: RequestParts, request: CreateJobRequest, who: Who): Promise<Job> {
  const { db, clock } = parts;
  const caller = callerKey(who);
  const userId = ownerOf(who, request.userId);
  const requestId = request.requestId === "" ? undefined : request.requestId.toLowerCase();
  const asked = requestJson(request);
  const maxRejects = Number(request.maxRejects ?? mostRejects);
  const contentHash = createHash("sha256")
    .update(JSON.stringify([userId, asked, maxRejects]))
    .digest("hex");
  if (requestId !== undefined) {
    const before = await findByRequestId(db, caller, requestId);
    if (before !== undefined) return same(before, contentHash, requestId);
  }
  if ((await countOpen(db, userId)) >= maxOpen)
    throw resourceExhausted(`a user has at most ${maxOpen} jobs that have not ended`, 10_000);
  const { input, upload } = await inputOf(parts, request, who, userId);
  const stages = await planStages(input.columns, request.steps.map(stepOf), (expression, columns) =>
    parts.workers.compile({ kind: "compile", expression, columns }),
  );
  const load = loadOf(request.load, stages.at(-1)?.output ?? []);
  await assertFree(db, userId, load);
  const now = clock();
  const draft = {
    caller,
    requestId,
    contentHash,
    userId,
    request: asked,
    plan: { input, stages, load },
    maxRejects,
    createTime: now,
  };
  const id = uuidv7(now);
  const of = { uploadId: upload?.id, folder: upload?.folder, totalBytes: upload?.sizeBytes ?? 0 };
  return db.transaction(async (tx) => {
    if (upload !== undefined && (await holdUpload(tx, upload.id)) === undefined) throw notFound("upload", upload.id);
    if (await insertJob(tx, { ...draft, ...of, id })) {
      const job = await getJob(tx, id);
      if (job === undefined) throw notFound("job", id);
      return job;
    }
    const before = await findByRequestId(tx, caller, requestId ?? "");
    if (before === undefined) throw notFound("job", id);
    return same(before, contentHash, requestId ?? "");
  });
}

function same(before: { readonly contentHash: string; readonly job: Job }, contentHash: string, requestId: string): Job {
  if (before.contentHash === contentHash) return before.job;
  throw alreadyExists(`request_id ${JSON.stringify(requestId)} came before with other content`);
}

interface Found {
  readonly input: FileInput | QueryInput;
  readonly upload: Upload | undefined;
}

async function inputOf(parts: RequestParts, { source }: CreateJobRequest, who: Who, userId: string): Promise<Found> {
  if (source?.kind.case === "file") return fileInput(parts, source.kind.value, userId);
  if (source?.kind.case === "query") return { input: await queryInput(parts, source.kind.value, who), upload: undefined };
  throw wrong("source", "expected a file or a query");
}

async function fileInput({ db, folder, workers }: RequestParts, source: FileSource, userId: string): Promise<Found> {
  const upload = await getUpload(db, source.uploadId);
  if (upload === undefined) throw notFound("upload", source.uploadId);
  // The job reads in its user's name.
  if (upload.userId !== userId) throw notYours("upload", source.uploadId);
  if (!upload.complete) throw failedPrecondition("UPLOAD_NOT_COMPLETE", "the upload is not complete");
  if (upload.folder !== folder.id) throw unavailable("the upload is on another machine of the service", 100);
  const format = nameOf(formatNames, source.format) ?? upload.format;
  const { delimiter = "", noHeader = false, nullText = "", trim = false } = source.csv ?? {};
  const byName = /\.tsv$/i.test(upload.fileName) ? "\t" : ",";
  const csv = { delimiter: delimiter || byName, noHeader, nullText, trim };
  if (format !== "csv" && source.csv !== undefined) throw wrong("source.file.csv", `expected nothing for a file of ${format}`);
  const columns = source.columns.map(({ name, type }): Column => ({ name, type: nameOf(typeNames, type) ?? "text" }));
  const head = await asked("source.file", () =>
    workers.head({ kind: "head", path: folder.uploadFile(upload.id), format, csv, columns }),
  );
  const { ignoreUnknownFields } = source;
  return { input: { kind: "file", uploadId: upload.id, format, csv, ignoreUnknownFields, ...head }, upload };
}

async function queryInput({ sources, sourceRole }: RequestParts, asking: QuerySource, who: Who): Promise<QueryInput> {
  const { source, query } = asking;
  if (!hasRole(who, sourceRole)) {
    throw permissionDenied("ROLE_REQUIRED", `source.query: expected a caller with the role ${JSON.stringify(sourceRole)}`);
  }
  if (!sources.names.includes(source)) {
    const names = sources.names.length === 0 ? "none is configured" : `expected one of ${sources.names.join(", ")}`;
    throw wrong("source.query.source", `${names}, got ${JSON.stringify(source)}`);
  }
  const columns = await asked("source.query.query", () => sources.columns(source, query)).catch((error: unknown) => {
    // What the driver says of a server that is away holds addresses, and is none of the caller's business.
    if (error instanceof Error && "code" in error && typeof error.code === "string") {
      throw unavailable(`source ${JSON.stringify(source)} is away`, 1000, error);
    }
    throw error;
  });
  return { kind: "query", source, query, maxRows: Number(asking.maxRows) || 10_000_000, columns };
}

/** What is wrong with what the user gave is wrong with the field. */
async function asked<T>(field: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof JobError) throw wrong(field, error.message);
    throw error;
  }
}

async function assertFree(db: Database, userId: string, load: Load): Promise<void> {
  if (load.kind !== "table" || load.mode !== "create") return;
  if ((await getTable(db, userId, load.table)) === undefined) return;
  throw failedPrecondition("TABLE_EXISTS", `table ${load.table} is there already: replace it, append to it, or delete it`);
}

function stepOf({ kind }: Step, index: number): AskedStep {
  switch (kind.case) {
    case "select":
      return { kind: "select", columns: kind.value.columns };
    case "rename":
      return { kind: "rename", names: kind.value.names };
    case "cast":
      return {
        kind: "cast",
        types: Object.fromEntries(Object.entries(kind.value.types).map(([name, type]) => [name, typed(type)])),
      };
    case "filter":
      return { kind: "filter", expression: kind.value.expression };
    case "derive": {
      const { column, expression, type } = kind.value;
      return { kind: "derive", column, expression, type: nameOf(typeNames, type) };
    }
    case "deduplicate":
      return { kind: "deduplicate", columns: kind.value.columns, keepLast: kind.value.keepLast };
    case "aggregate":
      return aggregate(kind.value);
    default:
      throw wrong(`steps[${index}]`, "expected a step");
  }
}

function aggregate({ groupBy, measures }: Extract<Step["kind"], { case: "aggregate" }>["value"]): Combine {
  if (groupBy.length + measures.length === 0) throw wrong("steps", "expected an Aggregate to have columns or measures");
  return {
    kind: "aggregate",
    groupBy,
    measures: measures.map((one) => ({
      fn: nameOf(functionNames, one.function) ?? "count",
      column: one.column || undefined,
      name: one.name,
    })),
  };
}

function typed(type: number) {
  return nameOf(typeNames, type) ?? "text";
}

function wrong(field: string, description: string) {
  return invalidArgument([{ field, description }]);
}

/** @throws NOT_FOUND when there is no such job, or it is none of the caller's. */
export async function ownJob(db: Database, id: string, who: Who): Promise<Job> {
  const job = await getJob(db, id);
  if (job === undefined) throw notFound("job", id);
  if (!mayActFor(who, job.userId)) throw notYours("job", id);
  return job;
}

/** @throws NOT_FOUND when there is no such upload, or it is none of the caller's. */
export async function ownUpload(db: Database, id: string, who: Who): Promise<Upload> {
  const upload = await getUpload(db, id);
  if (upload === undefined) throw notFound("upload", id);
  if (!mayActFor(who, upload.userId)) throw notYours("upload", id);
  return upload;
}

/** What a job loads; its columns are checked by `loadOf`. @package */
export type AskedLoad = LoadMessage | undefined;
