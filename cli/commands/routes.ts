import { AccessLevel, type AccessRule } from "#gen/heddle/v1/access_pb.ts";
import { representationsOf } from "../../gateway/representation.ts";
import type { RouteEntry } from "../../gateway/router.ts";
import type { Route } from "../../gateway/routes.ts";
import type { CommandContext } from "../command-context.ts";
import { cut, tableLines } from "../terminal/table.ts";
import { contractPlan } from "./contract-plan.ts";

/** The options of `heddle routes`. */
export interface RoutesOptions {
  /** Default: the platform's own image. */
  readonly contracts?: string;
  readonly json?: boolean;
}

/** One row of the table, as `--json` prints it. */
export interface RouteRow {
  readonly method: string;
  readonly path: string;
  readonly rpc: string;
  /** Empty: none; `*`: the whole request message; else the field's name. */
  readonly body: string;
  /** Empty: the whole response; else the field's name. */
  readonly response_body: string;
  readonly access: string;
  /** The media types that are answered beside JSON, separated by commas. */
  readonly accept: string;
}

/** `heddle routes`: the compiled table, in the order of the contracts. */
export async function routes({ root, out, paint }: CommandContext, options: RoutesOptions): Promise<number> {
  const rows = contractPlan(root, options.contracts).routes.map(rowOf);
  if (options.json === true) {
    out.write(`${JSON.stringify(rows, null, 2)}\n`);
    return 0;
  }
  const head = ["method", "path", "rpc", "body", "response_body", "access", "accept"].map(paint.bold);
  const body = rows.map((row) => [row.method, row.path, row.rpc, row.body, row.response_body, row.access, row.accept]);
  for (const line of tableLines([head, ...body])) out.write(`${out.isTTY ? cut(line, out.columns) : line}\n`);
  return 0;
}

/** A route as a row. */
export function rowOf({ httpMethod, target }: Pick<RouteEntry<Route>, "httpMethod" | "target">): RouteRow {
  const { method, template, body, responseField, access } = target;
  return {
    method: httpMethod,
    path: template.text,
    rpc: `${method.parent.typeName}/${method.name}`,
    body: body.kind === "none" ? "" : body.kind === "whole" ? "*" : body.field.name,
    response_body: responseField?.name ?? "",
    access: accessText(access),
    accept: representationsOf(method)
      .map(({ mediaType }) => mediaType)
      .join(", "),
  };
}

/** An access rule in a few words. */
export function accessText(access: AccessRule | undefined): string {
  const level = levels[access?.level ?? AccessLevel.UNSPECIFIED] ?? "nobody: no rule";
  const role = access?.level === AccessLevel.ROLE ? ` ${access.role}` : "";
  const scope = access === undefined || access.scope === "" ? "" : `, API keys with ${access.scope}`;
  return `${level}${role}${access?.sessionOnly === true ? ", no API keys" : scope}`;
}

const levels: Readonly<Record<number, string>> = {
  [AccessLevel.PUBLIC]: "public",
  [AccessLevel.AUTHENTICATED]: "authenticated",
  [AccessLevel.ROLE]: "role",
};
