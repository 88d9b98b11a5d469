/** The contract's methods: each hands its data to a thread, and answers with what comes back. */
import { AnalysisService } from "#gen/analysis/v1/analysis_pb.ts";
import type { Charts } from "#mesh/chart/charts.ts";
import { failedPrecondition, invalidArgument } from "#mesh/errors.ts";
import { type Implementation, implement } from "#mesh/server/implementation.ts";
import type { Analyst, Question } from "./analyst.ts";
import type { Operation, Options } from "./operations.ts";
import { Refusal } from "./refusal.ts";
import { type DataRequest, sourceOf } from "./request-data.ts";
import type { TableReader } from "./table-reader.ts";

/** What the handlers work with. */
export interface HandlerParts {
  readonly analyst: Analyst;
  readonly charts: Charts;
  readonly tables: TableReader;
}

/** Any of the seven requests. */
type AnyRequest = DataRequest & Options & { readonly $typeName: string; readonly width: number; readonly height: number };

interface Call {
  readonly signal: AbortSignal;
}

/** The contract and its methods. */
export function analysisHandlers({ analyst, charts, tables }: HandlerParts): Implementation {
  const answers =
    <O extends Operation>(operation: O) =>
    (request: AnyRequest, { signal }: Call) =>
      withErrors(async () => analyst.answer(await questionOf(operation, request, signal), signal));
  const plots =
    (operation: Operation) =>
    (request: AnyRequest, { signal }: Call) =>
      withErrors(async () => {
        const chart = await analyst.plot(await questionOf(operation, request, signal), signal);
        const size = { width: request.width || 800, height: request.height || 400 };
        const svg = await charts.render({ ...chart, ...size }, signal);
        return { contentType: "image/svg+xml", data: new TextEncoder().encode(svg) };
      });

  return implement(AnalysisService, {
    describe: answers("describe"),
    correlate: answers("correlate"),
    regress: answers("regress"),
    tTest: answers("tTest"),
    anova: answers("anova"),
    histogram: answers("histogram"),
    timeSeries: answers("timeSeries"),
    drawDescribe: plots("describe"),
    drawCorrelate: plots("correlate"),
    drawRegress: plots("regress"),
    drawTTest: plots("tTest"),
    drawAnova: plots("anova"),
    drawHistogram: plots("histogram"),
    drawTimeSeries: plots("timeSeries"),
  });

  async function questionOf<O extends Operation>(operation: O, request: AnyRequest, signal: AbortSignal): Promise<Question<O>> {
    const options = optionsOf(request);
    return { operation, options, source: await sourceOf(request, { operation, options, tables, signal }) };
  }
}

/** What is not data: plain values, which can go to a thread. */
function optionsOf({ data: _data, columns: _columns, csv: _csv, table: _table, raw: _raw, ...options }: AnyRequest): Options {
  return options;
}

async function withErrors<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const { refused } = error;
    throw refused.kind === "field" ? invalidArgument([refused]) : failedPrecondition(refused.reason, refused.message);
  }
}
