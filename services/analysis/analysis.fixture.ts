/** The handlers behind a Connect transport in this process, with tables in place of etl. */
import assert from "node:assert/strict";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { AnalysisService } from "#gen/analysis/v1/analysis_pb.ts";
import { EtlService, type ReadTableRequest, type ReadTableResponseSchema } from "#gen/etl/v1/etl_pb.ts";
import { BadRequestSchema, ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { openCharts } from "#mesh/chart/charts.ts";
import { notFound } from "#mesh/errors.ts";
import { validateRequests } from "#mesh/server/layers.ts";
import { openAnalyst } from "./analyst.ts";
import { analysisHandlers } from "./handlers.ts";
import { tableReader } from "./table-reader.ts";

/** What a table answers. */
export type TableAnswer = readonly MessageInitShape<typeof ReadTableResponseSchema>[];

/** The service but its server. */
export interface Fixture extends AsyncDisposable {
  readonly client: Client<typeof AnalysisService>;
  /** What etl was asked. */
  readonly asked: ReadTableRequest[];
}

/** Starts it. Dispose it to end its threads. */
export function startFixture(tables: Readonly<Record<string, TableAnswer>> = {}): Fixture {
  const scope = new AsyncDisposableStack();
  const asked: ReadTableRequest[] = [];
  const etl = createRouterTransport(({ rpc }) => {
    rpc(EtlService.method.readTable, async function* (request) {
      asked.push(request);
      const answers = tables[request.table];
      if (answers === undefined) throw notFound("table", request.table);
      yield* answers;
    });
  });
  const analyst = scope.use(openAnalyst(1));
  const charts = scope.use(openCharts());
  const handlers = analysisHandlers({ analyst, charts, tables: tableReader(createClient(EtlService, etl)) });
  const transport = createRouterTransport(({ service }) => service(AnalysisService, handlers.methods as never), {
    router: { interceptors: [validateRequests([AnalysisService])] },
  });
  return {
    client: createClient(AnalysisService, transport),
    asked,
    [Symbol.asyncDispose]: () => scope.disposeAsync(),
  };
}

/** What a call was refused with: its code, and the fields or the reason. */
export async function refusal(
  call: Promise<unknown>,
): Promise<{ code: string; fields: string[]; reason: string; message: string }> {
  const error = await call.then(
    () => assert.fail("it was answered"),
    (thrown: unknown) => ConnectError.from(thrown),
  );
  const fields = error.findDetails(BadRequestSchema).flatMap((detail) => detail.fieldViolations.map(({ field }) => field));
  const [info = create(ErrorInfoSchema)] = error.findDetails(ErrorInfoSchema);
  return { code: Code[error.code], fields, reason: info.reason, message: error.rawMessage };
}
