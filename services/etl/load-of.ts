/** Where the rows of a job go, checked against the columns that its steps make. Pure. */
import type { Load as LoadMessage, VectorLoad } from "#gen/etl/v1/job_pb.ts";
import { invalidArgument } from "#mesh/errors.ts";
import type { Column } from "./column.ts";
import type { Load } from "./job.ts";
import { formatNames, modeNames, nameOf } from "./messages.ts";

/** The load. @throws INVALID_ARGUMENT naming its field */
export function loadOf(load: LoadMessage | undefined, columns: readonly Column[]): Load {
  switch (load?.kind.case) {
    case "table":
      return { kind: "table", table: load.kind.value.table, mode: nameOf(modeNames, load.kind.value.mode) ?? "create" };
    case "file": {
      const format = nameOf(formatNames, load.kind.value.format) ?? "ndjson";
      if (format === "json")
        throw wrong("load.file.format", "expected FILE_FORMAT_NDJSON, FILE_FORMAT_CSV or FILE_FORMAT_PARQUET");
      return { kind: "file", format };
    }
    case "vector":
      return vector(load.kind.value, columns);
    default:
      throw wrong("load", "expected a table, a file or a vector collection");
  }
}

function vector(load: VectorLoad, columns: readonly Column[]): Load {
  const { collection, idColumn: id, textColumn, vectorColumn, metadataColumns } = load;
  const text = textColumn || undefined;
  const vectors = vectorColumn || undefined;
  if (text === undefined && vectors === undefined)
    throw wrong("load.vector.text_column", "expected a column of texts or one of vectors");
  has(columns, "id_column", id);
  if (text !== undefined) has(columns, "text_column", text);
  if (vectors !== undefined && has(columns, "vector_column", vectors).type !== "json") {
    throw wrong("load.vector.vector_column", "expected a column of type COLUMN_TYPE_JSON");
  }
  for (const name of metadataColumns) has(columns, "metadata_columns", name);
  const others = columns.map(({ name }) => name).filter((name) => name !== id && name !== text && name !== vectors);
  const metadata = metadataColumns.length === 0 ? others : metadataColumns;
  return { kind: "vector", collection, id, text, vector: vectors, metadata };
}

function has(columns: readonly Column[], field: string, name: string): Column {
  const column = columns.find((one) => one.name === name);
  if (column !== undefined) return column;
  const names = columns.map((one) => one.name).slice(0, 30);
  throw wrong(`load.vector.${field}`, `the steps make no column ${JSON.stringify(name)}; they make ${names.join(", ")}`);
}

function wrong(field: string, description: string) {
  return invalidArgument([{ field, description }]);
}
