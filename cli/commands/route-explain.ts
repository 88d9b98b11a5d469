import { representationsOf } from "../../gateway/representation.ts";
import { type Binding, explainRoute, type RouteExplanation } from "../../gateway/route-explain.ts";
import type { CommandContext } from "../command-context.ts";
import { Failure } from "../failure.ts";
import type { Paint } from "../terminal/paint.ts";
import { tableLines } from "../terminal/table.ts";
import { contractPlan } from "./contract-plan.ts";
import { rowOf } from "./routes.ts";

/** The options of `heddle route explain`. */
export interface RouteExplainOptions {
  /** Default: the platform's own image. */
  readonly contracts?: string;
}

/** So many of the rules that do not match are told. */
const maxOthers = 10;

/**
 * `heddle route explain GET '/v1/x?y=1'`: which rule serves such a request, what each part of it is bound to, and why the other
 * rules do not. The exit code is 1 when none does or a part is refused.
 *
 * @throws Failure for a method or a path that is none.
 */
export async function routeExplain(
  { root, out, paint }: CommandContext,
  method: string,
  target: string,
  options: RouteExplainOptions,
): Promise<number> {
  if (!/^[A-Za-z][A-Za-z-]*$/.test(method)) throw new Failure(`expected an HTTP method, got ${JSON.stringify(method)}`, 2);
  const path = target.replace(/^https?:\/\/[^/?#]*/i, "");
  if (!path.startsWith("/")) throw new Failure(`expected a path that starts with a slash, got ${JSON.stringify(target)}`, 2);
  const explanation = explainRoute(contractPlan(root, options.contracts), method.toUpperCase(), path);
  for (const line of explanationLines(explanation, paint)) out.write(`${line}\n`);
  return explanation.route !== undefined && explanation.bindings.every(({ mistake }) => mistake === undefined) ? 0 : 1;
}

/** The explanation as lines. */
export function explanationLines({ route, refusal, bindings, others }: RouteExplanation, paint: Paint): readonly string[] {
  const lines: string[] = [];
  if (route === undefined) lines.push(paint.red(refusal ?? ""));
  else {
    const row = rowOf({ httpMethod: route.httpMethod, target: route });
    lines.push(`${paint.bold(`${row.method} ${row.path}`)} is ${row.rpc}`, "");
    const facts = [
      [
        "body",
        row.body === "" ? "none" : row.body === "*" ? `the whole ${route.method.input.typeName}` : `the field ${row.body}`,
      ],
      ["answer", row.response_body === "" ? route.method.output.typeName : `the field ${row.response_body}`],
      ["access", row.access],
      ...representationsOf(route.method).map(({ mediaType, method }) => [
        `accept ${mediaType}`,
        `${method.parent.typeName}/${method.name}`,
      ]),
    ];
    lines.push(...tableLines([...bindings.map((binding) => bindingRow(binding, paint)), ...facts]).map((line) => `  ${line}`));
  }
  if (others.length > 0) {
    const near = others.slice(0, maxOthers).map((other) => {
      const row = rowOf({ httpMethod: other.route.httpMethod, target: other.route });
      return [row.method, row.path, paint.dim(other.why)];
    });
    lines.push("", route === undefined ? "the rules that came nearest:" : "why not the others, the nearest first:");
    lines.push(...tableLines(near).map((line) => `  ${line}`));
    if (others.length > maxOthers) lines.push(`  and ${others.length - maxOthers} more`);
  }
  return lines;
}

function bindingRow({ name, from, value, field, type, mistake }: Binding, paint: Paint): readonly string[] {
  const sets = field === "" ? "" : `sets ${field}, ${type}`;
  return [`${from} ${name}`, JSON.stringify(value), mistake === undefined ? sets : paint.red(`refused: ${mistake}`)];
}
