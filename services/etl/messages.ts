/** Domain values to the contract's messages, and the names of its enums. */
import { create, fromJson, type MessageInitShape, toJson } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { CreateJobRequestSchema } from "#gen/etl/v1/etl_pb.ts";
import {
  Function as Fn,
  FileFormat as Format,
  type JobSchema,
  LoadMode,
  Status as State,
  type UploadSchema,
} from "#gen/etl/v1/job_pb.ts";
import { type ColumnSchema, type TableSchema, ColumnType as Type } from "#gen/etl/v1/table_pb.ts";
import type { Column, ColumnType } from "./column.ts";
import { columnsOf, type FileFormat, type Job, type MeasureFunction, type Status } from "./job.ts";
import type { UserTable } from "./table-store.ts";
import type { Upload } from "./upload-store.ts";

/** The contract's names of column types. */
export const typeNames = {
  text: Type.TEXT,
  integer: Type.INTEGER,
  double: Type.DOUBLE,
  decimal: Type.DECIMAL,
  boolean: Type.BOOLEAN,
  timestamp: Type.TIMESTAMP,
  date: Type.DATE,
  json: Type.JSON,
} satisfies Record<ColumnType, Type>;

/** The contract's names of file formats. */
export const formatNames = {
  csv: Format.CSV,
  json: Format.JSON,
  ndjson: Format.NDJSON,
  parquet: Format.PARQUET,
} satisfies Record<FileFormat, Format>;

/** The contract's names of statuses. */
export const statusNames = {
  queued: State.QUEUED,
  running: State.RUNNING,
  succeeded: State.SUCCEEDED,
  failed: State.FAILED,
  cancelled: State.CANCELLED,
} satisfies Record<Status, State>;

/** The contract's names of functions. */
export const functionNames = {
  count: Fn.COUNT,
  "count-distinct": Fn.COUNT_DISTINCT,
  sum: Fn.SUM,
  average: Fn.AVERAGE,
  min: Fn.MIN,
  max: Fn.MAX,
  stddev: Fn.STDDEV,
  median: Fn.MEDIAN,
} satisfies Record<MeasureFunction, Fn>;

/** The contract's names of load modes. */
export const modeNames = {
  create: LoadMode.CREATE,
  replace: LoadMode.REPLACE,
  append: LoadMode.APPEND,
} as const;

/** Our name for a value of one of these enums; undefined for what is unspecified or unknown. */
export function nameOf<const N extends Readonly<Record<string, number>>>(
  names: N,
  value: number,
): (keyof N & string) | undefined {
  return Object.keys(names).find((name) => names[name] === value);
}

/** A column. */
export function toColumn({ name, type }: Column): MessageInitShape<typeof ColumnSchema> {
  return { name, type: typeNames[type] };
}

/** A job. */
export function toJob(job: Job): MessageInitShape<typeof JobSchema> {
  const { plan } = job;
  const { source, steps, load } = fromJson(CreateJobRequestSchema, job.request as never, { ignoreUnknownFields: true });
  return {
    id: job.id,
    userId: job.userId,
    ...(source === undefined ? {} : { source }),
    steps,
    ...(load === undefined ? {} : { load }),
    status: statusNames[job.status],
    failureReason: job.failureReason,
    rowsRead: BigInt(job.rowsRead),
    rowsRejected: BigInt(job.rowsRejected),
    rowsFiltered: BigInt(job.rowsFiltered),
    rowsStaged: BigInt(job.rowsStaged),
    rowsLoaded: BigInt(job.rowsLoaded),
    bytesRead: BigInt(job.bytesRead),
    totalBytes: BigInt(job.totalBytes),
    attempts: job.attempts,
    columns: columnsOf(plan).map(toColumn),
    stage: Math.min(job.stage + 1, plan.stages.length),
    stageCount: plan.stages.length,
    outputBytes: BigInt(job.outputBytes),
    maxRejects: BigInt(job.maxRejects),
    createTime: timestampFromMs(job.createTime),
    ...(job.startTime === undefined ? {} : { startTime: timestampFromMs(job.startTime) }),
    ...(job.completeTime === undefined ? {} : { completeTime: timestampFromMs(job.completeTime) }),
    ...(job.expireTime === undefined ? {} : { expireTime: timestampFromMs(job.expireTime) }),
    revision: BigInt(job.revision),
  };
}

/** What was asked for, as it is kept. */
export function requestJson(request: MessageInitShape<typeof CreateJobRequestSchema>): object {
  const { source, steps, load } = create(CreateJobRequestSchema, request);
  const kept = create(CreateJobRequestSchema, {
    ...(source === undefined ? {} : { source }),
    steps,
    ...(load === undefined ? {} : { load }),
  });
  return toJson(CreateJobRequestSchema, kept) as object;
}

/** An upload. */
export function toUpload(upload: Upload): MessageInitShape<typeof UploadSchema> {
  const { format, sizeBytes, createTime, expireTime, folder: _, ...same } = upload;
  return {
    ...same,
    format: formatNames[format],
    sizeBytes: BigInt(sizeBytes),
    createTime: timestampFromMs(createTime),
    expireTime: timestampFromMs(expireTime),
  };
}

/** A table. */
export function toTable(table: UserTable): MessageInitShape<typeof TableSchema> {
  return {
    name: table.name,
    userId: table.userId,
    columns: table.columns.map(toColumn),
    rowCount: BigInt(table.rowCount),
    sizeBytes: BigInt(table.sizeBytes),
    jobId: table.jobId,
    createTime: timestampFromMs(table.createTime),
    updateTime: timestampFromMs(table.updateTime),
  };
}
