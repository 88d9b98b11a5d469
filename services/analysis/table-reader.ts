/** Reads columns of an etl table through the mesh. */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Client } from "@connectrpc/connect";
import type { EtlService } from "#gen/etl/v1/etl_pb.ts";
import { type Column as ColumnMessage, ColumnType, type ColumnValues, Layout } from "#gen/etl/v1/table_pb.ts";
import { ColumnBuilder, checkSize, frameFrom } from "./column-builder.ts";
import type { Frame } from "./frame.ts";

/** Reads tables. */
export interface TableReader {
  /**
   * All rows of a table's columns; of all when none is named.
   *
   * @throws Refusal naming `table` when it is too large; what etl answers, in the caller's name.
   */
  read(table: string, columns: readonly string[], signal: AbortSignal): Promise<Frame>;
}

/** Rows of a batch: what one takes to decode is far below what the event loop may wait. */
const batchSize = 500;

/** Over a client of etl. */
export function tableReader(etl: Pick<Client<typeof EtlService>, "readTable">): TableReader {
  return {
    async read(table, names, signal) {
      const builders: ColumnBuilder[] = [];
      let columns: readonly ColumnMessage[] = [];
      const request = { table, columns: [...names], batchSize, layout: Layout.COLUMNS };
      for await (const response of etl.readTable(request, { signal })) {
        if (response.columns.length > 0) {
          columns = response.columns;
          checkSize(columns.length, Number(response.rowCount), "table");
          builders.push(...columns.map(({ name }) => new ColumnBuilder(name, Number(response.rowCount))));
        }
        for (const [at, values] of (response.batch?.values ?? []).entries()) {
          const [builder, column] = [builders[at], columns[at]];
          if (builder !== undefined && column !== undefined) addValues(builder, column, values, response.batch?.rowCount ?? 0);
        }
        // Batches that have come already would be taken in one go, and other calls wait for all of them.
        await nextTurn();
      }
      return frameFrom(
        builders.map((builder) => builder.build()),
        "table",
      );
    },
  };
}

function addValues(builder: ColumnBuilder, { name, type }: ColumnMessage, values: ColumnValues, rowCount: number): void {
  const missing = new Set(values.missing);
  const place = () => `table: column ${JSON.stringify(name)}`;
  for (let row = 0; row < rowCount; row++) {
    if (missing.has(row)) builder.addMissing();
    else if (type === ColumnType.DOUBLE) builder.addNumber(values.doubles[row] ?? Number.NaN, place);
    else if (type === ColumnType.INTEGER) builder.addNumber(Number(values.integers[row]), place);
    else if (type === ColumnType.DECIMAL) builder.addNumber(Number(values.texts[row]), place);
    else if (type === ColumnType.BOOLEAN) builder.addText(String(values.booleans[row]), place);
    else builder.addText(values.texts[row] ?? "", place);
  }
}
