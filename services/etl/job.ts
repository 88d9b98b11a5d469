/** What a job is: the plan that its source, steps and load come to, and how far it has come. */
import type { Column, ColumnType } from "./column.ts";

/** What a file is. */
export type FileFormat = "csv" | "json" | "ndjson" | "parquet";

/** How a CSV is written. */
export interface CsvOptions {
  readonly delimiter: string;
  /** The columns' names are no line of the file. */
  readonly noHeader: boolean;
  /** The text that stands for no value. */
  readonly nullText: string;
  readonly trim: boolean;
}

/** Where a file is read from: a byte, or in Parquet a row; and the line (or row) that begins there, from 1. */
export interface Position {
  readonly offset: number;
  readonly line: number;
}

/** A file as a source: how it is read, which is settled when the job is made. */
export interface FileInput {
  readonly kind: "file";
  readonly uploadId: string;
  readonly format: FileFormat;
  readonly csv: CsvOptions;
  /** The columns that are read; of a CSV in the file's own order. */
  readonly columns: readonly Column[];
  /** CSV: which fields of a line these are. */
  readonly fields: readonly number[];
  /** CSV: how many fields a line has. */
  readonly fieldCount: number;
  readonly ignoreUnknownFields: boolean;
  /** Where the first row begins. */
  readonly start: Position;
}

/** A query as a source. */
export interface QueryInput {
  readonly kind: "query";
  readonly source: string;
  readonly query: string;
  readonly maxRows: number;
  readonly columns: readonly Column[];
}

/** A column and its place in the row. */
export interface PlacedColumn extends Column {
  readonly place: number;
}

/** A step that is done to each row for itself. Columns are named by their place in the row. */
export type RowStep =
  | { readonly kind: "pick"; readonly places: readonly number[] }
  | { readonly kind: "cast"; readonly place: number; readonly name: string; readonly from: ColumnType; readonly to: ColumnType }
  | { readonly kind: "filter"; readonly expression: string; readonly columns: readonly PlacedColumn[]; readonly step: number }
  | {
      readonly kind: "derive";
      readonly expression: string;
      /** Those that the expression may name. */
      readonly columns: readonly PlacedColumn[];
      readonly place: number;
      readonly type: ColumnType;
      readonly name: string;
      readonly step: number;
    };

/** A function of a group of values. */
export type MeasureFunction = "count" | "count-distinct" | "sum" | "average" | "min" | "max" | "stddev" | "median";

/** A figure of a group: `column` undefined counts rows. */
export interface Measure {
  readonly fn: MeasureFunction;
  readonly column: string | undefined;
  readonly name: string;
}

/** A step that needs all rows, so that PostgreSQL does it. */
export type Combine =
  | { readonly kind: "deduplicate"; readonly columns: readonly string[]; readonly keepLast: boolean }
  | { readonly kind: "aggregate"; readonly groupBy: readonly string[]; readonly measures: readonly Measure[] };

/** A stretch of the steps: some for each row, then one for all. Only the last may lack it, and only later ones may have no `rows`. */
export interface Stage {
  readonly rows: readonly RowStep[];
  /** The columns before `rows`, between, and behind `combine`. */
  readonly input: readonly Column[];
  readonly staged: readonly Column[];
  readonly combine: Combine | undefined;
  readonly output: readonly Column[];
}

/** Where the rows go. */
export type Load =
  | { readonly kind: "table"; readonly table: string; readonly mode: "create" | "replace" | "append" }
  | { readonly kind: "file"; readonly format: "csv" | "ndjson" | "parquet" }
  | {
      readonly kind: "vector";
      readonly collection: string;
      readonly id: string;
      readonly text: string | undefined;
      readonly vector: string | undefined;
      readonly metadata: readonly string[];
    };

/** All that a job does, settled when it is made. */
export interface Plan {
  readonly input: FileInput | QueryInput;
  readonly stages: readonly Stage[];
  readonly load: Load;
}

/** The columns that a plan makes. */
export function columnsOf(plan: Plan): readonly Column[] {
  return plan.stages.at(-1)?.output ?? [];
}

/** How far a job has come. */
export type Status = "queued" | "running" | "succeeded" | "failed" | "cancelled";

/** A job as it is stored. Times are in milliseconds since the epoch. */
export interface Job {
  readonly id: string;
  readonly userId: string;
  /** Source, steps and load as they were asked for: ProtoJSON. */
  readonly request: object;
  readonly plan: Plan;
  readonly status: Status;
  readonly failureReason: string;
  /** The stage it is at, from 0; as many as there are stages once all rows are made. */
  readonly stage: number;
  /** Whether all rows of the stage have been through its row steps. */
  readonly rowsDone: boolean;
  /** Where the next row of the stage begins; in a stage behind the first the row's number. While loading vectors: the last one sent. */
  readonly position: Position;
  readonly rowsRead: number;
  readonly rowsRejected: number;
  readonly rowsFiltered: number;
  /** Of this stage. */
  readonly rowsStaged: number;
  readonly rowsLoaded: number;
  readonly bytesRead: number;
  readonly totalBytes: number;
  readonly stagedBytes: number;
  readonly maxRejects: number;
  readonly outputBytes: number;
  /** The folder that the upload and the output are in: see folder.ts. */
  readonly folder: string | undefined;
  readonly attempts: number;
  readonly revision: number;
  readonly createTime: number;
  readonly startTime: number | undefined;
  readonly completeTime: number | undefined;
  readonly expireTime: number | undefined;
}

/** A job that cannot go on, for a reason that its user is to know. */
export class JobError extends Error {
  override readonly name = "JobError";
}
