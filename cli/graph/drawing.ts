/** The call graph as text, as Mermaid, and as SVG. */
import type { Call } from "./declared-calls.ts";
import type { SeenCall } from "./seen-calls.ts";

/** What is drawn. */
export interface CallGraph {
  /** Every service, called or not. */
  readonly services: readonly string[];
  readonly declared: readonly Call[];
  /** Undefined when no platform runs. */
  readonly seen: readonly SeenCall[] | undefined;
}

/** An arrow: `declared` by the code, `attempts` seen in the metrics. */
interface Arrow {
  readonly from: string;
  readonly to: string;
  readonly declared: boolean;
  readonly attempts: number | undefined;
}

/** One line for each caller and callee. */
export function textGraph(graph: CallGraph): string {
  const arrows = arrowsOf(graph);
  const width = Math.max(0, ...arrows.map(({ from }) => from.length));
  const targets = Math.max(0, ...arrows.map(({ to }) => to.length));
  const lines = arrows.map(({ from, to, declared, attempts }) => {
    const seen = attempts === undefined ? "" : `  ${attempts} attempts`;
    return `${from.padEnd(width)} -> ${to.padEnd(targets)}${seen}${declared ? "" : "  (by the mesh: tokens, audit)"}`.trimEnd();
  });
  const alone = graph.services.filter((name) => !arrows.some(({ from, to }) => from === name || to === name));
  return [...lines, ...(alone.length === 0 ? [] : [`alone: ${alone.join(", ")}`]), ""].join("\n");
}

/** A Mermaid flowchart (https://mermaid.js.org/syntax/flowchart.html): solid where the code declares it, dotted where only the metrics show it. */
export function mermaidGraph(graph: CallGraph): string {
  const id = (name: string) => name.replaceAll("-", "_");
  const nodes = graph.services.map((name) => `  ${id(name)}["${name}"]`);
  const edges = arrowsOf(graph).map(({ from, to, declared, attempts }) => {
    const label = attempts === undefined ? "" : `|${attempts}|`;
    return `  ${id(from)} ${declared ? "-->" : "-.->"}${label} ${id(to)}`;
  });
  return ["flowchart LR", ...nodes, ...edges, ""].join("\n");
}

/** An SVG picture: callers to the left of what they call. */
export async function svgGraph(graph: CallGraph): Promise<string> {
  const { init, use } = await import("echarts/core");
  const { GraphChart } = await import("echarts/charts");
  const { SVGRenderer } = await import("echarts/renderers");
  use([GraphChart, SVGRenderer]);
  const arrows = arrowsOf(graph);
  const columns = columnsOf(graph.services, arrows);
  const rows = Math.max(...columns.map((names) => names.length));
  const [stepX, stepY] = [220, 70];
  const [width, height] = [columns.length * stepX + 60, rows * stepY + 60];
  const chart = init(null, null, { renderer: "svg", ssr: true, width, height });
  chart.setOption({
    animation: false,
    series: {
      type: "graph",
      layout: "none",
      left: stepX / 2,
      right: stepX / 2,
      top: stepY / 2,
      bottom: stepY / 2,
      symbol: "roundRect",
      symbolSize: [130, 30],
      itemStyle: { color: "#eef2ff", borderColor: "#4f5d95" },
      label: { show: true, color: "#1f2440", fontSize: 13 },
      edgeSymbol: ["none", "arrow"],
      edgeSymbolSize: 8,
      data: columns.flatMap((names, column) =>
        names.map((name, row) => ({ name, x: column * stepX, y: ((row + 0.5) / names.length) * rows * stepY })),
      ),
      links: arrows.map(({ from, to, declared }) => ({
        source: from,
        target: to,
        lineStyle: { color: "#4f5d95", width: 1.2, curveness: 0.08, type: declared ? "solid" : "dotted" },
      })),
    },
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}

function arrowsOf({ declared, seen }: CallGraph): readonly Arrow[] {
  const arrows = new Map<string, Arrow>();
  for (const { from, to } of declared) {
    arrows.set(`${from} ${to}`, { from, to, declared: true, attempts: seen === undefined ? undefined : 0 });
  }
  for (const { from, to, attempts } of seen ?? []) {
    arrows.set(`${from} ${to}`, { from, to, declared: arrows.get(`${from} ${to}`)?.declared === true, attempts });
  }
  return [...arrows.entries()].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, arrow]) => arrow);
}

/** Services by the longest way that leads to them; a circle is cut where it comes back. */
function columnsOf(services: readonly string[], arrows: readonly Arrow[]): readonly (readonly string[])[] {
  const depths = new Map<string, number>();
  const depthOf = (name: string, above: readonly string[]): number => {
    const known = depths.get(name);
    if (known !== undefined) return known;
    const callers = arrows.filter(({ from, to }) => to === name && !above.includes(from)).map(({ from }) => from);
    const depth = Math.max(0, ...callers.map((from) => depthOf(from, [...above, name]) + 1));
    depths.set(name, depth);
    return depth;
  };
  const names = [...new Set([...services, ...arrows.flatMap(({ from, to }) => [from, to])])];
  for (const name of names) depthOf(name, [name]);
  const deepest = Math.max(0, ...depths.values());
  return Array.from({ length: deepest + 1 }, (_, depth) => names.filter((name) => depths.get(name) === depth)).filter(
    (column) => column.length > 0,
  );
}
