/** The data that a request names: in itself or in an etl table. With handlers.ts and table-reader.ts the only file that sees messages. */
import type { JsonObject } from "@bufbuild/protobuf";
import type { Column as ColumnMessage } from "#gen/analysis/v1/analysis_pb.ts";
import type { HttpBody } from "#gen/google/api/httpbody_pb.ts";
import { ColumnBuilder, checkSize, frameFrom } from "./column-builder.ts";
import type { Column } from "./frame.ts";
import type { Operation, Options } from "./operations.ts";
import { listsFrame, type Source } from "./parse.ts";
import { wrongField } from "./refusal.ts";
import type { TableReader } from "./table-reader.ts";

/** The request of any of the seven analyses, as far as they are the same. */
export interface DataRequest {
  readonly data?: JsonObject | undefined;
  readonly columns: readonly ColumnMessage[];
  readonly csv: string;
  readonly table: string;
  readonly raw?: HttpBody | undefined;
}

/** More than this takes the event loop too long: a message for each value. */
const maxDataValues = 20_000;

/**
 * The data of a request; of a table only the columns that are used.
 *
 * @throws Refusal unless exactly one of the five fields is given, and when its data are not fit; what etl answers.
 */
export async function sourceOf(
  request: DataRequest,
  { operation, options, tables, signal }: { operation: Operation; options: Options; tables: TableReader; signal: AbortSignal },
): Promise<Source> {
  const { data, columns, csv, table, raw } = request;
  const given = [data !== undefined, columns.length > 0, csv !== "", table !== "", raw !== undefined];
  if (given.filter(Boolean).length !== 1) {
    const names = ["data", "columns", "csv", "table", "raw"].filter((_, at) => given[at]);
    throw wrongField(
      names[1] ?? "data",
      `expected exactly one of data, columns, csv, table and raw, got ${names.join(" and ") || "none"}`,
    );
  }
  if (data !== undefined) return { kind: "frame", frame: dataFrame(data) };
  if (csv !== "") return { kind: "csv", field: "csv", text: csv };
  if (raw !== undefined) return rawSource(raw);
  if (table !== "") return { kind: "frame", frame: await tables.read(table, columnsUsed(operation, options), signal) };
  // Before any column is built: the contract bounds each, not all of them together.
  checkSize(columns.length, Math.max(...columns.map(lengthOf)), "columns");
  return { kind: "frame", frame: frameFrom(columns.map(columnFrom), "columns") };
}

function dataFrame(data: JsonObject) {
  const lists = new Map<string, unknown>(Object.entries(data));
  let values = 0;
  for (const list of lists.values()) if (Array.isArray(list)) values += list.length;
  if (values > maxDataValues) {
    throw wrongField("data", `expected at most ${maxDataValues} values, got ${values}: columns, csv, raw and table take more`);
  }
  return listsFrame(lists, "data");
}

function rawSource({ contentType, data }: HttpBody): Source {
  const [type = ""] = contentType.toLowerCase().split(";");
  // A copy of its own can be handed over to the thread.
  const bytes = data.slice();
  if (type.trim() === "text/csv") return { kind: "csv-bytes", bytes };
  if (type.trim() === "application/json") return { kind: "json-bytes", bytes };
  throw wrongField("raw", `expected text/csv or application/json, got ${JSON.stringify(contentType.slice(0, 100))}`);
}

function lengthOf({ numbers, texts }: ColumnMessage): number {
  return Math.max(numbers.length, texts.length);
}

function columnFrom({ name, numbers, texts }: ColumnMessage, column: number): Column {
  if (numbers.length > 0 && texts.length > 0) throw wrongField(`columns[${column}].texts`, "expected none beside numbers");
  if (texts.length === 0) {
    const infinite = numbers.findIndex((value) => Math.abs(value) === Number.POSITIVE_INFINITY);
    if (infinite !== -1) {
      throw wrongField(`columns[${column}].numbers[${infinite}]`, `expected a finite number, got ${numbers[infinite]}`);
    }
    return { kind: "numbers", name, values: Float64Array.from(numbers) };
  }
  const builder = new ColumnBuilder(name, texts.length);
  for (let at = 0; at < texts.length; at++) {
    const text = texts[at] as string;
    if (text === "") builder.addMissing();
    else builder.addText(text, () => `columns[${column}].texts[${at}]`);
  }
  return builder.build();
}

/** The columns that an analysis will use; none: it may be any. */
export function columnsUsed(operation: Operation, options: Options): string[] {
  const { variables = [], groupBy = "", response = "", predictors = [], variable = "", group = "", second = "" } = options;
  const { factors = [], time = "" } = options;
  const used: Readonly<Record<Operation, readonly string[]>> = {
    describe: variables.length > 0 ? [...variables, groupBy] : [],
    correlate: variables,
    regress: predictors.length > 0 ? [response, ...predictors] : [],
    tTest: [variable, group, second],
    anova: [response, ...factors],
    histogram: variable === "" ? [] : [variable],
    timeSeries: variable === "" ? [] : [variable, time],
  };
  return [...new Set(used[operation])].filter((name) => name !== "");
}
