/**
 * OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.1) from a compiled plan: what the router serves is what it says, so it cannot
 * drift.
 */
import type { DescService } from "@bufbuild/protobuf";
import { shapeOf } from "../path-template.ts";
import type { Plan } from "../plan.ts";
import type { RouteEntry } from "../router.ts";
import type { Route } from "../routes.ts";
import { commentOf } from "./comments.ts";
import { ErrorResponses } from "./error-responses.ts";
import { operationOf } from "./operation.ts";
import { ownPathsOf, ownTag } from "./own-operations.ts";
import { parameters } from "./parameters.ts";
import { type OpenApiPath, openApiPath } from "./path.ts";
import { described, type Schema } from "./schema.ts";
import { Schemas } from "./schemas.ts";
import { securitySchemes } from "./security.ts";

/** A document, ready for JSON.stringify. */
export type OpenApiDocument = Schema;

/** What the plan does not say. */
export interface OpenApiOptions {
  /** Default `API`. */
  readonly title?: string;
  /** True: methods without an access rule are open. Default false: they are refused to everybody. */
  readonly openByDefault?: boolean;
}

/**
 * Writes the document. An HTTP method that OpenAPI 3.1 does not know (SEARCH, for one) stands in its path's
 * `x-additional-operations`, and so does a second rule where OpenAPI sees one path (`/{a}` beside `/{a=**}`); a rule for every
 * method (`*`) stands as GET or, with a body, as POST.
 */
export function openApiOf(plan: Pick<Plan, "routes" | "contracts">, options: OpenApiOptions = {}): OpenApiDocument {
  const schemas = new Schemas();
  const parts = { openByDefault: options.openByDefault === true, schemas, errors: new ErrorResponses(schemas) };
  const ids = new OperationIds(plan.routes);
  const paths = new Map<string, { readonly path: OpenApiPath; readonly item: Schema }>();
  // Rules for one HTTP method come first: what is for every method takes what they leave.
  for (const entry of [...plan.routes].sort((a, b) => Number(a.httpMethod === "*") - Number(b.httpMethod === "*"))) {
    // To OpenAPI all templates of one hierarchy are one path, and it knows no `**`.
    const shape = shapeOf(entry.template).replaceAll("**", "*");
    const place = paths.get(shape) ?? { path: openApiPath(entry.template), item: {} };
    paths.set(shape, place);
    const operation = operationOf(entry.target, { ...parts, path: pathAs(entry, place.path), id: ids.next(entry) });
    addOperation(place.item, entry, operation);
  }
  return {
    openapi: "3.1.1",
    info: { title: options.title ?? "API", version: plan.contracts.version },
    servers: [{ url: "/" }],
    tags: [...servicesOf(plan.routes).map((service) => described({ name: service.typeName }, commentOf(service))), ownTag],
    paths: pathsOf([
      ...[...paths.values()].map(({ path, item }) => [path.path, item] as const),
      ...ownPathsOf(plan.routes, parts.errors),
    ]),
    components: { schemas: schemas.components, parameters, responses: parts.errors.components, securitySchemes },
  };
}

/** Items by their paths; those of one path together. */
function pathsOf(items: readonly (readonly [path: string, item: Schema])[]): Schema {
  const paths: Record<string, Schema> = {};
  for (const [path, item] of items) paths[path] = { ...paths[path], ...item };
  return paths;
}

/** Paths of one shape are one path in OpenAPI, whatever their variables are called: the first one's names hold for all. */
function pathAs(entry: RouteEntry<Route>, first: OpenApiPath): OpenApiPath {
  const own = openApiPath(entry.template).parameters;
  const parameters = own.map((parameter, index) => ({ ...parameter, name: first.parameters[index]?.name ?? parameter.name }));
  return { path: first.path, parameters };
}

const known = new Set(["get", "put", "post", "delete", "options", "head", "patch", "trace"]);

function addOperation(item: Schema, { httpMethod, target, template }: RouteEntry<Route>, operation: Schema): void {
  const every = httpMethod === "*";
  const name = every ? (target.body.kind === "none" ? "get" : "post") : httpMethod.toLowerCase();
  if (known.has(name) && !(name in item)) {
    item[name] = operation;
    return;
  }
  const others = (item["x-additional-operations"] as Schema | undefined) ?? {};
  const key = known.has(name) && !every ? `${httpMethod} ${template.text}` : httpMethod;
  item["x-additional-operations"] = { ...others, [key]: operation };
}

/** `Service_Method`, with a number behind for each further binding; the whole name where two services have one name. */
class OperationIds {
  readonly #shared: ReadonlySet<string>;
  readonly #counts = new Map<string, number>();

  constructor(routes: readonly RouteEntry<Route>[]) {
    const names = servicesOf(routes).map(({ name }) => name);
    this.#shared = new Set(names.filter((name, index) => names.indexOf(name) !== index));
  }

  next({ target: { method } }: RouteEntry<Route>): string {
    const { parent, name } = method;
    const service = this.#shared.has(parent.name) ? parent.typeName.replaceAll(".", "_") : parent.name;
    const id = `${service}_${name}`;
    const count = (this.#counts.get(id) ?? 0) + 1;
    this.#counts.set(id, count);
    return count === 1 ? id : `${id}_${count}`;
  }
}

function servicesOf(routes: readonly RouteEntry<Route>[]): DescService[] {
  return [...new Set(routes.map(({ target }) => target.method.parent))];
}
