/** The analysis service's routes: each analysis by POST, by GET, and with its data as the body. */
import type { AliasCall } from "./alias-call.ts";

const data = { dose: [1, 1, 2, 2, 3, 3], length: [4, 6, 9, 11, 14, 16], kind: ["a", "b", "a", "b", "a", "b"] };
const csv = "dose,length,kind\n1,4,a\n1,6,b\n2,9,a\n2,11,b\n3,14,a\n3,16,b\n";
const rows = data.dose.map((dose, at) => ({ dose, length: data.length[at], kind: data.kind[at] }));

const analyses: readonly { readonly route: string; readonly rpc: string; readonly options: object; readonly answer: object }[] = [
  {
    route: "describe",
    rpc: "Describe",
    options: { variables: ["length"] },
    answer: { summaries: [{ variable: "length", count: 6, numeric: { mean: 10 } }] },
  },
  {
    route: "correlate",
    rpc: "Correlate",
    options: { method: "spearman" },
    answer: { method: "spearman", correlations: [{ first: "dose", second: "length", count: 6 }] },
  },
  {
    route: "regress",
    rpc: "Regress",
    options: { response: "length", predictors: ["dose"] },
    answer: { count: 6, coefficients: [{ name: "(Intercept)" }, { name: "dose" }] },
  },
  {
    route: "t-test",
    rpc: "TTest",
    options: { variable: "length", group: "kind", equal_variances: true },
    answer: {
      method: "pooled",
      estimate: -2,
      samples: [
        { name: "a", mean: 9 },
        { name: "b", mean: 11 },
      ],
    },
  },
  {
    route: "anova",
    rpc: "Anova",
    options: { response: "length", factors: ["dose"] },
    answer: {
      rows: [
        { term: "dose", degreesOfFreedom: 2 },
        { term: "Residuals", degreesOfFreedom: 3 },
      ],
    },
  },
  {
    route: "histogram",
    rpc: "Histogram",
    options: { variable: "length", bins: 3 },
    answer: { count: 6, rule: "bins", bins: [{ from: 0, to: 5, count: 1 }, { count: 2 }, { count: 2 }, { from: 15, to: 20 }] },
  },
  {
    route: "timeseries",
    rpc: "TimeSeries",
    options: { variable: "length", frequency: 2, horizon: 2 },
    answer: { count: 6, frequency: 2, forecast: { model: "holt_winters" }, decomposition: { seasonal: "additive" } },
  },
];

/** Every route of every analysis. */
export const analysisCalls: readonly AliasCall[] = analyses.flatMap(({ route, rpc, options, answer }, at) => {
  const path = `/api/v1/analyze/${route}`;
  const called = { rpc: `analysis.v1.AnalysisService/${rpc}`, answer };
  const query = new URLSearchParams(Object.entries(options).map(([name, value]) => [name, String(value)])).toString();
  const raw = at % 2 === 0 ? { type: "text/csv", text: csv } : { type: "application/json", text: JSON.stringify(rows) };
  return [
    { call: `POST ${path}`, body: { data, ...options }, ...called },
    { call: `GET ${path}?${query}&csv=${encodeURIComponent(csv)}`, ...called },
    { call: `POST ${path}:raw?${query}`, raw, ...called },
  ];
});
